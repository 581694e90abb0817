"""Tables of a sweep: the numbers of the reports, and means and spreads worked out beside them."""

import csv
import json
import statistics

import numpy as np
import pytest

from spikeface.outputs import write_json
from spikeface.runs import RunFolder
from spikeface.sweeps import SweepFolder, plan, show
from spikeface.sweeps.results import group_results, read_result
from spikeface.sweeps.tables import augmentation

CLASSES = ["calm", "sad|<b>", "odd"]
LABELS = [0, 0, 0, 1, 1, 2]
ANSWERS = {  # by seed: those of the float and of the integer network
    0: ([0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 1]),
    1: ([0, 0, 1, 1, 0, 2], [0, 0, 1, 1, 0, 2]),
    2: ([0, 2, 1, 0, 0, 0], [1, 2, 1, 0, 0, 0]),
}


def simulated(value, **context):
    return {"value": value, "tag": "simulated", **context}


def share(answers):
    return sum(a == b for a, b in zip(answers, LABELS, strict=True)) / len(LABELS)


def write_run(sweep, name, seed, *, integer=True, labels=LABELS):
    in_float, in_integer = ANSWERS[seed]
    run = RunFolder.create(sweep.run(name).path, sweep.planned[name].config)
    accuracy = {
        "protocol": "strict: nobody is seen twice",
        "chance": 1 / 3,
        "majority": simulated(0.5),
        "baseline_ridge": simulated(0.25 + 0.125 * seed),
        "float": simulated(share(in_float), n=6),
    }
    predictions = {"labels": labels, "float": in_float}
    sections = {}
    if integer:
        accuracy["integer"] = simulated(share(in_integer), n=6)
        accuracy["same_prediction_as_float"] = simulated(5 / 6)
        predictions["integer"] = in_integer
        sections["spikes"] = {"spikes": 100.5 + seed, "synaptic_operations": 2000.25 * (seed + 1)}
    report = dict(
        data={"classes": CLASSES},
        training={
            "epochs": 7,
            "best_validation_accuracy": simulated(0.4 + 0.1 * seed),
            "host_seconds": 1.0,
            "spikes_per_clip": simulated(90.0 + seed),
        },
        accuracy=accuracy,
        predictions=predictions,
        **sections,
    )
    write_json(run.report, report)
    run.write_metrics([{"epoch": e, "seconds": 30.0 * (seed + 1)} for e in range(2)])
    sweep.note(name, state="done", until="simulator")


@pytest.fixture
def sweep(tmp_path):
    """Three finished seeds, one group of a failed and a waiting run."""
    planned = plan(
        None,
        over=["training.learning_rate=0.01,0.02", "training.seed=0:3"],
        assignments=["training.epochs=9"],
    )
    sweep = SweepFolder.create(tmp_path / "s", planned)
    for seed in range(3):
        write_run(sweep, f"learning_rate0.01-seed{seed}", seed)
    sweep.note("learning_rate0.02-seed0", state="failed", error="the loss became | nan")
    return sweep


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_says_what_the_report_says(sweep):
    show(sweep)
    rows = rows_of(sweep.rows)
    assert [row["state"] for row in rows] == ["done"] * 3 + ["failed", "waiting", "waiting"]
    for seed, row in enumerate(rows[:3]):
        report = sweep.run(row["name"]).read_report()
        assert row["training.seed"] == str(seed) and row["training.learning_rate"] == "0.01"
        assert row["training.epochs"] == "9" and row["epochs_trained"] == "7"
        assert row["model.engine"] == "norse" and row["augmentation"] == "flip 0.5, shift 2"
        assert float(row["float_accuracy"]) == report["accuracy"]["float"]["value"]
        assert float(row["integer_accuracy"]) == report["accuracy"]["integer"]["value"]
        assert float(row["same_answers"]) == 5 / 6
        assert float(row["validation_accuracy"]) == 0.4 + 0.1 * seed
        assert float(row["spikes_per_clip"]) == 100.5 + seed
        assert float(row["float_spikes_per_clip"]) == 90 + seed
        assert float(row["synaptic_operations_per_clip"]) == 2000.25 * (seed + 1)
        assert float(row["training_minutes"]) == seed + 1  # two epochs of half a minute and more
    assert rows[3]["error"] == "the loss became | nan" and rows[3]["float_accuracy"] == ""


def test_means_and_spreads_are_those_of_numpy_and_of_python(sweep):
    result = show(sweep)
    group, empty = result["groups"]
    accuracies = [share(ANSWERS[seed][1]) for seed in range(3)]
    assert group["integer_accuracy_mean"] == pytest.approx(np.mean(accuracies), abs=1e-15)
    assert group["integer_accuracy_std"] == pytest.approx(statistics.stdev(accuracies), abs=1e-15)
    assert group["integer_accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1), abs=1e-15)
    assert group["training_minutes_mean"] == 2 and group["training_minutes_std"] == 1
    assert group["baseline_ridge"] == 0.375 and group["baseline_majority"] == 0.5
    assert (group["runs"], group["finished"], group["seeds"], group["folds"]) == (3, 3, 3, 1)
    assert (empty["runs"], empty["finished"], empty["failed"]) == (3, 0, 1)
    assert empty["integer_accuracy_mean"] is None
    assert result["counts"] == {"done": 3, "failed": 1, "waiting": 2}
    json.dumps(result, allow_nan=False)


def test_classes_and_confusion_by_hand(sweep):
    group, _ = show(sweep)["groups"]
    # Of the integer networks: calm is right 3, 2 and 0 times of 3, sad 2, 1, 0 of 2, odd 0, 1, 0.
    assert group["accuracy of calm"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert group["accuracy of sad|<b>"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert group["accuracy of odd"] == pytest.approx(1 / 3)
    counts = {(r["true"], r["predicted"]): int(r["clips"]) for r in rows_of(sweep.confusion)}
    by_hand = [[5, 3, 1], [3, 3, 0], [1, 1, 1]]
    assert [[counts[a, b] for b in CLASSES] for a in CLASSES] == by_hand
    page = sweep.page.read_text(encoding="utf-8")
    assert "| sad\\|&lt;b> | 3 | 3 | 0 |" in page and "18 clips of 3 runs" in page


def test_a_class_that_a_fold_does_not_show_counts_where_it_is_shown(tmp_path):
    planned = plan(None, over=["data.fold=0,1"])
    sweep = SweepFolder.create(tmp_path / "s", planned)
    write_run(sweep, "fold0", 0)
    write_run(sweep, "fold1", 1, labels=[0, 0, 1, 1, 0, 0])  # nobody is odd
    (group,) = group_results([read_result(sweep, name) for name in sweep.planned])
    assert group.class_accuracies() == {"calm": 1.0 - 0.125, "sad|<b>": 1.0, "odd": 0.0}
    assert group.different("data.fold") == 2 and group.different("training.seed") == 1


def test_without_integers_the_float_network_answers(tmp_path):
    sweep = SweepFolder.create(tmp_path / "s", plan(None, over=["training.seed=0,1"]))
    write_run(sweep, "seed0", 0)
    write_run(sweep, "seed1", 1, integer=False)
    (group,) = show(sweep)["groups"]
    assert group["answers_of"] == "float"
    assert group["accuracy of odd"] == 1.0 and group["spikes_per_clip_std"] is None
    page = sweep.page.read_text(encoding="utf-8")
    assert "| run | 2 of 2 | 83.3 ± 23.6% | 83.3% |" in page
    assert "| 90 |" in page or "| 91 |" in page  # spikes of the float networks, 90 and 91


def test_the_page_names_protocol_references_and_failures(sweep):
    show(sweep)
    page = sweep.page.read_text(encoding="utf-8")
    assert "3 done, 1 failed, 2 waiting. Protocol: strict." in page
    assert "- strict: nobody is seen twice (3 runs)" in page
    assert "| learning_rate0.01 | 33.3% | 50.0% | 37.5% |" in page
    assert "- `learning_rate0.02-seed0`: the loss became \\| nan" in page
    assert sweep.picture.read_bytes().startswith(b"\x89PNG")


def test_an_empty_sweep_has_tables_and_no_picture(tmp_path):
    sweep = SweepFolder.create(tmp_path / "s", plan(None, over=["training.seed=0,1"]))
    assert show(sweep)["counts"] == {"waiting": 2}
    assert len(rows_of(sweep.rows)) == 2 and not sweep.picture.exists()


def test_a_finished_run_whose_report_was_removed_does_not_count(sweep):
    sweep.run("learning_rate0.01-seed1").report.unlink()
    group, _ = show(sweep)["groups"]
    assert (group["runs"], group["finished"]) == (3, 2)


def test_listed_runs_of_one_configuration_are_one_group(tmp_path):
    (tmp_path / "l.toml").write_text(
        "".join(f'[[run]]\nname = "sew seed {s}"\nset = ["training.seed={s}"]\n' for s in (0, 1))
    )
    sweep = SweepFolder.create(tmp_path / "s", plan(None, listed=tmp_path / "l.toml"))
    assert [row["group"] for row in show(sweep)["groups"]] == ["sew_seed"]


def test_augmentation_in_words():
    assert augmentation({}) == "none"
    assert augmentation({"flip": 0.0, "shift": 0}) == "none"
    assert augmentation({"kind": "spiking_fer", "flip": True, "crop": False, "window": 0.7}) == (
        "spiking_fer, flip, window 0.7"
    )
