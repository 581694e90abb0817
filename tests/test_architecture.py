"""The rooms of the project: who may import whom, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("snn", "conversion", "hardware", "spikeface")
FORBIDDEN = {
    "snn": {"hardware", "conversion", "spikeface"},
    "conversion": {"hardware", "spikeface"},
    "hardware": {"snn", "conversion", "spikeface", "norse", "tonic", "torch"},
    "spikeface": set(),
}
FLOORS = ("chip", "compiler", "backends", "analysis")
ABOVE = {
    "chip": {"compiler", "backends", "analysis"},
    "compiler": {"backends", "analysis"},
    "backends": {"compiler", "analysis"},
    "analysis": set(),
}
OPTIONAL_TORCH = "hardware/backends/torch_engine/backend.py"  # imports it when it is used
MAY_IMPORT_LAVA = {
    "hardware/backends/lava/worker.py",
    "hardware/backends/lava/graph.py",
    "hardware/backends/lava/neurons.py",
    "hardware/backends/lava/processes.py",
    "hardware/backends/lava/synapses.py",
    "hardware/backends/loihi/compile.py",
    "hardware/backends/loihi/worker.py",
    "snn/engines/slayer.py",
}


def modules(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path):
    """Dotted names that a module imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_in_one_direction(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN[package]
        and (name.split(".")[0], path) != ("torch", ROOT / OPTIONAL_TORCH)
    ]
    assert not wrong


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_of_hardware_knows_a_higher_one(floor):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(f"hardware/{floor}")
        for name in imported(path)
        if name.startswith("hardware.") and name.split(".")[1] in ABOVE[floor]
    ]
    assert not wrong


def test_lava_is_imported_in_named_files_only():
    importers = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in modules(package)
        if any(name.split(".")[0] == "lava" for name in imported(path))
    }
    assert importers == MAY_IMPORT_LAVA


def test_packages_come_from_this_checkout():
    script = "import snn, hardware, conversion, spikeface as s; print(s.__file__, snn.__file__)"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert {Path(path).parents[1] for path in printed} == {ROOT}


def test_help_needs_neither_torch_nor_lava():
    script = (
        "import sys\n"
        "from spikeface.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'lava', 'numba', 'matplotlib') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert printed.splitlines()[-1] == "[]"
