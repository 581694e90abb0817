"""Stand-in, for tests: profilers that give made-up numbers, and a chip that is Lava's CPU model."""

import json
import os
from pathlib import Path
from typing import ClassVar

from lava.magma.compiler.subcompilers.nc.ncproc_compiler import CompilerOptions
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg
from lava.proc.lif.process import LIFReset

STAND_IN = True
SET_BY_LAVA = ("SLURM", "PARTITION", "BOARD", "NOSLURM", "NXSDKHOST", "HOST_BINARY", "LOIHI_GEN")


def log(call, **arguments):
    with Path(os.environ["STAND_IN_LOG"]).open("a") as file:
        file.write(json.dumps({"call": call, **arguments}) + "\n")


class Made:
    """A profiler whose numbers are made up."""

    NUMBERS: ClassVar = {}

    def __init__(self, **arguments):
        if os.environ.get("STAND_IN_BREAKS") == type(self).__name__:
            raise RuntimeError("power cannot be measured on this board")
        log(type(self).__name__, **arguments)
        for name, value in self.NUMBERS.items():
            setattr(self, name, value)


class Loihi2Power(Made):
    NUMBERS: ClassVar = {"total_power": 0.5, "static_total_power": 0.25, "vdd_power": [0.1, 0.3]}


class Loihi2ExecutionTime(Made):
    NUMBERS: ClassVar = {"avg_time_per_step": 100.0, "time_per_step": [50.0, 150.0]}


class Loihi2Activity(Made):
    NUMBERS: ClassVar = {"syn_ops": [3, 4], "dendrite_updates": [5, 6]}


class Loihi2Memory(Made):
    NUMBERS: ClassVar = {"total_mpds": [7]}


def _logged(kind, describe):
    original = kind.__init__

    def init(self, *arguments, **options):
        log(kind.__name__, **describe(*arguments, **options))
        original(self, *arguments, **options)

    kind.__init__ = init


def _configuration(original=Loihi2HwCfg.__init__):
    def init(self, **options):
        log(
            "Loihi2HwCfg",
            models=[model.__name__ for model in options["exception_proc_model_map"].values()],
            profilers=[type(probe).__name__ for probe in options["callback_fxs"]],
            environment={name: os.environ[name] for name in SET_BY_LAVA if name in os.environ},
        )
        if CompilerOptions.verbose:  # the line of lava-dl's pilotnet_snn/benchmark.ipynb
            print("| Total                                               |      74|", flush=True)
        original(self, select_tag="fixed_pt", **options)  # the CPU's integers are the chip

    Loihi2HwCfg.__init__ = init


_configuration()
_logged(RunSteps, lambda num_steps: {"num_steps": num_steps})
_logged(
    LIFReset,
    lambda **o: {"layer": o["name"], "interval": o["reset_interval"], "offset": o["reset_offset"]},
)
