"""What an encoder knows that learned to make faces, and what the faces need of it, level by level.

    .venv/bin/python benchmarks/transfer_probe.py runs/gan --data data/faces.h5

One ridge classifier a level for the *expression*, of people who were never seen, and one for the
*identity*: which training subject is in a window, learned on the first recording of each expression
and tested on the second. Windows are single TIE images. The untrained encoder (epoch 0) says what
follows from its shape alone; maps larger than 4×4 are averaged down to that.

``mse_exchanged`` is the error of validation faces when one level's activations are those of other
windows: where it is no larger than ``mse``, the faces do not depend on what that level says, and
making faces has taught it nothing about them. `--save` writes results/transfer_probe.csv and
results/transfer_needs.csv.
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
from conversion.pix2pix import Generator
from conversion.reconstruction.checkpoint import read_checkpoint
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
    config = replace(config, data=replace(config.data, root=str(arguments.data)))
    images = open_images(config, parts=("train", "test"))
    train, test = images.parts["train"], images.parts["test"]
    rows = []
    for path in sorted(run.encoders.glob("encoder-epoch*.pt")):
        encoder, about = load_encoder(path)
        rows += probes(encoder, train, test, epoch=int(about["epoch"]))
    seen = open_images(config, frames=True, parts=("validation",)).parts["validation"]
    needs = needed_levels(trained_generator(run, config), seen)
    for name, table in (("transfer_probe", rows), ("transfer_needs", needs)):
        print_table(name, table)
        if arguments.save:
            save_table(name, table)


def probes(encoder: Encoder, train: WindowImages, test: WindowImages, *, epoch: int) -> list[Row]:
    """Accuracy of both probes on every level, by window."""
    expressions = [torch.from_numpy(part.labels[part.recordings]) for part in (train, test)]
    people = torch.from_numpy(np.unique(train.subjects, return_inverse=True)[1][train.recordings])
    second = torch.from_numpy(_is_repeated(train)[train.recordings])
    rows = []
    features = zip(_features(encoder, train), _features(encoder, test), strict=True)
    for level, (seen, unseen) in zip(_names(encoder), features, strict=True):
        rows.append(
            {
                "epoch": epoch,
                "level": level,
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


def trained_generator(run: RunFolder, config: ReconstructionRunConfig) -> Generator:
    """The generator of a finished reconstruction."""
    generator = Generator(size=config.images.size, width=config.reconstruction.width)
    generator.load_state_dict(read_checkpoint(run.checkpoint)["parts"]["generator"])
    return generator.eval()


@torch.no_grad()
def needed_levels(generator: Generator, windows: WindowImages) -> list[Row]:
    """By level: the error of faces, and the error with that level's activations exchanged."""
    order = torch.randperm(len(windows.images), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(windows.images)[order].float() * 2 - 1
    assert windows.frames is not None  # asked for above
    faces = torch.from_numpy(windows.frames)[order].float()[:, None] / 255
    names = _names(generator.encoder)
    totals = dict.fromkeys(("none", *names), 0.0)
    for seen, true in zip(images.split(64), faces.split(64), strict=True):
        levels = list(generator.encoder.levels(seen))
        for level, name in enumerate(totals, start=-1):
            given = [v.roll(1, 0) if i == level else v for i, v in enumerate(levels)]
            error = ((generator.decode(given) + 1) / 2 - true).square().mean((1, 2, 3))
            totals[name] += float(error.sum())
    n = len(images)
    error = totals["none"] / n
    return [{"level": k, "mse": error, "mse_exchanged": totals[k] / n} for k in names]


def _names(encoder: Encoder) -> list[str]:
    return [f"e{i + 1}" for i in range(len(encoder.channels))] + ["bottleneck"]


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
