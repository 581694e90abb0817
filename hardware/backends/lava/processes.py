"""The ends of a Lava graph and the waiting in between: frames in, messages held, traces out.

Lava keeps images as ``(W, H, C)``; everything outside of the Lava files is ``(C, H, W)``. Reversing
all axes (``array.T``) is the whole conversion of data.

The ends are ours because Lava's ring buffers hold all steps in memory twice and hand results back
one number at a time (about 20 us each): frames come from a file here, and what neurons do is
written to files by the process that does it, see `Recording`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class FrameSource(AbstractProcess):
    """Sends one frame of a file per step, and zeros when there are no more.

    Parameters
    ----------
    path : Path
        An ``.npy`` file of integers, shape (frames, C, H, W) or (frames, F).
    first, frames : int
        Which of them.
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    """

    def __init__(self, *, path: Path, first: int, frames: int, shape: tuple[int, ...]) -> None:
        super().__init__(path=path, first=first, frames=frames)
        self.s_out = OutPort(shape=shape[::-1])


@implements(proc=FrameSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyFrameSource(PyLoihiProcessModel):
    """Reads the file as it goes: memory does not grow with the number of steps."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        first = proc_params["first"]
        whole = np.load(proc_params["path"], mmap_mode="r")
        self.frames = whole[first : first + proc_params["frames"]]

    def run_spk(self) -> None:
        index = self.time_step - 1
        frame = self.frames[index] if index < len(self.frames) else np.zeros_like(self.frames[0])
        self.s_out.send(np.asarray(frame, np.int64).T)


class DelayLine(AbstractProcess):
    """Hands on every message a number of steps later; ``shape`` is Lava's."""

    def __init__(self, *, shape: tuple[int, ...], steps: int) -> None:
        super().__init__(shape=shape, steps=steps)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyDelayLine(PyLoihiProcessModel):
    """Sends before it receives, as synapses do, so that loops do not block."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.held = np.zeros((proc_params["steps"], *proc_params["shape"]), np.int64)

    def run_spk(self) -> None:
        slot = self.time_step % len(self.held)
        self.s_out.send(self.held[slot])
        self.held[slot] = self.s_in.recv()


@dataclass(frozen=True)
class Recording:
    """A file that grows by the raw values of one variable in each step, in ``(C, H, W)`` order.

    Parameters
    ----------
    path : Path
    dtype : str
        Of the values in the file.
    skip, frames : int
        The first ``skip`` steps are dropped, the next ``frames`` kept, the rest dropped.
    """

    path: Path
    dtype: str
    skip: int
    frames: int

    def keep(self, values: np.ndarray, time_step: int) -> None:
        """Write the values of this step, if it is one to keep.

        Opened each time and not buffered: a full disk is an error in the step that filled it.
        """
        if self.skip < time_step <= self.skip + self.frames:
            with self.path.open("ab", buffering=0) as file:
                file.write(values.T.astype(self.dtype).tobytes())


class RememberingPort(PyOutPort.VEC_DENSE):
    """An output port that remembers what it sent last."""

    sent: np.ndarray

    def send(self, data: np.ndarray) -> None:
        self.sent = data
        super().send(data)
