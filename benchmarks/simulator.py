"""How fast the simulator is: against Lava, against torch, and against what this processor can do.

    .venv/bin/python benchmarks/simulator.py             tables (about five minutes)
    .venv/bin/python benchmarks/simulator.py --save      also results/simulator*.csv
    .venv/bin/python benchmarks/simulator.py --quick     against Lava only, under a minute
    .venv/bin/python benchmarks/simulator.py --json      one JSON object of ratios on stdout

Everything runs on one thread except Lava, which uses a process per layer. Runs of the compared
programs are interleaved and the medians of ratios reported, since neighbours on a shared machine
slow all of them. Before anything is timed, every spike is compared.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy is loaded
from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from measuring import Row, ratio, seconds, show
from networks import conv_chain, random_spikes, reference_network, sew_resnet18

from hardware.backends.backend import every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.storage import save_network

HERE = Path(__file__).parent
STEPS, INPUT_RATE = 32, 0.08


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and Lava only")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--save", action="store_true", help="write results/simulator*.csv")
    arguments = parser.parse_args()
    tables = {"simulator": against_lava(rounds=5 if arguments.quick else 15)}
    if not arguments.quick:
        tables["simulator-scaling"] = scaling()
        tables["simulator-bounds"] = bounds()
        tables["simulator-resnet"] = against_torch(rounds=9)
    show(tables, summary, as_json=arguments.json, save=arguments.save)


def against_lava(rounds: int) -> list[Row]:
    """The reference network, one sample and 64, against fresh and steady Lava."""
    network = reference_network()
    spikes = random_spikes((64, STEPS, *network.input_shape), INPUT_RATE)
    simulator = Simulator()
    times: dict[str, list[float]] = {name: [] for name in ("1", "64", "fresh_s", "steady_s")}
    with lava(network, spikes[:4]) as ask:
        assert_equal_to_lava(network, spikes[:2], ask)
        simulator.run(network, spikes)
        for _ in range(rounds):
            for batch, repeat in ((1, 40), (64, 1)):
                run = lambda batch=batch: simulator.run(network, spikes[:batch])  # noqa: E731
                times[str(batch)].append(seconds(run, repeat) / batch)
            for name, value in ask(4, False).items():
                times[name].append(value)
    run = simulator.run(network, spikes)
    activity = {f"rate_{p.name}": run.spikes[p.name].mean() / STEPS / p.n_neurons
                for p in network.populations}  # fmt: skip
    return [
        {
            "batch": batch,
            "ms_per_sample": 1e3 * median(times[str(batch)]),
            "lava_fresh_ms": 1e3 * median(times["fresh_s"]),
            "lava_steady_ms": 1e3 * median(times["steady_s"]),
            "vs_lava_fresh": ratio(times["fresh_s"], times[str(batch)]),
            "vs_lava_steady": ratio(times["steady_s"], times[str(batch)]),
            "neuron_updates": STEPS * sum(p.n_neurons for p in network.populations),
            "synaptic_operations": float(sum(c.mean() for c in run.synops.values())),
            "rate_input": INPUT_RATE,
            **activity,
        }
        for batch in (1, 64)
    ]


def scaling() -> list[Row]:
    """Time per sample as one thing grows at a time."""
    reference, simulator = reference_network(), Simulator()
    cases: list[tuple[str, float, ChipNetwork, int, int, float]] = [
        ("input rate", rate, reference, 16, STEPS, rate) for rate in (0, 0.01, 0.05, 0.2, 0.5, 1.0)
    ]
    cases += [("batch", n, reference, n, STEPS, INPUT_RATE) for n in (1, 4, 16, 64, 256)]
    cases += [("steps", t, reference, 16, t, INPUT_RATE) for t in (8, 32, 128, 512)]
    cases += [("layers", n, conv_chain(n), 16, STEPS, INPUT_RATE) for n in (1, 2, 4, 8, 16)]
    rows = []
    for what, value, network, samples, steps, rate in cases:
        spikes = random_spikes((samples, steps, *network.input_shape), rate)
        result = simulator.run(network, spikes)
        runs = [seconds(lambda n=network, s=spikes: simulator.run(n, s), 1) for _ in range(7)]
        updates = steps * sum(p.n_neurons for p in network.populations)
        operations = float(sum(c.mean() for c in result.synops.values()))
        per_sample = median(runs) / samples
        rows.append(
            {
                "grows": what,
                "value": value,
                "ms_per_sample": 1e3 * per_sample,
                "neuron_updates": updates,
                "synaptic_operations": operations,
                "ns_per_operation": 1e9 * per_sample / (updates + operations),
            }
        )
    return rows


def bounds() -> list[Row]:
    """Cost of the two kernels, and of what they cannot do without.

    A synaptic operation reads a weight and reads and writes a sum; a neuron update reads an input
    and five doubles and writes two and a spike. The bounds are numpy's own additions of as many
    bytes, in the first-level cache and in main memory.
    """
    near, far = np.zeros(8192, np.int32), np.zeros(1 << 25, np.int32)
    state = np.zeros(4096)
    busy, silent = conv_chain(1, channels=64, size=32), reference_network()
    rows = [
        _rate("int32 additions, first-level cache", near.size, lambda: np.add(near, near, near)),
        _rate("int32 additions, main memory", far.size, lambda: np.add(far, far, far), 1),
        _rate(
            "float64 multiplications, first-level cache",
            state.size,
            lambda: np.multiply(state, state, state),
        ),
    ]
    spikes = random_spikes((16, STEPS, *busy.input_shape), 0.3)
    zeros = np.zeros((16, STEPS, *silent.input_shape), np.uint8)
    simulator = Simulator()
    operations = sum(c.sum() for c in simulator.run(busy, spikes).synops.values())
    updates = 16 * STEPS * sum(p.n_neurons for p in silent.populations)
    rows.append(
        _rate(
            "synaptic operations, conv64 3 x 3", operations, lambda: simulator.run(busy, spikes), 1
        )
    )
    rows.append(
        _rate("neuron updates, no spikes", updates, lambda: simulator.run(silent, zeros), 1)
    )
    return rows


def _rate(what: str, operations: float, run: Callable[[], object], repeat: int = 2000) -> Row:
    run()
    taken = min(seconds(run, repeat) for _ in range(7))
    return {"what": what, "ns_each": 1e9 * taken / operations, "per_second": operations / taken}


def against_torch(rounds: int) -> list[Row]:
    """A SEW-ResNet-18 at 3 % spikes against its float forward pass."""
    from torch_peer import TorchForward

    network = sew_resnet18()
    simulator, torch_forward = Simulator(), TorchForward(network)
    rows = []
    for batch in (1, 4):
        spikes = random_spikes((batch, 6, *network.input_shape), 0.03, seed=5)
        run = simulator.run(network, spikes, probes=every(network, "spikes"))
        streams = torch_forward.run(spikes)
        share = np.mean([
            np.mean(streams[name].unflatten(0, (6, batch)).transpose(0, 1).numpy() == trace)
            for (name, _), trace in run.traces.items()
        ])  # fmt: skip
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(seconds(lambda s=spikes: simulator.run(network, s), 1) / batch)
            theirs.append(seconds(lambda s=spikes: torch_forward.run(s), 1) / batch)
        neurons = sum(p.n_neurons for p in network.populations)
        sent = sum(run.spikes[p.name].mean() for p in network.populations)
        rows.append(
            {
                "batch": batch,
                "ms_per_sample": 1e3 * median(ours),
                "torch_ms": 1e3 * median(theirs),
                "vs_torch": ratio(theirs, ours),
                "equal_share": share,
                "neurons": neurons,
                "rate": sent / neurons / 6,
                "synaptic_operations": float(sum(c.mean() for c in run.synops.values())),
            }
        )
    return rows


@contextmanager
def lava(network: ChipNetwork, spikes: np.ndarray) -> Iterator[Callable[..., dict[str, float]]]:
    """Lava in a process of its own; yields ``ask(samples, record_all) -> times``."""
    with tempfile.TemporaryDirectory() as folder:
        save_network(network, Path(folder, "network.chip"))
        np.save(Path(folder, "spikes.npy"), spikes)
        child = subprocess.Popen(
            [sys.executable, str(HERE / "lava_peer.py"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert child.stdin and child.stdout
        requests, answers = child.stdin, child.stdout

        def ask(samples: int, record_all: bool) -> dict[str, float]:
            print(json.dumps({"samples": samples, "record_all": record_all}), file=requests)
            requests.flush()
            answer = answers.readline()
            if not answer:
                raise SystemExit("Lava ended early; run benchmarks/lava_peer.py by hand to see why")
            return json.loads(answer)

        ask.folder = folder  # type: ignore[attr-defined]
        try:
            yield ask
        finally:
            requests.close()
            child.wait(timeout=30)


def assert_equal_to_lava(
    network: ChipNetwork, spikes: np.ndarray, ask: Callable[..., dict[str, float]]
) -> None:
    """Compare every spike of every layer; Lava's layer k is k steps late."""
    ask(len(spikes), True)
    run = Simulator().run(network, spikes, probes=every(network, "spikes"))
    with np.load(Path(ask.folder, "lava.npz")) as seen:  # type: ignore[attr-defined]
        for depth, population in enumerate(network.populations, start=1):
            expected = run.traces[population.name, "spikes"].reshape(-1, *population.shape)
            got = seen[population.name][depth : depth + len(expected)]
            np.testing.assert_array_equal(got, expected, err_msg=population.name)
            assert expected.any(), f"{population.name} is silent"


def summary(tables: dict[str, list[Row]]) -> dict[str, float]:
    """All ratios: ``batch64_vs_lava_fresh`` and the like."""
    return {
        f"batch{row['batch']}_{name}": round(value, 2)
        for rows in tables.values()
        for row in rows
        for name, value in row.items()
        if name.startswith("vs_")
    }


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    main()
