"""The command line, called in this process; every report of a run is held to its schema."""

from __future__ import annotations

import jsonschema
import pytest

from spikeface.cli import main
from spikeface.runs import RunFolder
from spikeface.schemas import report_schema


@pytest.fixture(scope="session")
def validate():
    """``(report)``: raises where it is not what the published schema says."""
    return jsonschema.Draft202012Validator(report_schema()).validate


@pytest.fixture(scope="session", autouse=True)
def reports_follow_their_schema(validate):
    """Whatever a step adds to ``report.json``, the whole is valid afterwards."""
    update = RunFolder.update_report

    def update_and_validate(run, **sections):
        update(run, **sections)
        validate(run.read_report())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "update_report", update_and_validate)
        yield


@pytest.fixture
def call(capsys):
    """``(*arguments) -> (exit code, stdout, stderr)`` of one command."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
