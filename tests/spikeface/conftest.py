"""The command line, called in this process."""

from __future__ import annotations

import pytest

from spikeface.cli import main


@pytest.fixture
def call(capsys):
    """``(*arguments) -> (exit code, stdout, stderr)`` of one command."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
