"""``spikeface fit``: files of others and our own, run folders, the terminal, the warning."""

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import h5py
import numpy as np
import pytest

from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Conv, Dense
from spikeface.cli import main
from spikeface.config import CONFIGS, load_config, to_toml
from spikeface.runs import RunFolder

CONTRACT = {"cores", "cores_lower_bound", "chips", "binding", "layers"}


def asked(capsys, *arguments):
    assert main(["fit", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def section_of(capsys, *arguments):
    return json.loads(asked(capsys, *arguments, "--json"))


def _intels(name):
    try:
        files = distribution("lava-dl").files or ()
    except PackageNotFoundError:
        return None
    found = (Path(f.locate()).parent / name for f in files if f.match("netx/tiny.net"))
    return next(found, None)


def small():
    rng = np.random.default_rng(0)

    def weights(*shape):
        return (2 * rng.integers(-60, 60, shape)).astype(np.int32)

    return ChipNetwork(
        input_shape=(2, 64, 64),
        populations=(
            Cuba(name="conv", shape=(8, 32, 32), du=4096, dv=400, vth=300),
            Cuba(name="out", shape=(4,), du=4096, dv=200, vth=200),
        ),
        synapses=(
            Conv(sources=(INPUT,), target="conv", weight=weights(8, 2, 3, 3), stride=(2, 2),
                 padding=(1, 1)),
            Dense(sources=("conv",), target="out", weight=weights(4, 8192)),
        ),
        metadata={"n_steps": 12, "dt_us": 1000},
    )  # fmt: skip


@pytest.fixture
def chip(tmp_path):
    path = tmp_path / "small.chip"
    save_network(small(), path)
    return path


# -- files ----------------------------------------------------------------------------------------
@pytest.mark.skipif(_intels("tiny.net") is None, reason="lava-dl, which brings it, is absent")
def test_intels_pilotnet_takes_what_intels_compiler_took(capsys):
    section = section_of(capsys, _intels("gts/pilotnet_lif/network.net"))
    assert set(section) >= CONTRACT
    assert (section["cores"], section["chips"]) == (74, 1)
    assert section["cores_lower_bound"] <= 74
    assert section["binding"] == "neurons per core"
    assert [row["cores"] for row in section["layers"]] == [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]


def sigma_delta_file(path):
    """PilotNet of lava-dl's tutorial, written as lava-dl writes: 9 layers behind an encoder."""
    rng = np.random.default_rng(0)
    neuron = {"type": "SDNN", "vThMant": 5.0}
    one = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    two = one | {"stride": (2, 2)}
    layers = [{"type": "input", "shape": (3, 66, 200)}]
    convolutions = [
        (24, 3, (24, 32, 99), two),
        (36, 24, (36, 15, 49), two),
        (48, 36, (48, 7, 24), two),
        (64, 48, (64, 4, 22), one | {"stride": (2, 1), "padding": (1, 0)}),
        (64, 64, (64, 2, 20), one),
    ]
    for channels, source, shape, geometry in convolutions:
        weight = 2 * rng.integers(-20, 20, (channels, source, 3, 3))
        layers.append({"type": "conv", "shape": shape, "weight": weight} | geometry)
    layers.append({"type": "flatten", "shape": (2560,)})
    for n, rows in ((100, 2560), (50, 100), (10, 50), (1, 10)):
        weight = 2 * rng.integers(-20, 20, (n, rows))
        layers.append({"type": "dense", "shape": (n,), "weight": weight})
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            has_neurons = layer["type"] != "flatten"
            fields = layer | ({f"neuron/{k}": v for k, v in neuron.items()} if has_neurons else {})
            for name, value in fields.items():
                file[f"layer/{index}/{name}"] = value


def test_a_sigma_delta_pilotnet_takes_what_intels_compiler_took(tmp_path, capsys):
    sigma_delta_file(tmp_path / "pilotnet.net")
    section = section_of(capsys, tmp_path / "pilotnet.net")
    assert [row["cores"] for row in section["layers"]] == [0, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    assert section["cores"] == 61
    assert any("host encodes" in note for note in section["notes"])


def test_the_same_options_as_compile(tmp_path, chip, capsys):
    sigma_delta_file(tmp_path / "pilotnet.net")
    section = section_of(capsys, tmp_path / "pilotnet.net", "--layers", "3")
    assert section["cores"] == 25 + 13
    assert main(["fit", str(chip), "--reset", "zero"]) == 2
    assert "only a .nir file" in capsys.readouterr().err
    assert main(["fit", str(tmp_path / "absent.net")]) == 1


# -- the terminal ---------------------------------------------------------------------------------
def test_the_table_is_readable_in_100_columns(chip, capsys):
    """8 channels of 32 x 32: 8 columns of 256 neurons a core; 8192 rows of 1 unit."""
    lines = asked(capsys, chip).splitlines()
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert lines[0].startswith("Loihi 2, estimated: about 5 cores, 1 chip of 120 cores")
    assert re.search(r"conv +conv 3×3 /2 +8,192 +144 +4 +1 +8×32×8 +neurons", text)
    assert re.search(r"out +dense +4 +32.8k +1 +1 +4$", text, re.MULTILINE)
    assert "design rules: " in text and " 0 broken" in text
    assert "Loihi 1 by its published rule" in text
    assert "4 of 5 for Oxford" in text


def test_loihi_1_has_its_own_table(chip, capsys):
    text = asked(capsys, chip, "--chip", "loihi1")
    assert text.startswith("Loihi 1, estimated: at least ")
    assert "axons in" in text
    section = section_of(capsys, chip, "--chip", "loihi1")
    assert set(section) >= CONTRACT
    assert section["chip"] == "Loihi 1"


def test_broken_rules_are_in_the_table(tmp_path, capsys):
    network = ChipNetwork(
        input_shape=(13_000,),
        populations=(Cuba(name="out", shape=(2,), du=4096, dv=9, vth=9, reset="subtract"),),
        synapses=(Dense(sources=(INPUT,), target="out", weight=np.full((2, 13_000), 2, np.int32)),),
    )
    save_network(network, tmp_path / "large.chip")
    text = " ".join(asked(capsys, tmp_path / "large.chip").split())  # lines are wrapped
    assert "2 broken" in text
    assert "BROKEN: out: synaptic memory of one neuron: 13,000 needed, 12,000 available" in text
    assert "reset by subtraction" in text


# -- runs -----------------------------------------------------------------------------------------
def test_a_run_keeps_its_fit(tmp_path, capsys):
    config = load_config(CONFIGS / "quick-norse.toml")
    run = RunFolder.create(tmp_path / "run", to_toml(config))
    assert main(["fit", str(run.path)]) == 1
    assert "spikeface train" in capsys.readouterr().err
    save_network(small(), run.chip)
    run.update_report(name="a run")
    section = section_of(capsys, run.path)
    report = run.read_report()
    assert report["fit"] == section
    assert report["name"] == "a run"
    assert section["layers"][0]["layer"] == "conv"
    page = run.page.read_text(encoding="utf-8")
    assert "neurocores" in page
