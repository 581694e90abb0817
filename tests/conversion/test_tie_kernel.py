"""K against the values that are known of it."""

from __future__ import annotations

import numpy as np
import pytest

from conversion.tie import kernel_values
from snn.errors import EventFormatError


def test_est_has_the_values_calculated_from_the_stored_weights() -> None:
    at = np.array([0, 1 / 16, 1 / 8, 0.25, 0.5, 1, 1.5, 2, 10, 1e5])
    known = [0.984, 0.13, 0.0, 0.0, 0.0, 0.0, 0.011, 0.035, 0.57, 6543]
    np.testing.assert_allclose(kernel_values(at, "est"), known, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(kernel_values(-at, "est"), kernel_values(at, "est"))


def test_est_follows_the_trilinear_kernel_of_fifteen_bins() -> None:
    z = np.linspace(-1, 1, 4001)
    fitted_to = np.maximum(0, 1 - 14 * abs(z))
    assert abs(kernel_values(z, "est") - fitted_to).max() <= 0.016 + 1e-9  # at 0, as the table


def test_est_grows_by_0_0654_far_out() -> None:
    low, high = kernel_values(np.array([1e4, 1e4 + 1]), "est")
    assert high - low == pytest.approx(0.0654, abs=5e-5)


def test_trilinear_falls_to_zero_one_bin_away() -> None:
    at = np.array([0, 1 / 32, -1 / 16, 1 / 8, 0.2, 5.0])
    np.testing.assert_allclose(kernel_values(at, "trilinear"), [1, 0.75, 0.5, 0, 0, 0], atol=1e-15)


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(EventFormatError, match="choose one of est, trilinear"):
        kernel_values(np.zeros(1), "gauss")  # type: ignore[arg-type]
