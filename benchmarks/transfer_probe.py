"""What an encoder knows that learned to make faces: linear probes of each of its levels.

    .venv/bin/python benchmarks/transfer_probe.py runs/gan --data data/faces.h5

One ridge classifier a level for the *expression*, of people who were never seen, and one for the
*identity*: which training subject is in a window, learned on the first recording of each expression
and tested on the second. Windows are single TIE images. The untrained encoder (epoch 0) says what
follows from its shape alone; maps larger than 4×4 are averaged down to that. `--save` writes
results/transfer_probe.csv.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measuring import Row, print_table, save_table

from conversion.encoder import Encoder, load_encoder
from conversion.images import WindowImages
from conversion.similarity import linear_probe
from spikeface.config import ReconstructionRunConfig, load_run_config
from spikeface.runs import RunFolder
from spikeface.steps.images import open_images

SIDE = 4
RIDGE = 0.1


def main() -> None:
    """Parse the command line, probe, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a reconstruction run on rendered faces")
    parser.add_argument("--data", type=Path, required=True, help="its faces")
    parser.add_argument("--save", action="store_true", help="write results/transfer_probe.csv")
    arguments = parser.parse_args()
    run = RunFolder.open(arguments.run)
    config = load_run_config(run.config)
    assert isinstance(config, ReconstructionRunConfig)
    images = open_images(
        replace(config, data=replace(config.data, root=str(arguments.data))),
        parts=("train", "test"),
    )
    train, test = images.parts["train"], images.parts["test"]
    rows = []
    for path in sorted(run.encoders.glob("encoder-epoch*.pt")):
        encoder, about = load_encoder(path)
        rows += probes(encoder, train, test, epoch=int(about["epoch"]))
        print_table("transfer_probe", rows)
    if arguments.save:
        save_table("transfer_probe", rows)


def probes(encoder: Encoder, train: WindowImages, test: WindowImages, *, epoch: int) -> list[Row]:
    """Accuracy of both probes on every level, by window."""
    expressions = [torch.from_numpy(part.labels[part.recordings]) for part in (train, test)]
    people = torch.from_numpy(np.unique(train.subjects, return_inverse=True)[1][train.recordings])
    second = torch.from_numpy(_is_repeated(train)[train.recordings])
    rows = []
    for level, (seen, unseen) in enumerate(
        zip(_features(encoder, train), _features(encoder, test), strict=True)
    ):
        rows.append(
            {
                "epoch": epoch,
                "level": "bottleneck" if level == len(encoder.channels) else f"e{level + 1}",
                "features": seen.shape[1],
                "expression": linear_probe(
                    seen, expressions[0], unseen, expressions[1], ridge=RIDGE
                ),
                "identity": linear_probe(
                    seen[~second], people[~second], seen[second], people[second], ridge=RIDGE
                ),
                "chance_expression": 1 / len(expressions[0].unique()),
                "chance_identity": 1 / len(people.unique()),
            }
        )
    return rows


def _is_repeated(windows: WindowImages) -> np.ndarray:
    """Whether a recording is not the first of its subject and class."""
    keys = [json.dumps([s, int(k)]) for s, k in zip(windows.subjects, windows.labels, strict=True)]
    first = np.unique(keys, return_index=True)[1]
    return ~np.isin(np.arange(len(keys)), first)


@torch.no_grad()
def _features(encoder: Encoder, windows: WindowImages) -> list[torch.Tensor]:
    """Features of every level, ``[N, F]``."""
    batches = []
    for images in torch.from_numpy(windows.images).split(256):
        levels = encoder.levels(images.float() * 2 - 1)
        batches.append([_small(level).flatten(1) for level in levels])
    return [torch.cat(parts) for parts in zip(*batches, strict=True)]


def _small(level: torch.Tensor) -> torch.Tensor:
    side = min(SIDE, level.shape[-1])
    return torch.nn.functional.adaptive_avg_pool2d(level, side)


if __name__ == "__main__":
    main()
