"""Expected errors against errors that follow a known law of season, novelty and amount."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.applicability.day_errors import DayErrors
from graphdown.applicability.fit_error_calibration import (
    SpanErrors,
    fit_error_calibration,
    span_errors,
)

BASE = np.asarray([0.8, 0.6, 0.4, 0.5])


def spans(sources, count, seed=0, scatter=0.1):
    """Spans whose error is that of season and source, times 1.5 per novelty, times amount^0.5."""
    rng = np.random.default_rng(seed)
    size = len(sources) * count
    novelty, season = rng.uniform(0.5, 2.0, size), rng.integers(0, 4, size)
    source = np.repeat(np.arange(len(sources)), count)
    amount = rng.uniform(1.0, 4.0, size)
    noise = np.exp(rng.normal(0.0, scatter, (size, 2)))
    tas = BASE[season] * 1.5**novelty
    rmse = np.stack([tas, tas * amount**0.5], axis=-1) * noise
    return SpanErrors(
        novelty=novelty,
        season=season,
        rmse=rmse,
        bias=0.1 * rmse,
        amount=np.stack([np.ones(size), amount], axis=-1),
        group=np.asarray([*sources])[source],
    )


def test_the_law_is_found_and_intervals_cover_what_they_say():
    fitted = fit_error_calibration(spans("abcd", 60), ("tas", "pr"), "month")
    further = spans("e", 2000, seed=1)
    made = fitted.rmse(further.novelty, further.season, further.amount)
    np.testing.assert_allclose(fitted.power, (0.0, 0.5), atol=0.1)
    np.testing.assert_allclose(np.median(further.rmse / made[..., 0], axis=0), 1.0, atol=0.05)
    inside = (further.rmse >= made[..., 1]) & (further.rmse <= made[..., 2])
    assert (np.abs(inside.mean(axis=0) - 0.9) < 0.05).all()


def test_expected_errors_never_fall_with_novelty():
    fitted = fit_error_calibration(spans("ab", 40, scatter=0.5), ("tas", "pr"), "month")
    novelty = np.linspace(0.0, 3.0, 50)
    made = fitted.rmse(novelty, np.zeros(50, int), np.ones((50, 2)))[..., 0]
    assert (np.diff(made, axis=0) >= 0).all() and (np.diff(fitted.bias, axis=0) >= 0).all()


def test_too_few_spans_are_not_calibrated_on():
    assert fit_error_calibration(spans("a", 10), ("tas", "pr"), "month") is None


def test_errors_of_a_month_are_means_over_area_and_days():
    time = pd.date_range("2001-01-01", "2001-02-28")
    novelty = xr.DataArray(np.ones(59), {"time": time}, ("time",))
    errors = np.zeros((59, 2, 1), np.float32)
    errors[:31, 0], errors[:31, 1] = 1.0, np.nan
    errors[31:, 0], errors[31:, 1] = 2.0, -1.0
    of_days = DayErrors.of(errors, np.asarray([1.0, 3.0]))
    found = span_errors("a", novelty, np.ones((59, 1)), of_days, "month")
    assert found.rmse[:, 0] == pytest.approx([1.0, np.sqrt((4 + 3) / 4)])
    assert found.bias[:, 0] == pytest.approx([1.0, (2 - 3) / 4])
