"""Stand-in, for tests: adapters that hand on what they get, ``$STAND_IN_DELAY`` steps later."""

import os

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.utils.loihi2_profiler import log

STAND_IN = True


class Adapter(AbstractProcess):
    DELAYED = False

    def __init__(self, *, shape, **arguments):
        delay = int(os.environ.get("STAND_IN_DELAY", 0)) if self.DELAYED else 0
        super().__init__(delay=delay)
        log(type(self).__name__, shape=list(shape), arguments=arguments)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class PyToN3ConvAdapter(Adapter):
    pass


class PyToNxAdapter(Adapter):
    pass


class NxToPyAdapter(Adapter):
    DELAYED = True


class Pass(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.held = []
        self.delay = proc_params["delay"]

    def run_spk(self):
        self.held.append(self.inp.recv())
        waits = len(self.held) <= self.delay
        self.out.send(np.zeros_like(self.held[0]) if waits else self.held.pop(0))


@implements(proc=PyToN3ConvAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PassConv(Pass):
    pass


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PassFlat(Pass):
    pass


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PassOut(Pass):
    pass
