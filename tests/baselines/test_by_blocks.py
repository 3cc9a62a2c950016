"""Fits and predictions by blocks, from fields that are not in memory, against those at once."""

import numpy as np
import pytest
import xarray as xr

from graphdown.baselines import QUICK, Ridge, base, factors, field_blocks, predictors
from graphdown.baselines import training_table as table
from graphdown.baselines.base import Baseline
from graphdown.baselines.methods import make_baselines
from graphdown.runtime.scratch import Scratch

TRAIN, LATER = slice(0, 180), slice(180, None)


@pytest.fixture
def small_blocks(monkeypatch):
    for module, name in (
        (field_blocks, "BLOCK_BYTES"),
        (base, "LARGE_BYTES"),
        (factors, "IN_MEMORY_BYTES"),
        (table, "BLOCK_BYTES"),
        (table, "IN_MEMORY_BYTES"),
        (predictors, "PART_BYTES"),
    ):
        monkeypatch.setattr(module, name, 20_000)
    monkeypatch.setattr(Baseline, "part_bytes", 40_000)
    monkeypatch.setattr(Ridge, "part_bytes", 40_000)


def gaps(coarse, fine):
    """Cells with days of their own, one without any, and a source point that is seldom there."""
    fine, coarse = fine.copy(deep=True), coarse.copy(deep=True)
    fine["tas"][150:, 2, 3] = np.nan
    fine["pr"][:, 4, 4] = np.nan
    fine["tas"][100:120, 6:] = np.nan
    coarse["tas"][1:, 0, 0] = np.nan
    return coarse, fine


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("with_gaps", [False, True])
def test_blocks_change_no_prediction(name, with_gaps, coarse, fine, statics, tmp_path, request):
    if with_gaps:
        coarse, fine = gaps(coarse, fine)
    if with_gaps and name == "ridge":
        coarse = coarse.drop_isel(lat=[0])  # no predictor may be missing
    (whole,) = make_baselines([name], statics)
    parts = [(coarse.isel(time=t), fine.isel(time=t)) for t in (TRAIN, LATER)]
    expected = whole.fit(parts[:1], statics, parts[1:]).predict(coarse)
    request.getfixturevalue("small_blocks")
    with Scratch(tmp_path, "advice") as scratch:
        lazy = [tuple(ds.chunk(time=50) for ds in pair) for pair in parts]
        (method,) = make_baselines([name], statics)
        method.fit(lazy[:1], statics, lazy[1:], scratch)
        made = list(method.parts(coarse.chunk(time=30)))
        assert len(made) > 3
        found = xr.concat(made, "time").compute()
    xr.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-4)
    assert all(found[v].dtype == np.float32 for v in found)


def test_ridge_takes_the_largest_components_beyond_their_number(coarse, fine, monkeypatch):
    train, later = ((coarse.isel(time=t), fine.isel(time=t)) for t in (TRAIN, LATER))
    predictions = {}
    for most in (2048, 32, 28, 4):  # there are 32 predictors
        monkeypatch.setattr(factors, "MOST_FACTORS", most)
        predictions[most] = Ridge([30.0]).fit([train], validation=[later]).predict(later[0])["tas"]
    np.testing.assert_array_equal(predictions[32], predictions[2048])
    errors = {k: float(abs(p - predictions[2048]).max()) for k, p in predictions.items()}
    assert 0 < errors[28] < 0.25 * errors[4]


def test_predictors_far_from_the_target_do_not_enter(coarse, fine):
    near = Ridge([30.0]).fit([(coarse, fine)]).predict(coarse)
    far = coarse.isel(lat=[0, 1]).assign_coords(lat=[-30.0, -28.5])
    both = xr.concat([far, coarse], "lat").drop_vars(["lat_bnds", "lon_bnds"], errors="ignore")
    both = both.transpose("time", "lat", "lon")
    xr.testing.assert_allclose(Ridge([30.0]).fit([(both, fine)]).predict(both), near, atol=1e-4)
