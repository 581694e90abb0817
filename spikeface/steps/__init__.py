"""The steps from data to a report: plain functions, one a command, usable from a notebook.

Each step reads what the step before left in the run folder and adds its section to
``report.json``. Numbers there carry a tag: ``simulated`` (computed on this host), ``estimated``
(counts times a published constant) or ``measured`` (on a chip).

>>> run = RunFolder.create(Path("runs/a"), to_toml(config))
>>> train(run, config, load_event_set("faces.h5")); quantise(run); run_test_set(run)
"""

from spikeface.steps.quantising import quantise
from spikeface.steps.reconstruction import reconstruct
from spikeface.steps.rendering import render_faces
from spikeface.steps.running import run_recording, run_test_set
from spikeface.steps.tasks import open_task, train_task
from spikeface.steps.training import train
from spikeface.steps.transfer import transfer

__all__ = [
    "open_task",
    "quantise",
    "reconstruct",
    "render_faces",
    "run_recording",
    "run_test_set",
    "train",
    "train_task",
    "transfer",
]
