"""Many runs as one command: a plan, launchers that go on where they were stopped, tables."""

from spikeface.sweeps.folder import SweepFolder
from spikeface.sweeps.plan import PlannedRun, plan
from spikeface.sweeps.slurm import parse_options
from spikeface.sweeps.sweeping import LAUNCHERS, show, sweep

__all__ = ["LAUNCHERS", "PlannedRun", "SweepFolder", "parse_options", "plan", "show", "sweep"]
