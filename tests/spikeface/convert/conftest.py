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
    run = folder / "rate"
    arguments = ["convert", str(folder / "single"), "--out", str(run), "--code", "rate"]
    sets = given("conversion.steps=[2, 6]")
    assert main([*arguments, "--on", "simulator", *sets]) == 0
    return run


@pytest.fixture(scope="session")
def graded(folder):
    run = folder / "graded"
    arguments = ["convert", str(folder / "lstm"), "--out", str(run), "--code", "graded"]
    assert main([*arguments, "--on", "simulator", *given("conversion.input_bits=5")]) == 0
    return run


@pytest.fixture(scope="session")
def sigma_delta(folder):
    run = folder / "sigma_delta"
    arguments = ["convert", str(folder / "single"), "--out", str(run), "--code", "sigma-delta"]
    assert main([*arguments, "--on", "simulator", *given("conversion.deltas=[0.05]")]) == 0
    return run
