"""A training that is killed, at any moment and often, beside one that is left alone.

    python killing.py TASK FOLDER LIVES HALVES

TASK is a Python file with ``train_in(folder, on_batch) -> (network, losses)``, which keeps its
checkpoint in ``folder/c.pt`` and goes on from one that is there, ``read_checkpoint(path)``, and
``BATCHES``, within so many of which a life ends. It is imported once, with torch, and those that
train are forked: one in ``FOLDER/straight`` and, one after the other, LIVES and a last one in
``FOLDER/cut``. A life is killed after a random number of batches and a random moment more or, if
HALVES (as ``{"4": "network"}``) names it, in the middle of writing a file with that entry.

Prints ``killed``, ``epochs_done`` and what was ``left`` half-written, life by life, as JSON.
"""

import json
import os
import random
import runpy
import signal
import sys
import time
from pathlib import Path

import torch


def main(task, folder, lives, halves):
    straight, cut = folder / "straight", folder / "cut"
    straight.mkdir()
    cut.mkdir()
    assert os.waitpid(child(whole, task, straight), 0)[1] == 0
    moments = random.Random(5)
    killed, epochs_done, left = [], [0], []
    for life in range(lives):
        if life in halves:
            pid = child(half_a_file, task, cut, halves[life])
        else:  # epochs of earlier lives count as one batch each
            batches = epochs_done[-1] + moments.randrange(task["BATCHES"])
            pid = killed_after(task, cut, batches, moments.uniform(0, 0.02))
        killed.append(os.WIFSIGNALED(os.waitpid(pid, 0)[1]))
        path = cut / "c.pt"
        epochs_done.append(len(task["read_checkpoint"](path)["history"]) if path.exists() else 0)
        left += [path.name for path in cut.glob(".*")]
    assert os.waitpid(child(whole, task, cut), 0)[1] == 0
    print(json.dumps({"killed": killed, "epochs_done": epochs_done, "left": left}))


def whole(task, folder, on_batch=None):
    network, losses = task["train_in"](folder, on_batch)
    torch.save(network.state_dict(), folder / "weights")
    (folder / "losses").write_text(json.dumps(losses))


def child(work, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            work(*arguments)
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    return pid


def half_a_file(task, folder, entry):
    write = torch.save

    def write_half(saved, file):
        write(saved, file)
        if entry not in saved:
            return
        file.truncate(file.tell() // 2)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    torch.save = write_half
    whole(task, folder)


def killed_after(task, folder, batches, seconds):
    reader, writer = os.pipe()
    pid = child(whole, task, folder, lambda _: os.write(writer, b"."))
    os.close(writer)
    for _ in range(batches):
        os.read(reader, 1)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return pid


if __name__ == "__main__":
    halves = {int(life): entry for life, entry in json.loads(sys.argv[4]).items()}
    main(runpy.run_path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), halves)
