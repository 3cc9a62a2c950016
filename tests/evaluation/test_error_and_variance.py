import numpy as np
import pytest
import xarray as xr

from graphdown.evaluation import error, variance
from graphdown.evaluation.reduce import area_mean, time_mean


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4)).astype("float32")
    y = (0.8 * x + rng.normal(scale=0.3, size=x.shape)).astype("float32")
    gaps = rng.random(x.shape) < 0.1
    return np.where(gaps, np.nan, y), np.where(gaps, np.nan, x)


def per_cell(y: np.ndarray, x: np.ndarray, function) -> list[float]:
    return [function(*(v[np.isfinite(x[:, n]), n].astype(float) for v in (y, x))) for n in range(4)]


def test_errors_match_loops_over_cells(sample):
    y, x = sample
    assert np.allclose(error.bias_map(y, x), per_cell(y, x, lambda a, b: np.mean(a - b)))
    rmse = per_cell(y, x, lambda a, b: np.sqrt(np.mean((a - b) ** 2)))
    assert np.allclose(error.rmse_map(y, x), rmse)
    correlation = per_cell(y, x, lambda a, b: np.corrcoef(a, b)[0, 1])
    assert np.allclose(error.correlation_map(y, x), correlation)


def test_total_rmse_is_the_root_of_the_weighted_mean_square(sample):
    y, x = sample
    area = np.array([1.0, 2.0, 3.0, 4.0])
    present = np.isfinite(x)
    weights = np.broadcast_to(area, x.shape)[present]
    square = (y[present].astype(float) - x[present]) ** 2
    expected = np.sqrt(np.average(square, weights=weights))
    assert error.rmse_total(y, x, area) == pytest.approx(expected, rel=1e-6)


def test_rmse_and_bias_match_the_scores_package(sample):
    from scores.continuous import additive_bias, rmse

    y, x = (xr.DataArray(v, dims=("time", "cell")) for v in sample)
    assert np.allclose(error.rmse_map(*sample), rmse(y, x, preserve_dims="cell"))
    assert np.allclose(
        error.bias_map(*sample), additive_bias(y, x, preserve_dims="cell"), atol=1e-6
    )


def test_correlation_is_missing_where_one_side_is_constant():
    y = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    assert np.isnan(error.correlation_map(y, y)[1])
    assert error.correlation_map(y, y)[0] == pytest.approx(1)


def test_monthly_mean_is_removed_over_all_years():
    values = np.array([[1.0], [3.0], [10.0], [np.nan], [12.0]])
    month = np.array([1, 1, 2, 2, 2])
    anomaly = error.without_monthly_mean(values, month)[:, 0]
    assert np.array_equal(anomaly, [-1, 1, -1, np.nan, 1], equal_nan=True)


def test_variance_ratio_is_in_percent(sample):
    y, x = sample
    expected = per_cell(y, x, lambda a, b: 100 * np.var(a) / np.var(b))
    assert np.allclose(variance.variance_ratio_map(y, x), expected, rtol=1e-5)
    assert variance.variance_ratio_map(2 * x, x) == pytest.approx(np.full(4, 400))


def test_day_to_day_change_skips_gaps_in_the_series():
    values = np.array([[1.0], [3.0], [100.0], [101.0], [np.nan], [7.0]])
    consecutive = np.array([False, True, False, True, True, True])
    assert variance.day_to_day_change(values, consecutive) == pytest.approx([1.5])


def test_spatial_std_is_weighted_by_area():
    fields = np.array([[0.0, 4.0, np.nan], [1.0, 1.0, 1.0]])
    area = np.array([3.0, 1.0, 5.0])
    # Day 1: mean 1, variance (3 * 1 + 1 * 9) / 4 = 3; day 2: no spread.
    assert variance.spatial_std(fields, area) == pytest.approx(np.sqrt(3) / 2)


def test_means_leave_missing_values_out():
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    assert np.array_equal(time_mean(values), [2, np.nan], equal_nan=True)
    means = area_mean(np.array([[1.0, 4.0], [np.nan, 4.0], [np.nan, np.nan]]), np.array([1.0, 2.0]))
    assert np.array_equal(means, [3, 4, np.nan], equal_nan=True)
