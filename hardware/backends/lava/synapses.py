"""Synapses as Lava's connections: its own process models, which forget what a sample left over.

Where messages are binary, sums small and nothing crosses from one sample into the next, Lava's
class runs as it is. Otherwise small classes stand before it, none of which computes a weight:

    Wide      sums in 64 bits where Lava declares 32, for graded messages
    Large     a convolution whose geometry, or number of groups, is above the 127 of Lava's int8
    Shifted   a convolution whose exponent acts; Lava's ignores it
    Bounded   what would arrive after the end of its sample is dropped when it is received

Kernels are flipped and columns reordered to ``(W, H, C)`` here, see
`hardware.backends.lava.processes`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import AbstractProcess
from lava.proc.conv.models import PyConvModelFixed, PyConvModelFloat
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.models import (
    PyDelayDenseModelBitAcc,
    PyDelayDenseModelFloat,
    PyDenseModelBitAcc,
    PyDenseModelFloat,
)
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.sparse.models import (
    PyDelaySparseModelBitAcc,
    PyDelaySparseModelFloat,
    PySparseModelBitAcc,
    PySparseModelFloat,
)
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as LavaSparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from hardware.backends.lava.timing import Clock
from hardware.chip.registers import WEIGHT_BITS
from hardware.chip.synapses import Conv, Dense, Sparse, Weighted
from hardware.chip.synaptic_input import shift
from hardware.chip.weights import stored_mode

SIGN_MODES = {
    "mixed": SignMode.MIXED,
    "excitatory": SignMode.EXCITATORY,
    "inhibitory": SignMode.INHIBITORY,
}
SAFE_SUM_BITS = 24  # sums below this cannot wrap in 32 bits, several synapses and shifts included

MODELS: dict[type[AbstractProcess], tuple[type, type]] = {  # in fixed and in floating point
    LavaConv: (PyConvModelFixed, PyConvModelFloat),
    LavaDense: (PyDenseModelBitAcc, PyDenseModelFloat),
    DelayDense: (PyDelayDenseModelBitAcc, PyDelayDenseModelFloat),
    LavaSparse: (PySparseModelBitAcc, PySparseModelFloat),
    DelaySparse: (PyDelaySparseModelBitAcc, PyDelaySparseModelFloat),
}


class Connection(NamedTuple):
    """A synapse in Lava: its process and the model that runs it."""

    process: AbstractProcess
    model: type


class Bounded(PyLoihiProcessModel):
    """Drops, when it is received, what would arrive after the end of its sample.

    Column ``k`` of Lava's buffer arrives ``offset + k`` steps after the step in which its messages
    were sent. Dropping before the samples meet is simpler than clearing afterwards: a buffer then
    never holds anything of two samples.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.clock: Clock = proc_params["clock"]
        self.buffer: str = proc_params["buffer"]
        self.arrives = proc_params["offset"] + np.arange(proc_params["columns"])

    def run_spk(self) -> None:
        """One step of Lava's, then the drop."""
        super().run_spk()
        late = self.arrives > self.clock.left(self.time_step)
        getattr(self, self.buffer).reshape(-1, len(late))[:, late] = 0


class Wide(PyLoihiProcessModel):
    """Sums in 64 bits: values times weights leave 32 long before a chip's faults are looked at."""

    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)


class WideBuffer(Wide):
    """Of dense and sparse connections."""

    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int64)


class Large(PyLoihiProcessModel):
    """A convolution of any geometry."""

    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int32)
    stride: np.ndarray = LavaPyType(np.ndarray, np.int32)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int32)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int32)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int32)


class Shifted(Wide):
    """A convolution whose exponent acts before the sum is wrapped to 24 bits."""

    weight: np.ndarray = LavaPyType(np.ndarray, np.int64)
    a_buf: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def clamp_precision(self, x: np.ndarray) -> np.ndarray:
        """Where Lava wraps the sum."""
        return super().clamp_precision(shift(x, int(self.weight_exp.item())))


@cache
def with_mixins(model: type, *mixins: type) -> type:
    """A model of Lava's with the given classes before it; itself without any."""
    if not mixins:
        return model
    return type("".join(m.__name__ for m in (*mixins, model)), (*mixins, model), {})


def synapse_process(
    synapse: Weighted,
    source_shape: tuple[int, ...],
    *,
    offset: int,
    clock: Clock,
    floating: bool = False,
) -> Connection:
    """The weights of a synapse.

    Parameters
    ----------
    synapse : Conv, Dense or Sparse
    source_shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    offset : int
        What of its delays its messages have waited before they arrive here.
    clock : Clock
        Of the messages that arrive here.
    floating : bool
        Lava's floating-point model; the exponent goes into the weights.
    """
    process = weights_process(synapse, source_shape, offset=offset, floating=floating)
    fixed, in_floats = MODELS[type(process)]
    is_conv = isinstance(synapse, Conv)
    columns = 1 if is_conv else synapse.delays[1] - offset + 1
    mixins: list[type] = []
    if clock.period and offset + columns > 1:
        mixins.append(Bounded)
        buffer = "a_buf" if is_conv else "a_buff"
        for name, value in (
            ("clock", clock),
            ("offset", offset),
            ("columns", columns),
            ("buffer", buffer),
        ):
            process.proc_params[name] = value
    if isinstance(synapse, Conv) and _geometry_max(synapse) > np.iinfo(np.int8).max:
        mixins.append(Large)
    if not floating and ((is_conv and synapse.weight_exp) or _sums_are_large(synapse)):
        mixins.append(Shifted if is_conv else WideBuffer)
    return Connection(process, with_mixins(in_floats if floating else fixed, *mixins))


def weights_process(
    synapse: Weighted, source_shape: tuple[int, ...], *, offset: int, floating: bool = False
) -> AbstractProcess:
    """The process alone, without a model; see `synapse_process`."""
    return BUILDERS[type(synapse)](synapse, source_shape, offset, floating)


def _geometry_max(synapse: Conv) -> int:
    sizes = (synapse.weight.shape[2:], synapse.stride, synapse.padding, synapse.dilation)
    return max(synapse.groups, *(value for pair in sizes for value in pair))


def _sums_are_large(synapse: Weighted) -> bool:
    """Whether sums may leave 32 bits: Lava does not hold messages to their ``message_bits``."""
    if synapse.message_bits:
        return True
    weight = np.abs(synapse.weight.astype(np.int64))
    largest = int(
        weight.sum()
        if isinstance(synapse, Sparse)
        else weight.reshape(len(weight), -1).sum(1).max()
    )
    return largest << max(synapse.weight_exp, 0) >= 1 << SAFE_SUM_BITS


def _conv(synapse: Conv, source_shape: tuple[int, ...], offset: int, floating: bool) -> LavaConv:
    weight = synapse.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
    return LavaConv(
        weight=_scaled(synapse, weight, floating),
        weight_exp=synapse.weight_exp,
        num_message_bits=synapse.message_bits,
        input_shape=source_shape[::-1],
        stride=synapse.stride[::-1],
        padding=synapse.padding[::-1],
        dilation=synapse.dilation[::-1],
        groups=synapse.groups,
    )


def _dense(synapse: Dense, source_shape: tuple[int, ...], offset: int, floating: bool) -> LavaDense:
    columns = lava_order(source_shape)
    parameters = _common(synapse, floating)
    parameters["weights"] = _scaled(synapse, synapse.weight[:, columns], floating)
    delays = np.broadcast_to(synapse.delay, synapse.weight.shape)[:, columns] - offset
    if not delays.any():
        return LavaDense(**parameters)
    return DelayDense(delays=delays.astype(int), **parameters)


def _sparse(
    synapse: Sparse, source_shape: tuple[int, ...], offset: int, floating: bool
) -> LavaSparse:
    position = np.argsort(lava_order(source_shape))  # of each source in Lava's order
    source = position[np.repeat(np.arange(len(position)), np.diff(synapse.offsets))]
    shape = (synapse.n_targets, len(position))

    def matrix(values: np.ndarray) -> csr_matrix:
        return csr_matrix((values, (synapse.targets, source)), shape)

    parameters = _common(synapse, floating)
    parameters["weights"] = matrix(_scaled(synapse, synapse.weight, floating))
    if synapse.delay == offset:
        return LavaSparse(**parameters)
    delays = np.full(len(source), synapse.delay - offset, int)
    return DelaySparse(delays=matrix(delays), max_delay=synapse.delay - offset, **parameters)


def _common(synapse: Weighted, floating: bool) -> dict[str, Any]:
    if floating:
        return {"num_message_bits": synapse.message_bits}
    # Named, because Lava would guess the mode from the values, and with it which of them exist.
    mode = stored_mode(synapse.weight)
    assert mode, "a ChipNetwork has no other weights"
    return {
        "num_message_bits": synapse.message_bits,
        "weight_exp": synapse.weight_exp,
        "num_weight_bits": WEIGHT_BITS,
        "sign_mode": SIGN_MODES[mode],
    }


def _scaled(synapse: Weighted, weight: np.ndarray, floating: bool) -> np.ndarray:
    return weight * 2.0**synapse.weight_exp if floating else weight


def lava_order(shape: tuple[int, ...]) -> np.ndarray:
    """For each neuron in Lava's order ``(W, H, C)``, its index in ``(C, H, W)``."""
    return np.arange(math.prod(shape)).reshape(shape).T.ravel()


BUILDERS: dict[type[Weighted], Any] = {Conv: _conv, Dense: _dense, Sparse: _sparse}
