"""``spikeface metrics``, a user's energies in TOML, and how both are shown."""

import json
from pathlib import Path

import numpy as np
import pytest

from hardware.analysis.metrics import observe
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Conv, Dense
from spikeface.cli import main
from spikeface.errors import ConfigError
from spikeface.steps.prices import read_prices
from spikeface.steps.sections import energy_section, metrics_section
from spikeface.text.metrics import bars
from spikeface.text.summary import report_lines

EXAMPLE = Path(__file__).parents[2] / "configs/energy/example.toml"
NIR = Path(__file__).parents[3] / "shared/data/nir/cnn_sinabs.nir"


def call(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def network():
    """2×5×5 to 3×3×3 to 4, neurons that forget within a step."""
    forgets = {"du": 4096, "dv": 4096, "vth": 2}
    rng = np.random.default_rng(0)
    return ChipNetwork(
        input_shape=(2, 5, 5),
        populations=(
            Cuba(name="conv", shape=(3, 3, 3), **forgets),
            Cuba(name="out", shape=(4,), **forgets),
        ),
        synapses=(
            Conv(
                sources=("input",),
                target="conv",
                weight=(2 * rng.integers(0, 3, (3, 2, 3, 3))).astype(np.int32),
                stride=(2, 2),
                padding=(1, 1),
            ),
            Dense(sources=("conv",), target="out", weight=np.full((4, 27), 2, np.int32)),
        ),
        metadata={"n_steps": 6, "dt_us": 1000},
    )


@pytest.fixture
def file(network, tmp_path):
    """The network in a file."""
    save_network(network, tmp_path / "toy.chip")
    return tmp_path / "toy.chip"


def test_metrics_of_a_file(file, capsys):
    code, out, _ = call(capsys, "metrics", file, "--input", "random:0.2", "--samples", 3, "--json")
    assert code == 0
    section = json.loads(out)
    assert (section["tag"], section["samples"], section["n_steps"]) == ("simulated", 3, 6)
    assert section["parameter_count"] == 3 * 2 * 9 + 4 * 27
    assert set(section["over_time"]) == {"input", "conv", "out"}
    by_step = {name: sum(values) for name, values in section["over_time"].items()}
    spikes = {row["layer"]: row["spikes"] for row in section["layers"]}
    assert by_step["conv"] == pytest.approx(spikes["conv"]) and spikes["conv"] > 0
    operations = section["synaptic_operations"]
    assert 0 < operations["effective_acs"] < operations["dense"] < operations["dense_padded"]
    code, other, _ = call(
        capsys, "metrics", file, "--input", "random:0.2", "--samples", 3, "--on", "reference",
        "--json",
    )  # fmt: skip
    same = json.loads(other) | {"backend": "simulator"}
    assert code == 0 and same == section


def test_metrics_in_words(file, capsys):
    code, out, _ = call(capsys, "metrics", file)
    assert code == 0
    for word in ("footprint", "connection sparsity", "effective ACs", "membrane updates", "dense"):
        assert word in out
    assert "6 steps" in out and "NeuroBench 2.3" in out and "largest" in out


@pytest.mark.skipif(not NIR.exists(), reason="the NIR file is not at hand")
def test_metrics_of_the_nir_of_another_framework(capsys):
    code, out, _ = call(
        capsys, "metrics", NIR, "--written-by", "sinabs", "--dt", "0.001", "--steps", 8, "--json"
    )
    section = json.loads(out)
    assert code == 0
    assert section["synaptic_operations"]["effective_macs"] == 0
    assert section["membrane_updates"] > 0


def test_a_network_that_is_not_there(tmp_path, capsys):
    code, out, err = call(capsys, "metrics", tmp_path / "none.nir")
    assert code == 1 and not out
    assert "there is no such file" in err


def test_bars_show_every_step_that_has_anything():
    assert bars([0, 1, 1000]) == " ▁█"
    assert bars([0, 0]) == "  "
    assert len(bars([1.0] * 100)) <= 32


# -- energies --------------------------------------------------------------------------------------


@pytest.fixture
def run(network):
    """Its answers to a few random samples."""
    spikes = (np.random.default_rng(1).random((2, 6, 2, 5, 5)) < 0.3).astype(np.uint8)
    return network, spikes, Simulator().run(network, spikes)


def test_the_section_says_where_every_number_is_from(run):
    network, _, result = run
    section = energy_section(network, result, n_steps=6, duration_s=0.006)
    assert section["tag"] == "estimated" and section["per"] == "clip of 0.006 s"
    levels = [row["level"] for row in section["rows"]]
    assert levels[:3] == ["low", "nominal", "high"] and set(levels[3:]) == {"reference"}
    assert all(row["device"].startswith("Loihi 1") for row in section["rows"][:3])
    for constant in section["constants"]:
        assert constant["source"] and constant["evidence"] and constant["unit"]
    assert {anchor["tag"] for anchor in section["anchors"]} == {"measured"}
    assert any("0.26" in limit for limit in section["limits"])
    json.dumps(section)


def test_the_table_has_static_dynamic_and_total(run):
    network, spikes, result = run
    section = energy_section(network, result, n_steps=6, duration_s=0.006)
    metrics = metrics_section(network, observe(network, spikes))
    lines = "\n".join(report_lines({"energy": section, "metrics": metrics}))
    high = next(line for line in lines.splitlines() if "always on (high)" in line)
    dynamic, static, total = high.rsplit(maxsplit=6)[1::2]
    dynamic_nj = section["rows"][2]["dynamic_nj"]
    assert high.endswith(" µJ") and float(static) == pytest.approx(3.34 / 32 * 6e3, abs=0.5)
    assert float(dynamic) == pytest.approx(dynamic_nj, rel=5e-3)
    assert float(total) == pytest.approx(float(static) + dynamic_nj * 1e-3, abs=1)
    assert "left out" in lines and "source (secondary): Davies" in lines
    assert "source (primary): SANA-FE" in lines and "Loihi 2 is not priced" in lines


def test_the_example_prices_a_device(run):
    network, _, result = run
    prices = read_prices(EXAMPLE)
    section = energy_section(network, result, n_steps=6, duration_s=0.006, prices=prices)
    (mine,) = (row for row in section["rows"] if row["device"] == "My accelerator")
    assert mine["static_nj"] == pytest.approx(12e-3 * 0.006 * 1e9)
    synops = sum(int(s.sum()) for s in result.synops.values()) / 2
    spikes = sum(int(result.spikes[name].sum()) for name in ("conv", "out")) / 2
    expected = synops * 1.5 + spikes * (4.0 + 0.5) + (6 * 31 - spikes) * 2.0
    assert mine["dynamic_nj"] == pytest.approx(expected * 1e-3)
    assert any("page 13" in constant["source"] for constant in section["constants"])
    assert "keyword spotting" in section["anchors"][-1]["workload"]


def test_anchors_alone_are_enough(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[[anchors]]\nworkload = "w on Loihi 2"\nfigure = "1 mJ"\nsource = "us"\n')
    prices = read_prices(path)
    assert len(prices.profiles) == 3 and prices.anchors[-1].workload == "w on Loihi 2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("[profiel]\n", "unknown profiel"),
        ("profile = 3\n", "profile is a section"),
        ('[profile]\ndevice = "Loihi 2"\n', "no energy per operation has been published"),
        ('[profile]\ndevice = "x"\n', "synaptic_operation is missing"),
        ("[profile\n", "not readable as TOML"),
        ("anchors = 3\n", "each under [[anchors]]"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, text, said):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_prices(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


@pytest.mark.parametrize("others", [["--input", "a.bin"], ["--on", "lava"]])
def test_an_energy_profile_that_would_be_ignored_is_refused(tmp_path, capsys, others):
    (tmp_path / "config.toml").touch()
    (tmp_path / "network.chip").touch()
    code, _, err = call(capsys, "run", tmp_path, "--energy-profile", EXAMPLE, *others)
    assert code == 2
    assert "--energy-profile" in err and "simulator" in err
