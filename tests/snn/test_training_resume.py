"""A training that is killed, at any moment and often, ends with the same weights."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

# One process imports torch and forks those that are killed: after a random number of batches and a
# random moment more, and once in the middle of writing a checkpoint.
SCRIPT = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
import snn.engines.blocks, snn.engines.norse
from snn.models import ModelConfig, build
from snn.training import AugmentConfig, Split, TrainingConfig, read_checkpoint, train

# What torch imports when it is first used is imported here: children spend their lives training.
torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).step()
folder = Path(sys.argv[1])
rng = torch.Generator().manual_seed(0)
split = Split(
    (torch.rand(40, 6, 2, 12, 12, generator=rng) < 0.1).byte(), torch.arange(40) % 2
)
config = TrainingConfig(
    epochs=12, batch_size=8, grid_share=0.34, augment=AugmentConfig(flip=0.5, shift=1, drop=0.1)
)

def whole(path, on_batch=None):
    torch.set_num_threads(1)
    torch.manual_seed(3)
    model = ModelConfig(channels=(4, 8), kernels=(3, 3), hidden=0)
    network = build(model, input_shape=(2, 12, 12), n_classes=2, n_steps=6)
    history = train(network, split, split, config, checkpoint=path, on_batch=on_batch)
    torch.save(network.state_dict(), path.with_suffix(".weights"))
    path.with_suffix(".losses").write_text(json.dumps([row.loss for row in history]))

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

def half_a_checkpoint():
    write = torch.save
    def write_half(saved, file):
        write(saved, file)
        file.truncate(file.tell() // 2)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    torch.save = write_half
    whole(cut)

def killed_after(batches, seconds):
    reader, writer = os.pipe()
    pid = child(lambda: whole(cut, on_batch=lambda clips: os.write(writer, b".")))
    os.close(writer)
    for _ in range(batches):
        os.read(reader, 1)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return pid

cut = folder / "cut.pt"
assert os.waitpid(child(lambda: whole(folder / "straight.pt")), 0)[1] == 0
moments = random.Random(5)
killed, epochs_done, left = [], [0], []
for attempt in range(10):
    if attempt == 4:
        pid = child(half_a_checkpoint)
    else:  # epochs of earlier lives count as one batch each
        pid = killed_after(epochs_done[-1] + moments.randrange(10), moments.uniform(0, 0.02))
    killed.append(os.WIFSIGNALED(os.waitpid(pid, 0)[1]))
    epochs_done.append(len(read_checkpoint(cut)["history"]) if cut.exists() else 0)
    left += [path.name for path in folder.glob(".*")]
assert os.waitpid(child(lambda: whole(cut)), 0)[1] == 0
print(json.dumps({"killed": killed, "epochs_done": epochs_done, "left": left}))
"""


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert all(report["killed"])
    assert report["left"]  # half a checkpoint was there and has been cleaned up
    assert report["epochs_done"] == sorted(report["epochs_done"])
    assert len(set(report["epochs_done"])) > 3, report  # kills fell into different epochs
    assert not list(tmp_path.glob(".*"))
    straight, cut = (torch.load(tmp_path / f"{name}.weights") for name in ("straight", "cut"))
    assert straight.keys() == cut.keys()
    for name, value in straight.items():
        assert torch.equal(value, cut[name]), name
    losses = [json.loads((tmp_path / f"{n}.losses").read_text()) for n in ("straight", "cut")]
    assert losses[0] == losses[1] and len(losses[0]) == 12
