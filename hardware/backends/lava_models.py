"""A ChipNetwork as a graph of Lava processes: Lava's own neurons and synapses, our two ends.

Lava keeps images as ``(W, H, C)`` and flips convolution kernels; everything outside of this file
is ``(C, H, W)`` and unflipped. Reversing all axes (``array.T``) is the whole conversion of data.

The ends are ours because Lava's ring buffers hold all steps in memory twice and hand results back
one number at a time (about 20 us each): frames come from a file here, recordings go to files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.models import PyDenseModelBitAcc
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset
from lava.utils.weightutils import SignMode

from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.registers import CURRENT_DECAY_OFFSET, WEIGHT_BITS
from hardware.chip.synapses import Conv, Dense


class SpikeSource(AbstractProcess):
    """Sends one frame of a file per step, and zeros when there are no more.

    Parameters
    ----------
    path : Path
        An ``.npy`` file of uint8, shape (frames, C, H, W) or (frames, F).
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    """

    def __init__(self, *, path: Path, shape: tuple[int, ...]) -> None:
        super().__init__(path=path)
        self.s_out = OutPort(shape=shape[::-1])


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeSource(PyLoihiProcessModel):
    """Reads the file as it goes: memory does not grow with the number of steps."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.frames = np.load(proc_params["path"], mmap_mode="r")

    def run_spk(self) -> None:
        index = self.time_step - 1
        frame = self.frames[index] if index < len(self.frames) else np.zeros_like(self.frames[0])
        self.s_out.send(np.asarray(frame, np.int32).T)


class Recorder(AbstractProcess):
    """Appends what it sees in each step to a file of raw values in ``(C, H, W)`` order.

    Parameters
    ----------
    path : Path
    dtype : str
        Of the values in the file.
    skip, frames : int
        The first ``skip`` steps are dropped, the next ``frames`` kept, the rest dropped.
    """

    def __init__(self, *, path: Path, dtype: str, skip: int, frames: int) -> None:
        super().__init__(path=path, dtype=dtype, skip=skip, frames=frames)


class SpikeRecorder(Recorder):
    """Records what arrives at ``a_in``; ``shape`` is Lava's."""

    def __init__(self, *, shape: tuple[int, ...], **recording: Any) -> None:
        super().__init__(**recording)
        self.a_in = InPort(shape=shape)


class StateRecorder(Recorder):
    """Records a variable as it stands at the end of each step, after resets."""

    def __init__(self, *, variable: Var, **recording: Any) -> None:
        super().__init__(**recording)
        self.state = RefPort(shape=variable.shape)
        self.state.connect_var(variable)


class AbstractPyRecorder(PyLoihiProcessModel):
    """The file of a recorder. Unbuffered: a full disk is an error in the step that filled it."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.file = Path(proc_params["path"]).open("wb", buffering=0)  # noqa: SIM115 until the end
        self.dtype = proc_params["dtype"]
        self.first = proc_params["skip"] + 1
        self.last = proc_params["skip"] + proc_params["frames"]

    def keep(self, values: np.ndarray) -> None:
        """Write the values of this step, if it is one to keep."""
        if self.first <= self.time_step <= self.last:
            self.file.write(values.T.astype(self.dtype).tobytes())


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorder(AbstractPyRecorder):
    """Records in the spiking phase."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        self.keep(self.a_in.recv())


@implements(proc=StateRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStateRecorder(AbstractPyRecorder):
    """Records in the management phase, when every neuron has finished the step."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def post_guard(self) -> bool:
        return True

    def run_post_mgmt(self) -> None:
        self.keep(self.state.read())


# Named here and handed to Lava: left to itself it would search for them by executing every file
# that lies beside the process, this package's included.
MODELS = {
    SpikeSource: PySpikeSource,
    SpikeRecorder: PySpikeRecorder,
    StateRecorder: PyStateRecorder,
    LavaConv: PyConvModelFixed,
    LavaDense: PyDenseModelBitAcc,
    LIFReset: PyLifResetModelBitAcc,
}


def build(
    network: ChipNetwork,
    *,
    frames: Path,
    n_frames: int,
    n_steps: int,
    recordings: dict[tuple[str, str], tuple[Path, str]],
) -> list[AbstractProcess]:
    """Connect the Lava processes of a network.

    Parameters
    ----------
    network : ChipNetwork
        Every synapse must span exactly one level of depth.
    frames : Path
        Input spikes of all samples back to back, see `SpikeSource`.
    n_frames, n_steps : int
        Frames of all samples, steps of one sample.
    recordings : dict of (population, variable) to (path, dtype)

    Returns
    -------
    list of AbstractProcess
        The source first.
    """
    source = SpikeSource(path=frames, shape=network.input_shape)
    outlets = {INPUT: source.s_out}
    processes: list[AbstractProcess] = [source]
    for population in network.populations:
        depth = network.depth[population.name]
        neurons = neuron_process(population, depth=depth, n_steps=n_steps)
        processes.append(neurons)
        for synapse in network.incoming(population.name):
            shape = network.shape_of(synapse.sources[0])
            process = synapse_process(synapse, shape)
            outlet = outlets[synapse.sources[0]]
            if isinstance(synapse, Dense) and len(shape) > 1:
                outlet = outlet.flatten()
            outlet.connect(process.s_in)
            process.a_out.connect(neurons.a_in)
            processes.append(process)
        outlets[population.name] = neurons.s_out
        for (name, variable), (path, dtype) in recordings.items():
            if name == population.name:
                recording = {"path": path, "dtype": dtype, "skip": depth, "frames": n_frames}
                processes.append(recorder_process(neurons, variable, recording))
    return processes


def neuron_process(population: Cuba, *, depth: int, n_steps: int) -> LIFReset:
    """Neurons that forget when the first frame of a sample reaches them.

    Each synapse delays by one step, so frame f (from 1) of the first sample arrives in step
    f + depth; until then the bias has been integrating, and after it the sample before has.
    """
    shape = population.shape[::-1]
    return LIFReset(
        shape=shape,
        du=population.du - CURRENT_DECAY_OFFSET,
        dv=population.dv,
        vth=population.vth,
        bias_mant=np.broadcast_to(population.bias_mant, shape),
        bias_exp=population.bias_exp,
        reset_interval=n_steps,
        reset_offset=depth + 1,
    )


def synapse_process(synapse: Conv | Dense, source_shape: tuple[int, ...]) -> AbstractProcess:
    """The weights of a synapse in Lava's order: columns by ``(W, H, C)``, kernels flipped."""
    if isinstance(synapse, Conv):
        return LavaConv(
            weight=synapse.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1),
            input_shape=source_shape[::-1],
            stride=synapse.stride[::-1],
            padding=synapse.padding[::-1],
            dilation=synapse.dilation[::-1],
            groups=synapse.groups,
        )
    by_axis = synapse.weight.reshape(-1, *source_shape)
    order = (0, *range(len(source_shape), 0, -1))
    return LavaDense(
        weights=by_axis.transpose(order).reshape(synapse.weight.shape),
        num_weight_bits=WEIGHT_BITS,
        # Otherwise it follows from the values, and with it which of them are representable.
        sign_mode=SignMode.MIXED,
    )


def recorder_process(neurons: LIFReset, variable: str, recording: dict[str, Any]) -> Recorder:
    """A recorder of the ``"spikes"``, ``"u"`` or ``"v"`` of a population."""
    if variable == "spikes":
        recorder = SpikeRecorder(shape=neurons.s_out.shape, **recording)
        neurons.s_out.connect(recorder.a_in)
        return recorder
    return StateRecorder(variable=getattr(neurons, variable), **recording)
