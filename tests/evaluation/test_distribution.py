import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from graphdown.evaluation import distribution as d
from graphdown.evaluation.quantiles import quantiles, sorted_by_cell


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.gamma(0.7, 5, (200, 5)).astype("float32")
    y = rng.gamma(0.9, 4, (200, 5)).astype("float32")
    gaps = rng.random(x.shape) < 0.15
    gaps[:, 4] = True
    gaps[0, 3] = False
    gaps[1:, 3] = True
    return np.where(gaps, np.nan, y), np.where(gaps, np.nan, x)


def test_quantiles_match_numpy(sample):
    _, x = sample
    levels = np.array([0.0, 0.02, 0.5, 0.98, 0.99, 1.0])
    own = quantiles(sorted_by_cell(x), levels)
    assert np.allclose(own[:, :4], np.nanquantile(x[:, :4].astype(float), levels, axis=0))
    assert np.isnan(own[:, 4]).all()


def test_wasserstein_matches_scipy(sample):
    y, x = sample
    own = d.wasserstein1_map(sorted_by_cell(y), sorted_by_cell(x))
    for n in range(4):
        present = np.isfinite(x[:, n])
        expected = stats.wasserstein_distance(y[present, n], x[present, n])
        assert own[n] == pytest.approx(expected, rel=1e-5)
    assert np.isnan(own[4])


def test_perkins_matches_numpy_histograms(sample):
    y, x = sample
    y, x = y.astype(float), x.astype(float)
    own = d.perkins_map(y, x)
    for n in range(3):
        a, b = (v[np.isfinite(x[:, n]), n] for v in (y, x))
        span = (min(a.min(), b.min()), max(a.max(), b.max()))
        p, q = (np.histogram(v, bins=100, range=span)[0] / len(v) for v in (a, b))
        assert own[n] == pytest.approx(np.minimum(p, q).sum(), abs=1e-9)
    assert np.isnan(own[4])


def test_perkins_by_hand():
    x = np.array([[0.0], [0.1], [3.9], [4.0]])
    y = np.array([[0.0], [1.5], [1.6], [4.0]])
    # Four bins of width 1: x has 2, 0, 0, 2 and y has 1, 2, 0, 1 values.
    assert d.perkins_map(y, x, bins=4) == pytest.approx([0.5])


def test_perkins_of_a_constant_cell_is_one():
    assert d.perkins_map(np.ones((3, 1)), np.ones((3, 1))) == pytest.approx([1])


@settings(max_examples=30, deadline=None)
@given(st.floats(-50, 50), st.integers(0, 1000))
def test_a_shift_moves_every_distribution_measure_by_itself(shift, seed):
    x = np.random.default_rng(seed).normal(size=(60, 3))
    ordered, moved = sorted_by_cell(x), sorted_by_cell(x + shift)
    assert d.wasserstein1_map(moved, ordered) == pytest.approx(np.full(3, abs(shift)))
    difference = quantiles(moved, d.QQ_LEVELS) - quantiles(ordered, d.QQ_LEVELS)
    assert np.allclose(difference, shift)
