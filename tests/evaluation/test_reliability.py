"""Reliability, miscalibration and maxima of ensembles, each computed another way."""

import numpy as np
import pytest
import scores

from graphdown.evaluation import evaluate_ensemble
from graphdown.evaluation.ensemble import rank_histogram
from graphdown.evaluation.neighbourhood_maxima import crps_of_maxima, maxima
from graphdown.evaluation.reliability import brier_reliability, pit_miscalibration, reliability
from meshes.grids.grid import Grid

from . import plain
from .test_floor import members, white  # noqa: F401


@pytest.fixture(scope="module")
def ensemble():
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(300, 20))
    drawn = centre + rng.normal(size=(6, 300, 20))
    truth = centre + rng.normal(size=(300, 20))
    truth[::7, 3] = np.nan
    return drawn, truth, rng.uniform(1, 2, 20)


def test_miscalibration_is_0_for_a_right_ensemble_and_grows_with_what_is_wrong(ensemble):
    drawn, truth, _ = ensemble
    right = pit_miscalibration(rank_histogram(drawn, truth))
    assert right < 0.01
    for wrong in (drawn + 1.0, 0.3 * drawn, 3.0 * drawn):
        assert pit_miscalibration(rank_histogram(wrong, truth)) > 5 * right
    above = pit_miscalibration(rank_histogram(drawn - 100, truth))
    assert above == pytest.approx(0.5)
    # By hand: how often the truth lies below the k-th of the members, in order.
    ordered = np.sort(drawn, axis=0)
    present = np.isfinite(truth)
    share = [(truth <= member)[present].mean() for member in ordered]
    by_hand = np.abs(np.asarray(share) - np.arange(1, 7) / 7).mean()
    assert right == pytest.approx(by_hand, abs=1e-9)


def test_reliability_is_that_of_the_decomposed_brier_score(ensemble):
    """Brier score = reliability - resolution + uncertainty (Murphy 1973)."""
    drawn, truth, _ = ensemble
    area = np.ones(20)
    probability, frequency, share = reliability(drawn, truth, area, 0.5)
    own = brier_reliability(drawn, truth, area, 0.5)
    there = np.isfinite(truth)
    said = (drawn >= 0.5).mean(axis=0)[there]
    happened = (truth >= 0.5)[there].astype(float)
    brier = float(scores.probability.brier_score(*map(_arrays, (said, happened))))
    mean = happened.mean()
    resolution = np.nansum(share * (frequency - mean) ** 2)
    assert brier == pytest.approx(own - resolution + mean * (1 - mean), abs=1e-9)
    assert brier_reliability(drawn - 1.0, truth, area, 0.5) > 3 * own
    np.testing.assert_allclose(probability, np.arange(7) / 6)


def _arrays(values):
    import xarray as xr

    return xr.DataArray(values, dims="n")


def test_maxima_are_those_of_every_square():
    fields = np.random.default_rng(1).normal(size=(4, 9, 11))
    fields[2, 3, 4] = np.nan
    windows = np.lib.stride_tricks.sliding_window_view(fields, (5, 5), (1, 2))
    np.testing.assert_array_equal(maxima(fields), windows.max(axis=(-2, -1)))


def test_the_crps_of_maxima_forgives_a_shift_and_not_a_weakening(grid):
    rng = np.random.default_rng(2)
    truth = rng.gamma(0.5, 4, (50, grid.size))
    drawn = rng.gamma(0.5, 4, (5, 50, grid.size))
    own = crps_of_maxima(drawn, truth, grid)
    highest, true = (
        maxima(v.reshape(*v.shape[:-1], *grid.shape)).reshape(*v.shape[:-1], -1)
        for v in (drawn, truth)
    )
    assert own == pytest.approx(plain.crps(highest, true, np.mean).mean(), rel=1e-6)
    fields = truth.reshape(50, *grid.shape)
    moved, weak = (v.reshape(1, 50, -1).repeat(2, 0) for v in (np.roll(fields, 1, 2), 0.7 * fields))
    assert crps_of_maxima(moved, truth, grid) < crps_of_maxima(weak, truth, grid)
    assert np.isnan(crps_of_maxima(drawn[..., :9], truth[:, :9], Grid.regular(1, 1, (0, 0, 3, 3))))


def test_they_are_among_the_scores_of_an_ensemble(members, grid, time):  # noqa: F811
    made = evaluate_ensemble(members, white(grid, time, 90))
    assert (made["pit_miscalibration"] < 0.03).all()
    assert float(made["wet_day_reliability"].sel(variable="pr")) > 0
    assert np.isnan(made["wet_day_reliability"].sel(variable="tas"))
    assert (made["crps_of_maxima"] > 0).all()
