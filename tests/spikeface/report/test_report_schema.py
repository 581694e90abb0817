"""The published schema: real reports are valid, a renamed key or an untagged number is not."""

from __future__ import annotations

import copy
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest

from spikeface.cli import main
from spikeface.pages.writing import write_page
from spikeface.runs import RunFolder
from spikeface.schemas import report_schema
from spikeface.schemas.tables import report_tables

DOCS = Path(__file__).parents[3] / "docs" / "report.md"
TINY = [
    "faces.sensor_size=[24, 24]",
    "faces.position_jitter_px=1.0",
    "faces.train_subjects=2",
    "faces.validation_subjects=1",
    "faces.test_subjects=1",
    "faces.clips_per_class=1",
    "frames.n_bins=4",
    "model.channels=[4]",
    "model.kernels=[3]",
    "model.hidden=8",
    "training.epochs=1",
]
NUMBERS = ("number", "integer")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny spiking run, from faces to the simulator."""
    folder = tmp_path_factory.mktemp("schema")
    data, run = str(folder / "faces.h5"), str(folder / "run")
    options = [word for assignment in TINY for word in ("--set", assignment)]
    assert main(["faces", data, "--workers", "1", *options]) == 0
    assert main(["train", "--data", data, "--out", run, *options]) == 0
    assert main(["quantise", run]) == 0
    assert main(["run", run, "--on", "simulator"]) == 0
    return RunFolder.open(Path(run))


def parts(schema, tag=None, path=""):
    """Every schema in a schema, with the tag that holds for its numbers and where it is."""
    own = schema.get("properties", {}).get("tag")
    tag = schema.get("x-tag", "own" if own and "tag" in schema["required"] else tag)
    yield schema, tag, path
    for key in ("properties", "$defs"):
        for name, part in schema.get(key, {}).items():
            yield from parts(part, tag, f"{path}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], tag, f"{path}/{key}")
    for part in schema.get("anyOf", []):
        yield from parts(part, tag, path)


def is_number(schema):
    kind = schema.get("type", ())
    return bool(set(NUMBERS) & set([kind] if isinstance(kind, str) else kind))


def shared_within_tagged(schema):
    """Names of shared parts that are used only where a tag holds already."""
    users = {}
    for part, tag, path in parts(schema):
        if "$ref" in part:
            users.setdefault(part["$ref"].rpartition("/")[2], []).append((tag, path))
    return users


def test_it_is_a_schema_of_the_stated_draft():
    schema = report_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    assert version("jsonschema") >= "4"


def test_every_number_has_a_unit_and_a_tag():
    schema = report_schema()
    users = shared_within_tagged(schema)
    for part, tag, path in parts(schema):
        if is_number(part):
            assert "x-unit" in part, path
            name = path.split("/")[1]
            by_its_users = all(t or p.split("/")[1] in users for t, p in users.get(name, []))
            assert tag or (name in users and by_its_users), f"{path}: no tag holds here"


def test_everything_is_described_and_closed():
    for part, _, path in parts(report_schema()):
        if "properties" in part and not path.startswith("/loihi"):
            assert part["additionalProperties"] is not True, path
            for name, value in part["properties"].items():
                told = {"description", "title", "$ref", "const", "enum", "anyOf", "properties"}
                assert told & set(value), f"{path}/{name}"


def test_a_made_up_report_of_everything_is_valid(make_run, report, validate):
    run = make_run(report)
    write_page(run)
    validate(run.read_report())


def test_a_real_run_is_valid_at_every_stage(trained, validate):
    report = trained.read_report()
    validate(report)
    write_page(trained)
    written = trained.read_report()
    validate(written)
    assert {"fit", "energy", "spikes", "quantisation"} <= set(written)
    for later in ("spikes", "energy", "simulator", "quantisation"):
        validate({key: value for key, value in report.items() if key != later})


@pytest.mark.parametrize("name", ["network.nir", "network.chip"])
def test_a_report_of_its_network_is_valid(trained, validate, tmp_path, name):
    out = tmp_path / "out"
    assert main(["report", str(trained.path / name), "--out", str(out), "--steps", "4"]) == 0
    validate(RunFolder(out).read_report())


def renamed(report):
    report["spikes"]["synaptic_ops"] = report["spikes"].pop("synaptic_operations")


def untagged_section(report):
    del report["energy"]["tag"]


def untagged_number(report):
    del report["accuracy"]["integer"]["tag"]


def bare_number(report):
    report["accuracy"]["integer"] = 0.92


def wrong_tag(report):
    report["energy"]["tag"] = "measured"


def unknown_section(report):
    report["power"] = 3.0


def unknown_number_in_a_row(report):
    report["energy"]["rows"][0]["loihi2_nj"] = 3.0


def unsourced_constant(report):
    del report["energy"]["constants"][0]["source"]


def other_version(report):
    report["schema"] = "spikeface.report/2"


def share_above_one(report):
    report["quantisation"]["layers"][0]["zeroed"] = 1.5


@pytest.mark.parametrize(
    "change",
    [
        renamed,
        untagged_section,
        untagged_number,
        bare_number,
        wrong_tag,
        unknown_section,
        unknown_number_in_a_row,
        unsourced_constant,
        other_version,
        share_above_one,
    ],
)
def test_what_is_not_in_the_schema_is_refused(report, validate, change):
    validate(report)
    changed = copy.deepcopy(report)
    change(changed)
    with pytest.raises(jsonschema.ValidationError):
        validate(changed)


def test_the_documented_tables_are_those_of_the_schema():
    assert report_tables(report_schema()).strip() in DOCS.read_text(encoding="utf-8")
