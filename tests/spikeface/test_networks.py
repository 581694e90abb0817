"""compile, simulate and parity: networks from files, on inputs from files."""

import json
from itertools import pairwise

import nir
import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.reference import Reference
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import load_network, save_network
from hardware.chip.synapses import Conv, Dense
from spikeface.cli import main

needs_lava = pytest.mark.skipif(
    not LavaBackend().is_available(), reason=LavaBackend().is_available().reason
)
SHAPE = (2, 8, 8)


@pytest.fixture
def chip(tmp_path):
    """A file with a small network of integers."""
    rng = np.random.default_rng(0)
    network = ChipNetwork(
        input_shape=SHAPE,
        populations=(
            Cuba(name="conv", shape=(3, 4, 4), du=4096, dv=400, vth=300),
            Cuba(name="out", shape=(4,), du=4096, dv=200, vth=200, bias_mant=3),
        ),
        synapses=(
            Conv(
                sources=(INPUT,),
                target="conv",
                weight=weights(rng, 3, 2, 3, 3),
                stride=(2, 2),
                padding=(1, 1),
            ),
            Dense(sources=("conv",), target="out", weight=weights(rng, 4, 48)),
        ),
        metadata={"n_steps": 12, "dt_us": 1000},
    )
    path = tmp_path / "small.chip"
    save_network(network, path)
    return path


@pytest.fixture
def graph(tmp_path):
    """A NIR file whose neurons say nothing about time or reset."""
    rng = np.random.default_rng(1)

    def neurons(*shape):
        tau, one = np.full(shape, 1e-3), np.ones(shape)
        return nir.LIF(tau=tau, r=10 * one, v_leak=0 * one, v_threshold=one)

    nodes = [
        nir.Input(input_type=np.array(SHAPE)),
        nir.Conv2d(
            input_shape=SHAPE[1:],
            weight=rng.normal(0.1, 0.4, (3, 2, 3, 3)),
            stride=2,
            padding=1,
            dilation=1,
            groups=1,
            bias=np.zeros(3),
        ),
        neurons(3, 4, 4),
        nir.Flatten(input_type=np.array([3, 4, 4]), start_dim=0, end_dim=-1),
        nir.Affine(weight=rng.normal(0.1, 0.4, (4, 48)), bias=np.zeros(4)),
        neurons(4),
        nir.Output(output_type=np.array([4])),
    ]
    names = ("input", "conv", "spikes", "flat", "fc", "out", "output")
    edges = list(pairwise(names))
    path = tmp_path / "small.nir"
    nir.write(path, nir.NIRGraph(dict(zip(names, nodes, strict=True)), edges))
    return path


def weights(rng, *shape):
    return (2 * rng.integers(-90, 128, shape)).astype(np.int32)


def called(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_simulate_counts_what_the_specification_counts(chip, capsys, tmp_path):
    saved = tmp_path / "out.npz"
    arguments = ("simulate", chip, "--input", "random:0.2", "--samples", 3, "--save", saved)
    code, out, _ = called(capsys, *arguments, "--json")
    assert code == 0
    section = json.loads(out)
    with np.load(saved) as arrays:
        spikes, kept = arrays["input"], {key: arrays[key] for key in arrays.files}
    assert spikes.shape == (3, 12, *SHAPE) and 0.15 < spikes.mean() < 0.25
    network = load_network(chip)
    run = Reference().run(network, spikes, probes=every(network, "spikes"))
    for row in section["layers"]:
        name = row["layer"]
        assert row["spikes"] == run.spikes[name].mean() and row["spikes"] > 0
        assert row["synops"] == run.synops[name].mean()
        np.testing.assert_array_equal(kept[f"spikes:{name}"], run.traces[name, "spikes"])
    assert section["output"] == run.output.tolist()
    code, _, err = called(capsys, *arguments)
    assert code == 1 and "exists already" in err
    code, out, _ = called(capsys, "simulate", chip, "--on", "reference")
    assert code == 0 and "conv" in out and "synaptic operations" in out


def test_strict_names_layer_and_neuron(tmp_path, capsys):
    network = ChipNetwork(
        input_shape=(1,),
        populations=(Cuba(name="n", shape=(1,), du=0, dv=0, vth=2**17 - 1),),
        synapses=(
            Dense(sources=(INPUT,), target="n", weight=np.full((1, 1), 254, "i4"), weight_exp=7),
        ),
    )
    save_network(network, tmp_path / "n.chip")
    arguments = ("simulate", tmp_path / "n.chip", "--input", "random:1", "--steps", 90)
    assert called(capsys, *arguments)[0] == 0
    code, _, err = called(capsys, *arguments, "--strict")
    assert code == 1 and "n: " in err and "in neuron (0,)" in err


def test_parity_of_integers(chip, capsys, tmp_path):
    out = tmp_path / "parity"
    code, printed, _ = called(
        capsys, "parity", chip, "--on", "simulator", "--out", out, "--input", "random:0.2"
    )
    assert code == 0, printed
    assert "integers -> simulator" in printed and "every message of every layer equal" in printed
    names = {path.name for path in out.iterdir()}
    assert names == {"parity.json", "parity.html", "integers-to-simulator.svg"}
    page = (out / "parity.html").read_text()
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    code, _, err = called(capsys, "parity", chip, "--out", out)
    assert code == 1 and "exists already" in err


@needs_lava
def test_parity_from_floats_to_lava(graph, capsys, tmp_path):
    out = tmp_path / "parity"
    code, printed, _ = called(
        capsys, "parity", graph, "--out", out, "--input", "random:0.1", "--samples", 2, "--json"
    )
    assert code == 0, printed
    section = json.loads(printed)
    stages = ["float", "quantised float", "integers", "simulator", "lava"]
    assert [hop["expected"] for hop in section["hops"]] == stages[:-1]
    assert [hop["found"] for hop in section["hops"]] == stages[1:]
    assert all(hop["equal"] for hop in section["hops"][2:])
    assert any("dt" in assumption for assumption in section["assumptions"])
    assert any("reset" in assumption for assumption in section["assumptions"])
    for hop in section["hops"]:
        assert (out / hop["figure"]).read_text().startswith("<?xml")


def test_compile_from_nir_to_integers_to_lava_dl(graph, capsys, tmp_path):
    chip, net = tmp_path / "a.chip", tmp_path / "a.net"
    code, out, _ = called(capsys, "compile", graph, chip, "--dt", 2e-4)
    assert code == 0 and "weight SQNR" in out
    assert called(capsys, "compile", chip, net)[0] == 0
    runs = [
        json.loads(called(capsys, "simulate", path, "--input", "random:0.1", "--json")[1])
        for path in (chip, net)
    ]
    assert runs[0]["output"] == runs[1]["output"]
    assert sum(row["spikes"] for row in runs[0]["layers"]) > 0
    code, _, err = called(capsys, "compile", graph, chip)
    assert code == 1 and "--force" in err
    assert called(capsys, "compile", graph, chip, "--force")[0] == 0
    code, _, err = called(capsys, "compile", graph, tmp_path / "a.txt")
    assert code == 2 and ".chip or .net" in err


BAD_INPUTS = {
    "missing": (None, "no such file"),
    "shape": (np.zeros((3, 4), np.uint8), "the network takes (N, T, 2, 8, 8)"),
    "floats": (np.full((1, 4, *SHAPE), 0.5), "whole numbers or bool"),
    "values": (np.full((1, 4, *SHAPE), 3, np.uint8), "spikes must be 0 or 1"),
    "objects": (np.array([{}]), "not a readable array file"),
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_is_one_clear_error(chip, tmp_path, capsys, kind):
    array, message = BAD_INPUTS[kind]
    path = tmp_path / "x.npy"
    if array is not None:
        np.save(path, array, allow_pickle=True)
    code, out, err = called(capsys, "simulate", chip, "--input", path)
    assert code == 1 and message in err and not out
    assert err.count("\n") <= 2


def test_one_sample_may_come_without_its_axis(chip, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((5, *SHAPE), bool))
    code, out, _ = called(capsys, "simulate", chip, "--input", tmp_path / "x.npy", "--json")
    section = json.loads(out)
    assert code == 0 and (section["samples"], section["n_steps"]) == (1, 5)


def test_rates_outside_of_zero_to_one(chip, capsys):
    for rate in ("0", "1.5", "often"):
        code, _, err = called(capsys, "simulate", chip, "--input", f"random:{rate}")
        assert code == 2 and "(0, 1]" in err


def test_unknown_and_missing_networks(tmp_path, capsys):
    (tmp_path / "n.onnx").write_text("")
    assert called(capsys, "simulate", tmp_path / "n.onnx")[0] == 2
    for name in ("n.nir", "n.net", "n.chip"):
        code, _, err = called(capsys, "simulate", tmp_path / name)
        assert code == 1 and name in err and "Traceback" not in err


def test_whole_numbers_may_come_as_floats_and_arrays_are_cut(chip, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((4, 9, *SHAPE)))
    arguments = ("simulate", chip, "--input", tmp_path / "x.npy", "--json")
    code, out, _ = called(capsys, *arguments, "--samples", 2, "--steps", 5)
    section = json.loads(out)
    assert code == 0 and (section["samples"], section["n_steps"]) == (2, 5)
    code, _, err = called(capsys, *arguments, "--steps", 10)
    assert code == 1 and "holds 9 steps, 10 are asked for" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dt", "0.001"), "only a .nir file"),
        (("--layers", "1"), "lava-dl's .net files"),
        (("--dt-us", "5"), "--dt-us: means nothing for random input"),
        (("--on", "lava", "--strict"), "--strict: Lava does not look"),
    ],
)
def test_options_that_would_be_ignored_are_refused(chip, capsys, arguments, message):
    code, _, err = called(capsys, "simulate", chip, *arguments)
    assert code == 2 and message in err


@pytest.mark.parametrize("option", ["--samples", "--steps", "--timeout", "--dt"])
def test_numbers_below_one_are_wrong_usage(chip, capsys, option):
    for value in ("0", "-1", "often"):
        with pytest.raises(SystemExit) as caught:
            main(["simulate", str(chip), option, value])
        assert caught.value.code == 2 and option in capsys.readouterr().err


def test_input_beyond_memory_is_refused_before_it_is_made(chip, capsys):
    code, _, err = called(capsys, "simulate", chip, "--samples", 10**12)
    assert code == 1 and "are held at once" in err


def test_simulate_says_what_it_assumed_and_what_was_silent(graph, capsys):
    code, out, _ = called(capsys, "simulate", graph, "--dt", "1e-9")
    assert code == 0
    assert "assumed: reset to zero" in out
    assert "nothing was sent by spikes, out" in out
    assert out.splitlines()[-1] == "largest output (messages): -"


def test_folders_that_cannot_be_written_are_noticed_first(chip, tmp_path, capsys):
    code, _, err = called(capsys, "simulate", chip, "--save", tmp_path / "none" / "x.npz")
    assert code == 1 and "there is no folder" in err
    (tmp_path / "file").write_text("")
    code, _, err = called(capsys, "parity", chip, "--out", tmp_path / "file" / "x")
    assert code == 1 and "cannot be written" in err


def test_a_failed_comparison_leaves_no_folder(chip, tmp_path, capsys):
    out = tmp_path / "parity"
    assert called(capsys, "parity", chip, "--input", tmp_path / "none.npy", "--out", out)[0] == 1
    assert not out.exists()
