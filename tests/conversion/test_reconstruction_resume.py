"""A training of the reconstruction network that is killed often ends with the same weights."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

# One process imports torch and forks those that are killed: after a random number of batches and a
# random moment more, and twice in the middle of writing: a checkpoint, and a kept encoder.
SCRIPT = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
import torch
from conversion.reconstruction import ImagePairs, ReconstructionConfig, train_reconstruction
from conversion.reconstruction.checkpoint import read_checkpoint

# What torch imports when it is first used is imported here: children spend their lives training.
torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()
folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
pairs = ImagePairs(
    rng.random((12, 3, 64, 64)).astype(np.float16), rng.integers(0, 256, (12, 64, 64), np.uint8)
)
config = ReconstructionConfig(width=2, epochs=6, batch_size=4, keep_every=3)

def whole(folder, on_batch=None):
    generator, history = train_reconstruction(
        pairs, pairs, config, size=64, checkpoint=folder / "c.pt", encoders=folder,
        on_batch=on_batch,
    )
    torch.save(generator.state_dict(), folder / "weights")
    (folder / "losses").write_text(json.dumps([row.l1 for row in history]))

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    return pid

def half_a_file(key):
    write = torch.save
    def write_half(saved, file):
        write(saved, file)
        if key not in saved:
            return
        file.truncate(file.tell() // 2)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    torch.save = write_half
    whole(cut)

def killed_after(batches, seconds):
    reader, writer = os.pipe()
    pid = child(lambda: whole(cut, on_batch=lambda n: os.write(writer, b".")))
    os.close(writer)
    for _ in range(batches):
        os.read(reader, 1)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return pid

straight, cut = folder / "straight", folder / "cut"
straight.mkdir()
cut.mkdir()
assert os.waitpid(child(lambda: whole(straight)), 0)[1] == 0
moments = random.Random(5)
killed, epochs_done, left = [], [0], []
for attempt in range(7):
    if attempt in (0, 3):
        pid = child(lambda: half_a_file("weights" if attempt == 0 else "parts"))
    else:  # epochs of earlier lives count as one batch each
        pid = killed_after(epochs_done[-1] + moments.randrange(7), moments.uniform(0, 0.02))
    killed.append(os.WIFSIGNALED(os.waitpid(pid, 0)[1]))
    path = cut / "c.pt"
    epochs_done.append(len(read_checkpoint(path)["history"]) if path.exists() else 0)
    left += [path.name for path in cut.glob(".*")]
assert os.waitpid(child(lambda: whole(cut)), 0)[1] == 0
print(json.dumps({"killed": killed, "epochs_done": epochs_done, "left": left}))
"""


@pytest.mark.slow
def test_kills_change_nothing(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert all(report["killed"])
    halves = {name.rsplit(".", 1)[0] for name in report["left"]}
    assert {".c.pt", ".encoder-epoch000.pt"} <= halves  # they were there and have been cleaned up
    assert report["epochs_done"] == sorted(report["epochs_done"])
    assert len(set(report["epochs_done"])) > 2, report  # kills fell into different epochs
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    names = [sorted(path.name for path in folder.iterdir()) for folder in (straight, cut)]
    assert names[0] == names[1]  # the same encoders, and nothing half-written
    assert (straight / "losses").read_text() == (cut / "losses").read_text()
    weights = [torch.load(folder / "weights", weights_only=True) for folder in (straight, cut)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    for name in names[0]:
        if name.startswith("encoder"):
            kept = [torch.load(f / name, weights_only=True)["weights"] for f in (straight, cut)]
            assert all(torch.equal(value, kept[1][key]) for key, value in kept[0].items()), name
