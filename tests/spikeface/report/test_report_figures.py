"""Figures survive odd numbers; intervals and numbers as text are those worked out by others."""

from __future__ import annotations

import numpy as np
import pytest

from snn.events.faces import FaceSetParameters
from spikeface.errors import SpikefaceError
from spikeface.figures.costs import cores_by_layer, energy_range
from spikeface.figures.overtime import activity_over_time
from spikeface.figures.results import confusion_matrix, learning_curve, save_faces_preview
from spikeface.figures.spikes import input_strip, message_raster, spike_raster
from spikeface.figures.style import to_svg
from spikeface.text.accuracy import wilson_interval
from spikeface.text.numbers import compact, energy_text, percent, quantity, small, three_figures


def priced(dynamic_nj, static_nj):
    return {
        "device": "x " * 99,
        "level": "high",
        "dynamic_nj": dynamic_nj,
        "static_nj": static_nj,
        "total_nj": dynamic_nj + (static_nj or 0.0),
    }


def test_figures_survive_extreme_input():
    silent = {"hidden": np.zeros((1, 2), int), "output": np.zeros((1, 2), int)}
    frames = np.zeros((1, 2, 3, 4), int)
    lost = {"epoch": 0.0, "loss": float("nan"), "train_accuracy": 0.0, "validation_accuracy": 0.0}
    figures = [
        spike_raster(frames, silent, classes=["a", "b"], label=1),
        spike_raster(frames, silent, classes=["a", "b"], label=1, membrane=np.zeros((1, 2))),
        input_strip(frames),
        input_strip(np.ones((40, 2, 3, 4), int)),
        learning_curve([lost], best_epoch=None),
        confusion_matrix(np.zeros((2, 2), int), ["a", "x" * 99]),
        message_raster(frames, silent),
        cores_by_layer([{"layer": "x" * 99, "cores": 0, "cores_lower_bound": 0}] * 50),
        activity_over_time({"a": [0.0], "b": []}, {"a": 3, "b": 1}),
        energy_range([priced(0.0, None), priced(3.0, None), priced(3.0, 1e12)]),
    ]
    for figure in figures:
        assert "</svg>" in to_svg(figure, salt="a")


def test_faces_preview_is_a_picture_and_is_not_overwritten(tmp_path):
    path = tmp_path / "faces.png"
    small_set = FaceSetParameters(sensor_size=(24, 16), duration_ms=100.0, train_subjects=1)
    save_faces_preview(path, small_set)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(SpikefaceError, match="exists already"):
        save_faces_preview(path, small_set)


def test_wilson_interval_matches_published_values():
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (three_figures(0.0310), "0.0310"),
        (three_figures(72.5), "72.5"),
        (three_figures(41749999.9), "41,750,000"),
        (three_figures(0), "0"),
        (three_figures(float("nan")), "–"),
        (percent(None), "–"),
        (percent(1.0), "100.0%"),
        (small(1.3e-4), "1.3e-4"),
        (compact(999.9), "1k"),
        (compact(412_384), "412k"),
        (energy_text(0.5), "0.5 nJ"),
        (energy_text(999.96), "1 µJ"),
        (energy_text(41_816_543.0), "41.8 mJ"),
        (energy_text(None), "–"),
        (quantity(12000), "12,000"),
        (quantity("none"), "none"),
    ],
)
def test_numbers_as_text(text, expected):
    assert text == expected
