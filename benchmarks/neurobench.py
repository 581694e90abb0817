"""Our metrics beside those of NeuroBench's own harness, on networks that both can run.

NeuroBench counts with hooks on torch; it runs in an environment of its own::

    uv venv --python 3.10 /tmp/peers
    uv pip install --python /tmp/peers/bin/python neurobench==2.3.0 snntorch==1.0.0 torch==2.3.1 \\
        "numpy<2"
    .venv/bin/python benchmarks/neurobench.py --peers /tmp/peers/bin/python

Weights, thresholds and input are whole numbers and leaks are halves, so floats and integers agree
to the last bit: every spike is compared before any metric is. ``--save`` writes
``results/neurobench.csv``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.analysis.metrics import Metrics, metrics_of, observe
from hardware.backends.backend import every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Conv, Dense, Weighted

PEER = Path(__file__).with_name("neurobench_peer.py")
STEPS = 6  # halving a voltage of 1 / 64 more often would round
SAMPLES = 5
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A network, its input, and how many samples NeuroBench takes at once."""

    name: str
    network: ChipNetwork
    spikes: np.ndarray
    batch: int


def cases() -> Iterator[Case]:
    """Borders, strides, groups, biases, both resets, values as input, and a residual sum."""
    leaky = {"dv": 2048, "reset": "zero"}
    held = {"dv": 0, "reset": "subtract"}
    yield Case("leak, reset to zero", _chain(leaky), _input(2), batch=2)
    # What a subtraction leaves stays below the threshold; snnTorch would take it away once more.
    high = _chain(held, seed=5, thresholds=(600, 500, 500))
    yield Case("no leak, subtraction", high, _input(2), batch=SAMPLES)
    values = _input(8)
    values[:, ::2] = np.minimum(values[:, ::2], 1)  # every other step has spikes only
    yield Case("values as input", _chain(leaky, input_bits=3), values, batch=1)
    yield Case("residual sum", _residual(leaky), _input(2), batch=1)


def compare(python: str, case: Case) -> tuple[list[Row], dict[str, str]]:
    """Both counts of every metric, and the versions of the peers.

    Raises
    ------
    SystemExit
        When the peer fails, or a spike differs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _hand_over(case, folder)
        run = subprocess.run(
            [python, "-I", str(PEER), str(folder)], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise SystemExit(f"NeuroBench failed on {case.name!r}:\n{run.stderr[-2000:]}")
        answer = json.loads(run.stdout.splitlines()[-1])
        with np.load(folder / "spikes.npz") as file:
            _check_spikes(case, dict(file))
    ours = metrics_of(case.network, observe(case.network, case.spikes))
    rows = [
        {
            "case": case.name,
            "metric": metric,
            "spikeface": mine,
            "neurobench": theirs,
            "equal": bool(np.isclose(mine, theirs, rtol=1e-12, atol=0)),
            "note": note,
        }
        for metric, mine, theirs, note in _pairs(ours, answer["results"])
    ]
    return rows, answer["versions"]


def _pairs(ours: Metrics, theirs: dict[str, Any]) -> Iterator[tuple[str, float, float, str]]:
    operations = theirs["SynapticOperations"]
    neurons = theirs["NeuronOperations"]
    yield "ParameterCount", ours.parameter_count, theirs["ParameterCount"], ""
    floats = 4 * ours.parameter_count
    yield "Footprint, 32-bit floats", floats, theirs["Footprint of connections"], "connections"
    chip = theirs["Footprint of what a chip stores"]
    yield "Footprint, on the chip", ours.footprint_bytes, chip, "8-bit weights"
    sparsity = ours.connection_sparsity or 0.0
    yield "ConnectionSparsity", sparsity, theirs["ConnectionSparsity"], ""
    yield "ActivationSparsity", ours.activation_sparsity, theirs["ActivationSparsity"], ""
    for row in ours.activity:
        found = theirs["ActivationSparsityByLayer"][row.layer]
        yield f"ActivationSparsity, {row.layer}", row.activation_sparsity, found, ""
    for key, by_call, by_message in (
        ("Effective_ACs", ours.acs_by_call, ours.effective_acs),
        ("Effective_MACs", ours.macs_by_call, ours.effective_macs),
    ):
        yield key, by_call, operations[key], "by call"
        yield key, by_message, operations[key], "by message, as a chip is charged"
    yield "Dense", ours.dense, operations["Dense"], ""
    yield "Dense", ours.dense_padded, operations["Dense"], "with padding, as accelerators count"
    yield "MembraneUpdates", ours.membrane_updates or 0.0, theirs["MembraneUpdates"], ""
    effective, dense = ours.neuron_operations or 0.0, ours.dense_neuron_operations or 0.0
    yield "Effective Neuron Ops", effective, neurons["Effective Neuron Ops"], ""
    yield "Neuron Dense Ops", dense, neurons["Neuron Dense Ops"], ""


def _shown(row: Row) -> Row:
    """With all digits that these numbers have."""
    return row | {key: f"{row[key]:.10g}" for key in ("spikeface", "neurobench")}


# -- networks --------------------------------------------------------------------------------------


def _input(values: int) -> np.ndarray:
    rng = np.random.default_rng(values)
    shape = (SAMPLES, STEPS, 2, 9, 11)
    return rng.integers(1, values, shape) * (rng.random(shape) < 0.25)


def _chain(
    neurons: dict[str, Any],
    *,
    thresholds: tuple[int, int, int] = (300, 250, 600),
    input_bits: int = 0,
    seed: int = 0,
) -> ChipNetwork:
    """conv (stride 2, padding, bias) - conv in groups (padding) - dense."""
    one, two, out = thresholds
    rng = np.random.default_rng(seed)
    wide = {"stride": (2, 2), "padding": (1, 1)}
    return ChipNetwork(
        input_shape=(2, 9, 11),
        input_bits=input_bits,
        populations=(
            Cuba(name="one", shape=(4, 5, 6), du=4096, vth=one, **_bias(4), **neurons),
            Cuba(name="two", shape=(6, 5, 6), du=4096, vth=two, **neurons),
            Cuba(name="out", shape=(5,), du=4096, vth=out, **neurons),
        ),
        synapses=(
            Conv(
                sources=(INPUT,),
                target="one",
                weight=_weight(rng, (4, 2, 3, 3)),
                message_bits=input_bits,
                **wide,
            ),
            Conv(
                sources=("one",),
                target="two",
                weight=_weight(rng, (6, 2, 3, 3)),
                padding=(1, 1),
                groups=2,
            ),
            Dense(sources=("two",), target="out", weight=_weight(rng, (5, 180))),
        ),
    )


def _residual(neurons: dict[str, Any]) -> ChipNetwork:
    """Two layers whose spikes add up before the third: sums of 2 make MACs of a call."""
    rng = np.random.default_rng(3)
    same = {"padding": (1, 1)}
    return ChipNetwork(
        input_shape=(2, 9, 11),
        populations=(
            Cuba(name="one", shape=(3, 9, 11), du=4096, vth=200, **_bias(3), **neurons),
            Cuba(name="two", shape=(3, 9, 11), du=4096, vth=200, **neurons),
            Cuba(name="out", shape=(4,), du=4096, vth=3000, **neurons),
        ),
        synapses=(
            Conv(sources=(INPUT,), target="one", weight=_weight(rng, (3, 2, 3, 3)), **same),
            Conv(sources=("one",), target="two", weight=_weight(rng, (3, 3, 3, 3)), **same),
            Dense(
                sources=("one", "two"),
                target="out",
                weight=_weight(rng, (4, 297)),
                message_bits=2,
            ),
        ),
    )


def _weight(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Even, both signs, a fifth of them missing."""
    weight = 2 * rng.integers(-50, 90, shape)
    return (weight * (rng.random(shape) < 0.8)).astype(np.int32)


def _bias(channels: int) -> dict[str, Any]:
    return {"bias_mant": np.arange(1, channels + 1, dtype=np.int32), "bias_exp": 6}


# -- to the peer and back --------------------------------------------------------------------------


def _hand_over(case: Case, folder: Path) -> None:
    layers, arrays = [], {"input": case.spikes.astype(np.int32)}
    for population in case.network.populations:
        (synapse,) = case.network.incoming(population.name)
        assert isinstance(population, Cuba) and isinstance(synapse, Weighted)
        layers.append(
            {
                "name": population.name,
                "sources": synapse.sources,
                "kind": synapse.KIND,
                "beta": 1 - int(population.dv[0]) / 4096,
                "threshold": int(population.vth[0]),
                "reset": population.reset,
                **{
                    key: getattr(synapse, key)
                    for key in ("stride", "padding", "groups")
                    if isinstance(synapse, Conv)
                },
            }
        )
        arrays[f"weight:{population.name}"] = synapse.weight
        arrays[f"bias:{population.name}"] = (population.bias >> 6).astype(np.int32)
        stored = {key: getattr(population, key) for key in population.ARRAYS}
        stored["weight"] = (synapse.weight // 2).astype(np.int8)  # even: the lowest bit is the sign
        arrays |= {f"stored:{population.name}.{key}": array for key, array in stored.items()}
    (folder / "network.json").write_text(json.dumps({"layers": layers, "batch": case.batch}))
    np.savez(folder / "arrays.npz", **arrays)


def _check_spikes(case: Case, theirs: dict[str, np.ndarray]) -> None:
    probes = every(case.network, "spikes")
    traces = Simulator().run(case.network, case.spikes, probes=probes).traces
    for name, _ in probes:
        if not traces[name, "spikes"].any():
            raise SystemExit(f"{case.name}: {name} is silent, nothing would be compared")
        if not np.array_equal(traces[name, "spikes"], theirs[name]):
            raise SystemExit(f"{case.name}: the spikes of {name} differ, so must every count")


def main() -> None:
    """All cases, as a table."""
    from measuring import print_table, save_table

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peers",
        default=os.environ.get("SPIKEFACE_PEERS", sys.executable),
        metavar="PYTHON",
        help="of an environment with neurobench and snntorch (default: $SPIKEFACE_PEERS, this one)",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/neurobench.csv")
    options = parser.parse_args()
    rows: list[Row] = []
    for case in cases():
        found, versions = compare(options.peers, case)
        rows += found
    if options.json:
        print(json.dumps({"versions": versions, "rows": rows}))
    else:
        print_table(", ".join(f"{k} {v}" for k, v in versions.items()), [_shown(r) for r in rows])
    if options.save:
        save_table("neurobench", [_shown(row) for row in rows])


if __name__ == "__main__":
    main()
