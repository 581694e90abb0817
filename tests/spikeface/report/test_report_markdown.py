"""``report.md``: every table has as many cells in each line, footnotes lead somewhere."""

from __future__ import annotations

import re

from spikeface.pages.writing import write_page
from spikeface.text.headline import headline, parity_chain
from spikeface.text.markdown import cell, report_markdown


def written(report):
    return report_markdown(report, commands=[["spikeface", "report", "a run"]], where={})


def test_tables_are_rectangles_and_footnotes_are_defined(report):
    text = written(report)
    blocks = re.findall(r"(?m)(?:^\|.*\|\n)+", text)
    assert len(blocks) >= 5
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
    used, defined = (set(re.findall(p, text)) for p in (r"\[\^(\d+)\](?!:)", r"(?m)^\[\^(\d+)\]:"))
    assert used == defined and used


def test_accuracies_have_their_interval(report):
    # Wilson's for 92 % of 84, by hand: (0.9429 ± 0.0600) / 1.04573.
    assert "| network, integer | 92.0% | 84% to 96% | 84 |" in written(report)


def test_energy_names_its_sources_and_what_it_leaves_out(report):
    text = written(report)
    assert "| synaptic operation[^1] | secondary | 23.6 pJ |" in text
    assert "[^1]: Davies 2018" in text and "- Loihi 2 is not priced." in text
    assert "| low | Loihi 1 | operations | 18 µJ | 41.8 mJ | 41.8 mJ |" in text


def test_nothing_hostile_leaves_its_cell(report, hostile):
    report["spikes"]["layers"][0]["layer"] = "a | b\nc"
    text = written(report)
    assert "| a \\| b c |" in text and hostile not in text and "<script" not in text
    assert cell("x\n\n# y") == "x # y"


def test_it_tells_how_to_make_it_again(report):
    assert "```\nspikeface report 'a run'\n```" in written(report)


def test_it_is_written_beside_the_page_when_asked(make_run, report):
    run = make_run(report)
    write_page(run)
    assert not (run.path / "report.md").exists()
    write_page(run, markdown=True)
    assert (run.path / "report.md").read_text(encoding="utf-8").startswith("# &lt;script>")


def test_the_chain_says_equal_different_or_not_run(report, parity_of, divergence):
    states = [hop.state for hop in parity_chain(report)]
    assert states == ["different", "not run", "equal", "not run"]
    report["accuracy"]["same_prediction_as_float"]["value"] = 1.0
    report["parity"] = parity_of(divergence)
    states = [hop.state for hop in parity_chain(report)]
    assert states == ["equal", "not run", "different", "not run"]
    assert parity_chain({"accuracy": report["accuracy"]}) == []


def test_the_headline_is_what_the_sections_say(report):
    found = {entry.what: entry.number for entry in headline(report)}
    assert found["accuracy, integer"] == "92.0%" and found["simulator = Lava?"] == "equal"
    assert found["synaptic operations per clip"] == "1k"
    assert found["energy per clip of 0.4 s"] == "41.8 mJ"
    assert headline({}) == []
