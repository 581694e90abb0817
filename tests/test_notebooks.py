"""Every notebook runs from its first cell to its last, in a fresh folder and namespace.

Those that are kept with their outputs show no errors, no folders of somebody's machine, and
pictures that are small.
"""

import contextlib
import importlib.util
import io
import json
import re
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LARGEST_BYTES = 200_000  # outputs, if there are any, are small
FOLDERS = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|private|usr|opt)/")
LAVA_WORDS = ("LavaBackend", "lava-dl")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def outputs_of(path):
    for cell in cells_of(path):
        yield from cell.get("outputs", ())


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_outputs_are_fit_to_be_read(path):
    assert path.stat().st_size < LARGEST_BYTES
    kinds = {output["output_type"] for output in outputs_of(path)}
    assert kinds <= {"stream", "display_data", "execute_result"}
    streams = {o["name"] for o in outputs_of(path) if o["output_type"] == "stream"}
    assert streams <= {"stdout"}
    assert not FOLDERS.search(path.read_text(encoding="utf-8"))


@each_notebook
def test_cells_were_run_in_order(path):
    code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
    if any(cell["outputs"] for cell in code):
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


@pytest.fixture
def short_folder():
    """For temporary files: the names of Lava's sockets have about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:
        yield folder


@pytest.mark.slow
@each_notebook
def test_notebook_runs(path, tmp_path, short_folder, monkeypatch):
    text = path.read_text(encoding="utf-8")
    if any(word in text for word in LAVA_WORDS) and importlib.util.find_spec("lava") is None:
        pytest.skip("Lava is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", short_folder)
    monkeypatch.setattr("tempfile.tempdir", short_folder)
    matplotlib.use("Agg", force=True)
    from matplotlib import pyplot

    namespace = {"__name__": "__main__"}
    said = io.StringIO()
    try:
        with matplotlib.rc_context():
            for number, cell in enumerate(cells_of(path)):
                if cell["cell_type"] != "code":
                    continue
                source = compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")
                with contextlib.redirect_stdout(said):
                    exec(source, namespace)
        assert said.getvalue()  # it tells something
    finally:
        pyplot.close("all")
