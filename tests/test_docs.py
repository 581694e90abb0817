"""The pages are true: links lead somewhere, numbers are the constants, the picture is the run."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from hardware.analysis.energy import FP32_AC, FP32_MAC, INT8_MAC, anchors, constants
from hardware.backends.backend import every
from hardware.backends.lava.backend import LavaBackend

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def named(path):
    return str(path.relative_to(ROOT))


def prose(path):
    """A page without its code blocks, or the words of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return FENCED.sub("", text)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=named)
def test_links_lead_somewhere(page):
    targets = [t.partition("#")[0] for t in LINK.findall(prose(page)) if "://" not in t]
    missing = [t for t in targets if t and not (page.parent / t).exists()]
    assert not missing


def test_the_index_has_every_page_and_notebook():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in DOCS.glob("*.md") if path.name != "README.md"]
    notebooks = [f"../notebooks/{path.name}" for path in NOTEBOOKS]
    assert not [name for name in (*pages, *notebooks) if f"({name})" not in index]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_tests_and_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    missing = [
        t for t in re.findall(r"\btests/(?!lava/)[\w/]+\.py", text) if not (ROOT / t).is_file()
    ]
    known = {path.name for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*")}
    missing += [t for t in re.findall(r"`(test_\w+\.py)`", text) if t not in known]
    assert not missing


# -- docs/energy.md --------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def energy():
    return (DOCS / "energy.md").read_text(encoding="utf-8")


def rows(text, columns):
    cells = [line.strip().strip("|").split("|") for line in text.splitlines() if line[:1] == "|"]
    return [tuple(c.strip() for c in row) for row in cells if len(row) == columns]


def test_the_table_of_energies_is_that_of_the_constants(energy):
    table = {
        name: (*value.split(), evidence) for name, value, _, evidence in rows(energy, 4)[2:] if name
    }
    known = {constant.name: constant for constant in constants()}
    assert table.keys() == known.keys()
    for name, (value, unit, evidence) in table.items():
        assert float(value) == pytest.approx(known[name].value, rel=5e-3), name
        assert (unit, evidence) == (known[name].unit, known[name].evidence), name


def test_parts_of_a_constant_add_up(energy):
    sums = dict.fromkeys(re.findall(r"\d+\.\d+(?: \+ \d+\.\d+)+", energy))
    totals = [sum(map(float, text.split(" + "))) for text in sums]
    assert len(totals) == 3
    values = [constant.value for constant in constants()]
    assert all(np.isclose(values, total).any() for total in totals)


def test_the_crossover_is_the_ratio_of_the_constants(energy):
    found = re.search(r"> +([\d.]+) / ([\d.]+) +=  ([\d.]+) spikes", energy)
    mac, ac, ratio = map(float, found.groups())
    assert (mac, ac) == (INT8_MAC.value, FP32_AC.value)
    assert ratio == round(mac / ac, 2)
    assert f"{100 * mac / ac / 16:.1f} %" in " ".join(energy.split())
    assert round(FP32_MAC.value / INT8_MAC.value) == 20
    assert "twenty times" in " ".join(energy.split())


def test_measured_figures_are_those_of_the_anchors(energy):
    known = [set(NUMBER.findall(f"{a.workload} {a.figure}")) for a in anchors()]
    table = [row for row in rows(energy, 3) if row[0].startswith("PilotNet")]
    assert len(table) == len(known)
    for (workload, figure, _), numbers in zip(table, known, strict=True):
        assert set(NUMBER.findall(f"{workload} {figure}")) <= numbers


def test_no_other_energy_is_quoted(energy):
    quoted = {float(n) for n in re.findall(r"([\d.]+) pJ", energy)}
    circulating = {2.1}  # named to say that it leads nowhere
    known = [constant.value for constant in constants()]
    assert all(np.isclose(known, value, rtol=5e-3).any() for value in quoted - circulating)


# -- docs/timeline.svg -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def drawing():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    spec = importlib.util.spec_from_file_location("draw_timeline", DOCS / "draw_timeline.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_shows_the_run(drawing):
    drawn = drawing.to_svg(drawing.timeline(), salt="timeline")
    kept = drawing.OUT.read_text(encoding="utf-8")
    assert kept.count("<use") == drawn.count("<use") > 100


def test_the_pipeline_is_late_and_biases_do_not_wait(drawing):
    chip, spikes = drawing.network(), drawing.samples()
    meant, bare = drawing.layerwise(chip, spikes), drawing.pipelined(chip, spikes[0])
    for name in drawing.LAYERS[:3]:
        late = chip.depth[name]
        np.testing.assert_array_equal(bare[name][late : late + drawing.STEPS], meant[name][0])
    last = drawing.LAYERS[3]
    late = chip.depth[last]
    assert bare[last][:late].any()
    assert (bare[last][late : late + drawing.STEPS] != meant[last][0]).any()


def test_lava_gives_the_spikes_of_the_third_panel(drawing):
    """The backend hands traces over from each layer's own first step, one sample behind another."""
    lava = LavaBackend(timeout_s=120)
    if not lava.is_available():
        pytest.skip(lava.is_available().reason)
    chip, spikes = drawing.network(), drawing.samples()
    run = lava.run(chip, spikes, probes=every(chip, "spikes"))
    meant = drawing.layerwise(chip, spikes)
    for name in drawing.LAYERS[1:]:
        np.testing.assert_array_equal(run.traces[name, "spikes"], meant[name])
