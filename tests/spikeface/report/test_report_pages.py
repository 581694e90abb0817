"""The report page: every state of a run renders, nothing is loaded, nothing hostile gets in."""

from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest

from spikeface.errors import RunFolderError
from spikeface.pages.writing import write_page
from spikeface.runs import SCHEMA

FIGURES = {"accuracy", "learning", "confusion", "input", "raster", "layers", "cores", "energy"}


def without(report, *sections, accuracies=()):
    report = copy.deepcopy(report)
    for name in sections:
        del report[name]
    for name in accuracies:
        del report["accuracy"][name]
    return report


SPIKE_SECTIONS = ("confusion", "spikes", "energy", "simulator")
LAVA_SECTIONS = ("parity", "lava")
STATES = ("full", "diverging", "simulator only", "lava only", "quantised", "trained", "new")
INTEGER = ("integer", "integer_minus_float_points", "same_prediction_as_float")
LAVA = ("lava", "integer_on_lava_samples")


@pytest.fixture
def states(report, divergence, parity_of):
    """Name of a state, its report, and whether there are samples and metrics."""
    diverging = copy.deepcopy(report)
    diverging["parity"] |= parity_of(divergence)
    diverging["recordings"][0]["parity"] = parity_of(divergence)
    run_sections = (*SPIKE_SECTIONS, *LAVA_SECTIONS, "recordings")
    return {
        "full": (report, True, True),
        "diverging": (diverging, True, True),
        "simulator only": (
            without(report, *LAVA_SECTIONS, "recordings", accuracies=LAVA), True, True
        ),
        "lava only": (without(report, *SPIKE_SECTIONS, accuracies=INTEGER), False, True),
        "quantised": (without(report, *run_sections, accuracies=(*INTEGER, *LAVA)), False, True),
        "trained": (
            without(report, "quantisation", *run_sections, accuracies=(*INTEGER, *LAVA)),
            False,
            True,
        ),
        "new": ({"schema": SCHEMA}, False, False),
    }  # fmt: skip


def test_a_network_that_is_read_by_its_membrane_answers_with_it(
    make_run, report, read_page, write_samples
):
    run = make_run(report, samples=False)
    write_samples(run, readout="membrane")
    write_page(run)
    text = read_page(run.page.read_text(encoding="utf-8")).text
    assert "silent" not in text
    # The membranes fall from the first class to the last.
    assert f"answers {report['data']['classes'][0]}" in " ".join(text.split())
    assert "the highest membrane" in " ".join(text.split())


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_run_renders_as_a_closed_safe_page(make_run, state, states, read_page):
    report, samples, metrics = states[state]
    run = make_run(report, samples, metrics)
    write_page(run)
    html = run.page.read_text(encoding="utf-8")
    page = read_page(html)
    identifiers = [value for key, value in page.attributes if key == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert "script" not in page.tags
    assert not re.search(r"\b(nan|None|Undefined)\b", page.text)
    assert len(html.encode()) < 1_500_000
    for key, value in page.attributes:
        if key in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert value.startswith(("#", "data:")), (key, value)
    assert all(url.startswith("#") for url in re.findall(r"url\(['\"]?([^)'\"]*)", html))
    assert not re.search(r"https?:|@import", html)


def test_full_report_shows_all_numbers_and_no_missing_section(make_run, report, read_page, hostile):
    run = make_run(report)
    write_page(run)
    page = read_page(run.page.read_text(encoding="utf-8"))
    assert "not here yet" not in page.text
    shown = ["93.1%", "92.0%", "19.0%", "33.3%", "−1.1 points", "1,890 values", "44.0 dB"]
    shown += ["exact", "23.6 pJ", "Davies 2018", "41.8 mJ", "Loihi 2 is not priced.", "4.5e-5"]
    shown += ["nothing on this page was measured", "The other 10 windows", hostile]
    assert [text for text in shown if text not in page.text] == []
    classes = [value for key, value in page.attributes if key == "class"]
    assert classes.count("tag simulated") > 10
    # legend, cores, energy, two headings, four rows
    assert classes.count("tag estimated") == 9
    assert classes.count("tag measured") == 2  # legend, and what others measured


def test_missing_sections_name_the_command_that_adds_them(make_run, states, read_page):
    report, samples, metrics = states["trained"]
    run = make_run(report, samples, metrics)
    write_page(run)
    text = read_page(run.page.read_text(encoding="utf-8")).text
    for command in ("quantise RUN", "run RUN --on simulator", "run RUN --on lava", "--input FILE"):
        assert f"spikeface {command}" in text or command in text
    assert "µJ" not in text


def test_an_artificial_network_has_no_section_of_spikes(make_run, states, read_page):
    artificial = states["trained"][0]
    artificial["training"]["spiking"] = False
    artificial["confusion_float"] = states["full"][0]["confusion"]
    run = make_run(artificial, samples=False)
    write_page(run)
    page = read_page(run.page.read_text(encoding="utf-8"))
    assert "not here yet" not in page.text and "Quantisation" not in page.text
    assert "quantise" not in page.text
    assert "confusion" in run.read_report()["figures"]


def test_recordings_of_a_set_are_trained_on_again_from_their_folder(make_run, report, read_page):
    report["data"] |= {"dataset": "ckplus-dvs", "file": "/somewhere/data"}
    run = make_run(report)
    write_page(run)
    text = read_page(run.page.read_text(encoding="utf-8")).text
    assert "--root FOLDER" in text and "spikeface faces" not in text


def test_diverging_parity_says_where_first_and_counts_by_layer(make_run, states, read_page):
    run = make_run(states["diverging"][0])
    write_page(run)
    page = read_page(run.page.read_text(encoding="utf-8"))
    assert [value for key, value in page.attributes if key == "role"].count("alert") == 2
    for text in ("Not equal.", "(1, 3, 5)", "simulator has 1", "lava has 0", "1,220"):
        assert text in page.text


def test_figures_and_folder_are_listed_in_the_report(make_run, report):
    run = make_run(report)
    write_page(run)
    written = run.read_report()
    assert set(written["figures"]) == FIGURES
    assert all((run.path / path).is_file() for path in written["figures"].values())
    assert written["folder"] == str(run.path.resolve())
    assert run.is_done("report")


def test_same_run_gives_the_same_bytes(make_run, report):
    run = make_run(report)
    written = []
    for _ in range(2):
        write_page(run)
        figures = sorted(run.figures.iterdir())
        written.append([path.read_bytes() for path in (run.page, *figures)])
    assert written[0] == written[1]


def test_report_of_another_schema_is_refused(make_run):
    run = make_run({"schema": "spikeface.report/0"}, samples=False, metrics=False)
    with pytest.raises(RunFolderError, match=r"report/1.*report/0"):
        write_page(run)
    assert json.loads(run.status.read_text())["report"]["state"] == "failed"


def test_samples_of_another_network_are_refused(make_run, report, write_samples):
    run = make_run(report)
    run.write_samples(input=np.zeros((1, 7, 2, 5, 1), np.uint8), labels=np.array([0]))
    with pytest.raises(RunFolderError, match=r"does not fit network\.chip"):
        write_page(run)
