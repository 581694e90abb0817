"""Freed memory that stays: seen in the pages a process must ask for again."""

import platform
import subprocess
import sys

import pytest

from snn import allocator

FAULTS_OF_A_SECOND_BUFFER = """
import resource, sys
import numpy as np
from snn.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def touch():
    np.empty(200_000_000, np.uint8).fill(1)
touch()
before = faults()
touch()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_buffer_of_the_same_size_costs_no_new_pages():
    def faults(mode):
        command = [sys.executable, "-c", FAULTS_OF_A_SECOND_BUFFER, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert 10 * faults("keep") < faults("default")


def test_other_c_libraries_are_told(monkeypatch, caplog):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert allocator.keep_freed_memory() is False
    assert "needs glibc" in caplog.text
