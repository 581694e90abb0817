"""Faces, two classifiers and a conversion of each code, made once."""

import pytest
from conversions import CLASSIFIER, given

from spikeface.cli import main


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Faces, a classifier on single images and one with an LSTM over two."""
    folder = tmp_path_factory.mktemp("convert")
    toml, data = folder / "classifier.toml", folder / "faces.h5"
    toml.write_text(CLASSIFIER)
    assert main(["faces", str(data), "--config", str(toml), "--workers", "1"]) == 0
    given = ["--data", str(data)]
    lstm = ["transfer.window=2", "transfer.lstm_layers=1", "transfer.lstm_hidden=4"]
    sets = [word for text in lstm for word in ("--set", text)]
    assert main(["train", str(toml), *given, "--out", str(folder / "single")]) == 0
    assert main(["train", str(toml), *given, "--out", str(folder / "lstm"), *sets]) == 0
    return folder


@pytest.fixture(scope="session")
def rate(folder):
    return converted(folder, "single", "rate", "conversion.steps=[2, 6]")


@pytest.fixture(scope="session")
def graded(folder):
    return converted(folder, "lstm", "graded", "conversion.input_bits=5")


@pytest.fixture(scope="session")
def sigma_delta(folder):
    return converted(folder, "single", "sigma-delta", "conversion.deltas=[0.05]")


def converted(folder, classifier, code, *assignments):
    """The run of one conversion, up to the simulator."""
    run = folder / code.replace("-", "_")
    arguments = ["convert", str(folder / classifier), "--out", str(run), "--code", code]
    assert main([*arguments, "--on", "simulator", *given(*assignments)]) == 0
    return run
