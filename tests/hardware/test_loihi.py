"""How far a board is: told apart with a stand-in for the closed extension."""

import pytest

from hardware.backends import loihi


@pytest.fixture
def extension(monkeypatch):
    """Stand-in: as if Intel's extension were installed, and nothing led to a board."""
    monkeypatch.setattr(loihi, "_extension_installed", lambda: True)
    monkeypatch.setattr(loihi.shutil, "which", lambda name: None)
    monkeypatch.delenv("NXSDKHOST", raising=False)
    return monkeypatch


def test_without_the_extension(monkeypatch):
    monkeypatch.setattr(loihi, "_extension_installed", lambda: False)
    availability = loihi.loihi_availability()
    assert availability.state == "not installed"
    assert "Research Community" in availability.reason


def test_extension_without_a_board(extension):
    availability = loihi.loihi_availability()
    assert availability.state == "not reachable"
    assert "neither SLURM" in availability.reason


def test_a_host_alone_is_not_called_available(extension):
    extension.setenv("NXSDKHOST", "board.example")
    availability = loihi.loihi_availability()
    assert not availability
    assert "not supported yet" in availability.reason
