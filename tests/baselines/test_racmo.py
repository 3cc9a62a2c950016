"""Reference figures on a real regional model: learn from its past, recover a warmer future.

RACMO22E driven by EC-EARTH, winters, 0.44 degrees over Iberia, cut to 28 x 28 cells and upscaled
by plain means of 4 x 4; trained on historical winters, tested on rcp85. The folder is named by
GRAPHDOWN_DATA.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from graphdown.baselines import Ridge, make_baselines

from .conftest import block_means, rmse

FOLDER = os.environ.get("GRAPHDOWN_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="GRAPHDOWN_DATA names no folder of real data")


def opened(run):
    with xr.open_dataset(Path(FOLDER, f"racmo22e_ecearth_{run}.nc")) as ds:
        ds = ds.isel(rlat=slice(28), rlon=slice(28)).load()
    ds["tas"] = (ds["tas"] + 273.15).assign_attrs(units="K")
    ds["pr"].attrs["units"] = "mm day-1"
    return ds


@pytest.fixture(scope="module")
def runs():
    return opened("historical_eur44_djf_1982-2002"), opened("rcp85_eur44_djf_2080-2100")


@pytest.fixture(scope="module")
def predictions(runs):
    past, future = runs
    coarse, further = block_means(past, 4), block_means(future, 4)
    return {b.name: b.fit([(coarse, past)]).predict(further) for b in make_baselines()}


def test_total_rmse_of_each_method(runs, predictions):
    expected = {
        "nearest": (1.756, 2.363),
        "bilinear": (1.529, 2.192),
        "mean bias": (0.561, 2.114),
        "quantile mapping": (0.565, 1.903),
        "scaled delta": (0.536, 1.897),
        "ridge": (0.348, 1.453),
    }
    found = {
        method: tuple(rmse(prediction, runs[1], name) for name in ("tas", "pr"))
        for method, prediction in predictions.items()
    }
    assert found == {m: pytest.approx(v, abs=2e-3) for m, v in expected.items()}


def on_index_space(coarse, fine, outside):
    """Bilinear interpolation of block means in index space, by scipy."""
    centres = np.arange(7) * 4 + 1.5
    index = np.arange(28.0) if outside == "extrapolated" else np.clip(np.arange(28), 1.5, 25.5)
    values = np.moveaxis(coarse["tas"].values.astype(np.float64), 0, -1)
    interpolate = RegularGridInterpolator(
        (centres, centres), values, bounds_error=False, fill_value=None
    )
    return np.moveaxis(interpolate(tuple(np.meshgrid(index, index, indexing="ij"))), -1, 0)


@pytest.mark.parametrize(
    ("outside", "bilinear", "corrected"), [("held", 1.529, 0.561), ("extrapolated", 1.531, 0.554)]
)
def test_scipy_gives_the_same_figures(runs, predictions, outside, bilinear, corrected):
    """The rim beyond the outermost coarse points is held; extrapolating it is worth 0.007 K."""
    past, future = runs
    before, after = (on_index_space(block_means(ds, 4), ds, outside) for ds in runs)
    truth = future["tas"].values
    correction = (past["tas"].values - before).mean(axis=0)
    assert np.sqrt(np.mean((after - truth) ** 2)) == pytest.approx(bilinear, abs=1e-3)
    assert np.sqrt(np.mean((after + correction - truth) ** 2)) == pytest.approx(corrected, abs=1e-3)
    if outside == "held":
        assert rmse(predictions["bilinear"], future, "tas") == pytest.approx(bilinear, abs=1e-3)


def test_the_ridge_figure_of_precipitation_is_that_of_the_normal_equations(runs, predictions):
    past, future = runs
    ridge = Ridge().fit([(block_means(past, 4), past)])
    assert not ridge.logarithm["pr"]
    tables = []
    for ds in runs:
        coarse = block_means(ds, 4)
        tas, pr = (coarse[n].values.reshape(len(ds.time), -1) for n in ("tas", "pr"))
        tables.append(np.concatenate([tas, pr], axis=1).astype(np.float64))
    mean, spread = tables[0].mean(axis=0), tables[0].std(axis=0)
    x, z = ((table - mean) / spread for table in tables)
    y = past["pr"].values.reshape(len(x), -1).astype(np.float64)
    slopes = np.linalg.solve(x.T @ x + ridge.penalty["pr"] * np.eye(98), x.T @ (y - y.mean(axis=0)))
    expected = np.maximum(y.mean(axis=0) + z @ slopes, 0).reshape(-1, 28, 28)
    np.testing.assert_allclose(predictions["ridge"]["pr"].values, expected, atol=5e-3)
    assert rmse(predictions["ridge"], future, "pr") == pytest.approx(1.453, abs=2e-3)
