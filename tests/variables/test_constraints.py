"""Limits that physics sets: rain is not negative, the day's temperatures are in order."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from graphdown.variables.constraints import ascending, within_limits


@pytest.mark.parametrize("names", [("tasmax", "pr", "tas", "tasmin"), ("tasmin", "tasmax")])
def test_temperatures_are_the_nearest_ones_in_order(names):
    values = np.random.default_rng(0).normal(280, 2, (40, 30, len(names))).astype(np.float32)
    order = [names.index(n) for n in ("tasmin", "tas", "tasmax") if n in names]
    made = within_limits(values.copy(), names)
    own = made[..., order]
    assert (np.diff(own, axis=-1) >= 0).all()
    kept = (np.diff(values[..., order], axis=-1) >= 0).all(axis=-1)
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(own[kept], values[..., order][kept])
    for given, result in zip(values[..., order][~kept], own[~kept], strict=True):
        np.testing.assert_allclose(result, isotonic_regression(given).x, rtol=1e-6)


def test_only_rain_and_the_order_are_limited():
    values = np.asarray([[-1.0, 2.0, -3.0]], np.float32)
    np.testing.assert_array_equal(
        within_limits(values.copy(), ("pr", "tas", "ua850")), [[0.0, 2.0, -3.0]]
    )


def test_bounds_hold_on_both_sides_and_keep_what_is_within():
    names = ("sfcWind", "hurs", "hur300", "rsds#2", "evspsbl", "snowline")
    values = np.asarray([[-1.0, 1.2, 1.2, -3.0, -2.0, -4.0], [0.5, 0.5, np.nan, 0, 1, 1]])
    expected = np.asarray([[0.0, 1.0, 1.2, 0.0, -2.0, -4.0], values[1]])
    np.testing.assert_array_equal(within_limits(values.copy(), names), expected)


def test_every_variable_with_extremes_is_in_order():
    made = within_limits(np.asarray([[9.0, 280.0, 8.0]]), ("sfcWind", "tas", "sfcWindmax"))
    np.testing.assert_array_equal(made, [[8.5, 280.0, 8.5]])
    assert ascending(("tas", "tas#1", "tas#2", "pr")) == []
