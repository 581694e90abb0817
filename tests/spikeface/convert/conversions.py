"""A small classifier's configuration, and what tests of conversions read."""

import json

from spikeface.cli import main
from spikeface.config import load_run_config
from spikeface.runs import RunFolder
from spikeface.steps.conversion.running import Work
from spikeface.steps.conversion.source import open_source

SHARED = """
[faces]
sensor_size = [32, 32]
position_jitter_px = 1.0
train_subjects = 2
validation_subjects = 1
test_subjects = 1
clips_per_class = 1
classes = ["anger", "happy", "surprise"]
[data]
baselines = false
[images]
size = 32
first = 4
stride = 2
[training]
epochs = 2
batch_size = 8
selection = "recording"
"""
CLASSIFIER = f"""task = "transfer"
{SHARED}
[transfer]
mode = "scratch"
width = 2
head_hidden = 8
"""
SMALL = ("conversion.probe_recordings=3", "conversion.calibration_images=12", "distil.epochs=1")


def call(capsys, *arguments):
    """Exit code, stdout and stderr of one command."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def given(*assignments):
    return [word for text in (*SMALL, *assignments) for word in ("--set", text)]


def report_of(run):
    return json.loads((run / "report.json").read_text())


def rows_of(run):
    report = report_of(run)
    rows = report["floats"]["rows"] + report["integers"]["rows"]
    return {(row["form"], row["steps"]): row for row in rows}


def work_of(run):
    config = load_run_config(run / "config.toml")
    source = open_source(config.conversion.run)
    return Work(RunFolder.open(run), config, source)


def graded_config(tmp_path, folder):
    path = tmp_path / "graded.toml"
    path.write_text(
        'task = "conversion"\n[conversion]\ncode = "graded"\ndistil = true\n'
        f'run = "{folder / "single"}"\ncalibration_images = 12\n'
    )
    return path
