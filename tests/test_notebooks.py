"""Every notebook runs from its first cell to its last, in a fresh folder and namespace."""

import contextlib
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LARGEST_BYTES = 200_000  # outputs, if there are any, are small


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    assert path.stat().st_size < LARGEST_BYTES
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    matplotlib.use("Agg", force=True)
    from matplotlib import pyplot

    namespace = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] != "code":
                continue
            source = compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(source, namespace)
        assert said.getvalue()  # the last cell tells something
    finally:
        pyplot.close("all")
