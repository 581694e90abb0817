"""The integer simulator on a GPU, through torch: exact by construction, for large batches.

Sums of products are matrix products of floats that hold integers. As long as
``sum |w| * largest message`` is at most 2**24 in float32, or 2**53 in float64, every partial sum is
exact in whatever order it is taken; the smaller type that fits is chosen for each synapse from its
weights and the messages at hand. A convolution is one matrix product per kernel tap, because
library convolutions may transform their input (Winograd, Fourier) and are then not exact; reduced
precision (TF32) is switched off. Neurons are updated in int64. On a processor without a GPU,
`hardware.backends.simulator.backend` is faster.

>>> run = TorchSimulator(device="cuda").run(network, spikes)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from hardware.backends.backend import (
    Availability,
    Backend,
    ChipRun,
    Probe,
    Progress,
    Timing,
    check_timing,
    lag,
    multiplies,
)
from hardware.backends.torch_engine.neurons import STEPS, Tensors
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Population
from hardware.chip.registers import CONV_SUM_BITS
from hardware.chip.synapses import Conv, Dense, Sparse, Synapse, Weighted
from hardware.chip.synaptic_input import conv_output_size
from hardware.errors import UnsupportedNetworkError

if TYPE_CHECKING:
    import torch

EXACT_FLOAT32, EXACT_FLOAT64 = 1 << 24, 1 << 53


class TorchSimulator(Backend):
    """Runs a ChipNetwork exactly, on a GPU if there is one.

    Parameters
    ----------
    device : str
        A device of torch, or ``"auto"``: the first GPU, else the processor.
    timing : {"layerwise", "pipelined"}
        See `hardware.backends.backend.Timing`.
    batch : int, optional
        Samples to run at the same time; all by default.
    """

    name = "torch"

    def __init__(
        self, *, device: str = "auto", timing: Timing = "layerwise", batch: int | None = None
    ) -> None:
        self.device = device
        self.timing: Timing = timing
        self.batch = batch

    def is_available(self) -> Availability:
        """Whether torch is installed and has the device."""
        try:
            import torch
        except ImportError as error:
            return Availability("not installed", f"torch cannot be imported: {error}")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            return Availability("not reachable", f"torch {torch.__version__} sees no GPU")
        return Availability("available", f"torch {torch.__version__} on {self._device()}")

    def _device(self) -> str:
        import torch

        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def check(self, network: ChipNetwork) -> None:
        """Refuse loops that are too short for the chip's own time, and models without a step."""
        check_timing(network, self.timing)
        check_models(network)

    def _run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        probes: tuple[Probe, ...],
        progress: Progress | None,
    ) -> ChipRun:
        import torch

        started = time.perf_counter()
        engine = _Engine(network, self.timing, torch.device(self._device()))
        chunks = []
        size = self.batch or len(spikes)
        with exact_products():
            for first in range(0, len(spikes), size):
                chunks.append(engine.run(spikes[first : first + size], probes))
                if progress:
                    progress(len(chunks[-1].output))
        return ChipRun(
            output=np.concatenate([c.output for c in chunks]),
            spikes=_joined([c.spikes for c in chunks]),
            synops=_joined([c.synops for c in chunks]),
            macs=_joined([c.macs for c in chunks]),
            traces={p: np.concatenate([c.traces[p] for c in chunks]) for p in probes},
            wall_s=time.perf_counter() - started,
            backend=self.name,
            versions={"torch": torch.__version__, "device": str(engine.device)},
        )


def check_models(network: ChipNetwork) -> None:
    """Refuse populations that have no step here, all in one error."""
    missing = [f"{p.name}: {p.KIND}" for p in network.populations if type(p) not in STEPS]
    if missing:
        raise UnsupportedNetworkError(
            "the torch engine does not run these models; use the backend 'simulator':\n  "
            + "\n  ".join(missing)
        )


@contextmanager
def exact_products() -> Iterator[None]:
    """Matrix products in full precision, whatever the program around has chosen."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Engine:
    """A network on a device."""

    def __init__(self, network: ChipNetwork, timing: Timing, device: torch.device) -> None:
        import torch

        self.network = network
        self.device = device
        self.waits = [{x: lag(network, s, x, timing) for x in s.sources} for s in network.synapses]
        self.blocks = [
            [(delay, torch.from_numpy(w).to(device)) for delay, w in _blocks(s, network)]
            for s in network.synapses
        ]
        self.fan_out = [torch.from_numpy(f).double().to(device) for f in network.fan_out]
        self.parameters = {
            p.name: {n: torch.from_numpy(p.per_neuron(n)).to(device) for n in p.ARRAYS}
            for p in network.populations
        }
        self.start = {
            p.name: network.depth[p.name] if timing == "pipelined" else 0
            for p in network.populations
        }

    def run(self, frames: np.ndarray, probes: tuple[Probe, ...]) -> ChipRun:
        """One chunk of samples, all on the device at the same time."""
        import torch

        self.samples, self.steps = frames.shape[:2]
        rows = torch.from_numpy(np.array(np.moveaxis(frames, 1, 0), np.int64)).to(self.device)
        self.messages = {INPUT: rows}
        self.traces: dict[Probe, torch.Tensor] = {}
        wanted = {*probes, (self.network.output.name, "v")}
        for stage in self.network.stages:
            self._run_stage(stage, wanted)
        output = self.network.output.name
        if self.network.readout == "membrane":
            answer = self.traces[output, "v"][-1]
        else:
            answer = self.messages[output].sum(dim=0)
        kept = {p: self.messages[p[0]] if p[1] == "spikes" else self.traces[p] for p in probes}
        sent = {name: (m != 0).sum(dim=0).flatten(1).double() for name, m in self.messages.items()}
        synops = {p.name: np.zeros(self.samples, np.int64) for p in self.network.populations}
        macs = {name: zeros.copy() for name, zeros in synops.items()}
        for synapse, fan_out in zip(self.network.synapses, self.fan_out, strict=True):
            for source in synapse.sources:
                operations = (sent[source] @ fan_out).long().cpu().numpy()
                synops[synapse.target] += operations
                if multiplies(self.network, synapse, source):
                    macs[synapse.target] += operations
        return ChipRun(
            output=answer.flatten(1).cpu().numpy(),
            spikes={name: s.sum(dim=1).long().cpu().numpy() for name, s in sent.items()},
            synops=synops,
            macs=macs,
            traces={p: np.moveaxis(trace.cpu().numpy(), 0, 1) for p, trace in kept.items()},
            wall_s=0.0,
            backend=TorchSimulator.name,
        )

    def _run_stage(self, stage: tuple[Population, ...], wanted: set[Probe]) -> None:
        import torch

        size = {p.name: (self.steps, self.samples, *p.shape) for p in stage}
        inputs = {
            (p.name, port): torch.zeros(size[p.name], dtype=torch.int64, device=self.device)
            for p in stage
            for port in p.PORTS
        }
        for name, shape in size.items():
            self.messages[name] = torch.zeros(shape, dtype=torch.int64, device=self.device)
        for name, variable in wanted:
            if name in size and variable != "spikes" and variable in self.network[name].STATES:
                trace = torch.zeros(size[name], dtype=torch.int64, device=self.device)
                self.traces[name, variable] = trace
        within = []
        for index, synapse in enumerate(self.network.synapses):
            if synapse.target in size and any(x in size for x in synapse.sources):
                within.append((index, synapse))
            elif synapse.target in size:
                self._arrive(index, synapse, inputs[synapse.target, synapse.port], 0, self.steps)
        states: dict[str, Tensors] = {}
        for step in range(self.steps):
            for p in stage:
                for index, synapse in within:
                    if synapse.target == p.name:
                        self._arrive(index, synapse, inputs[p.name, synapse.port], step, 1)
                if step == 0 or p.resets_at(step - self.start[p.name]):
                    states[p.name] = self._initial(p)
                arriving = {port: inputs[p.name, port][step] for port in p.PORTS}
                message, states[p.name] = STEPS[type(p)](
                    p, self.parameters[p.name], states[p.name], arriving
                )
                self.messages[p.name][step] = message
                for variable, value in states[p.name].items():
                    if (p.name, variable) in self.traces:
                        self.traces[p.name, variable][step] = value

    def _initial(self, population: Population) -> Tensors:
        import torch

        whole = (self.samples, *population.shape)
        state = population.initial_state()._asdict()
        return {
            name: torch.from_numpy(value).to(self.device).expand(whole)
            for name, value in state.items()
        }

    def _arrive(
        self, index: int, synapse: Synapse, into: torch.Tensor, first: int, steps: int
    ) -> None:
        """Add what a synapse delivers in some steps."""
        waits = self.waits[index]
        earliest = min(waits.values())
        for delay, weight in self.blocks[index]:
            skipped = max(earliest + delay - first, 0)
            if skipped < steps:
                start = first + skipped - earliest - delay
                values = self._summed(waits, earliest, start, steps - skipped)
                values = _weigh(synapse, weight, values)
                into[first + skipped : first + steps] += values
        if not self.blocks[index]:
            skipped = max(earliest - first, 0)
            if skipped < steps:
                start = first + skipped - earliest
                into[first + skipped : first + steps] += self._summed(
                    waits, earliest, start, steps - skipped
                )

    def _summed(self, waits: dict[str, int], earliest: int, first: int, steps: int) -> torch.Tensor:
        """Messages of all sources that meet the weights together, ``[steps, N, ...]``."""
        total = None
        for name, wait in waits.items():
            late = wait - earliest
            skipped = min(max(late - first, 0), steps)
            part = self.messages[name][first + skipped - late : first + steps - late]
            if total is None:
                total = part.new_zeros((steps, *part.shape[1:]))
            total[skipped:] += part
        assert total is not None
        return total


def _joined(parts: list) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _blocks(synapse: Synapse, network: ChipNetwork) -> list[tuple[int, np.ndarray]]:
    """``(delay, weights)``; a sparse synapse becomes a matrix, a direct one has none."""
    if isinstance(synapse, Dense):
        return list(synapse.by_delay)
    if isinstance(synapse, Conv):
        return [(synapse.delay, synapse.weight)]
    if isinstance(synapse, Sparse):
        source = np.repeat(np.arange(len(synapse.offsets) - 1), np.diff(synapse.offsets))
        weight = np.zeros((synapse.n_targets, len(synapse.offsets) - 1), np.int32)
        weight[synapse.targets, source] = synapse.weight
        return [(synapse.delay, weight)]
    return []


def _weigh(synapse: Synapse, weight: torch.Tensor, messages: torch.Tensor) -> torch.Tensor:
    """Input that the weights of one delay make of messages, int64 ``[steps, N, ...]``."""
    assert isinstance(synapse, Weighted)
    values = messages if synapse.message_bits else (messages != 0).long()
    dtype = _exact_type(synapse, weight, values)
    steps = values.shape[:2]
    if isinstance(synapse, Conv):
        total = _convolve(synapse, weight.to(dtype), values.flatten(0, 1).to(dtype))
    else:
        total = values.flatten(0, 1).flatten(1).to(dtype) @ weight.to(dtype).T
    total = total.long().unflatten(0, steps)
    exponent = synapse.weight_exp
    total = total << exponent if exponent > 0 else total >> -exponent
    if isinstance(synapse, Conv):
        half = 1 << (CONV_SUM_BITS - 1)
        total = (total + half) % (2 * half) - half
    return total


def _exact_type(synapse: Weighted, weight: torch.Tensor, values: torch.Tensor) -> torch.dtype:
    import torch

    largest = int(weight.abs().flatten(1).sum(dim=1).max()) * int(values.abs().max())
    if largest <= EXACT_FLOAT32:
        return torch.float32
    if largest <= EXACT_FLOAT64:
        return torch.float64
    raise UnsupportedNetworkError(
        f"{synapse.edge}: sums up to {largest} do not fit 53 bits; use the backend 'simulator'"
    )


def _convolve(synapse: Conv, weight: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """`hardware.chip.synaptic_input.conv_sum` of ``[N, C, H, W]``, a matrix product per tap."""
    import torch

    rows, columns = synapse.padding
    padded = torch.nn.functional.pad(images, (columns, columns, rows, rows))
    size = [
        conv_output_size(*axis)
        for axis in zip(
            images.shape[2:],
            weight.shape[2:],
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            strict=True,
        )
    ]
    grouped = weight.unflatten(0, (synapse.groups, -1))
    total = images.new_zeros((len(images), len(weight), *size))
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            top, left = i * synapse.dilation[0], j * synapse.dilation[1]
            window = padded[
                :,
                :,
                top : top + synapse.stride[0] * size[0] : synapse.stride[0],
                left : left + synapse.stride[1] * size[1] : synapse.stride[1],
            ]
            pixels = window.flatten(2).unflatten(1, (synapse.groups, -1))
            total += torch.matmul(grouped[..., i, j], pixels).flatten(1, 2).view_as(total)
    return total
