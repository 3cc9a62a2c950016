"""Quantile mapping and scaled delta against numpy, xsdba and cases by hand."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.baselines import QuantileMapping, ScaledDelta
from graphdown.baselines.quantile_mapping import mapped_values, quantiles
from meshes import Grid

from .conftest import dataset

GRID = Grid.regular(1.0, 1.0, (0.0, 40.0, 4.0, 43.0))
WINTER = pd.date_range("2000-12-01", periods=90)


def same_grid(time=WINTER, **fields):
    """Source and target on one grid, so that interpolation changes nothing."""
    return dataset(GRID, time, **fields)


def values(ds, name):
    return ds[name].values.reshape(ds.sizes["time"], -1).astype(np.float64)


def random(seed, *args, size=(90, 12)):
    return np.random.default_rng(seed).gamma(*args, size=size)


def test_a_linear_relation_of_the_distributions_is_found():
    tas = 280 + random(0, 4.0, 2.0)
    order = np.random.default_rng(1).permutation(90)
    fine = same_grid(tas=2 * tas[order] - 275)  # the same values on other days
    result = QuantileMapping().fit([(same_grid(tas=tas), fine)]).predict(same_grid(tas=tas))
    inside = (tas > np.quantile(tas, 0.01, axis=0)) & (tas < np.quantile(tas, 0.99, axis=0))
    np.testing.assert_allclose(values(result, "tas")[inside], (2 * tas - 275)[inside], atol=2e-3)


def test_beyond_the_quantiles_the_correction_is_held():
    tas, pr = 280 + random(2, 4.0, 2.0), 1 + random(3, 2.0, 3.0)
    pair = same_grid(tas=tas, pr=pr), same_grid(tas=tas + 3, pr=pr * 1.5)
    baseline = QuantileMapping().fit([pair])
    result = baseline.predict(same_grid(tas=tas + 50, pr=pr + 100))
    np.testing.assert_allclose(values(result, "tas"), tas + 53, atol=1e-3)
    np.testing.assert_allclose(values(result, "pr"), (pr + 100) * 1.5, rtol=1e-4)


@pytest.mark.parametrize(("coarse_dry", "fine_dry"), [(0.2, 0.6), (0.6, 0.2)])
def test_the_share_of_dry_days_becomes_that_of_the_truth(coarse_dry, fine_dry):
    size = (900, 12)
    time = pd.DatetimeIndex([d for y in range(10) for d in WINTER + pd.DateOffset(years=y)])

    def rain(seed, dry):
        wet = np.random.default_rng(seed).random(size) >= dry
        return np.where(wet, 0.2 + random(seed + 10, 1.0, 5.0, size=size), 0.0)

    coarse, fine = same_grid(time, pr=rain(4, coarse_dry)), same_grid(time, pr=rain(5, fine_dry))
    baseline = QuantileMapping().fit([(coarse, fine)])
    result = baseline.predict(coarse)
    made, wanted = values(result, "pr"), values(fine, "pr")
    assert ((made > 0) == (made >= 0.1)).all()
    np.testing.assert_allclose((made > 0).mean(axis=0), (wanted > 0).mean(axis=0), atol=0.03)
    np.testing.assert_allclose(made.mean(axis=0), wanted.mean(axis=0), rtol=0.05)
    # What a day becomes does not depend on the days asked for.
    part = baseline.predict(coarse.isel(time=slice(33, 60)))
    xr.testing.assert_equal(part, result.isel(time=slice(33, 60)))


def test_seasons_are_mapped_apart():
    time = pd.date_range("2001-01-01", periods=365)
    month = time.month.to_numpy()[:, None]
    summer = (month >= 6) & (month <= 8)
    tas = 280 + random(6, 4.0, 2.0, size=(365, 12))
    fine = same_grid(time, tas=np.where(summer, tas + 5, tas - 1))
    coarse = same_grid(time, tas=tas)
    for method in (QuantileMapping(), ScaledDelta()):
        result = method.fit([(coarse, fine)]).predict(coarse)
        xr.testing.assert_allclose(result, fine, atol=2e-3)
        method.fit([(coarse.isel(time=slice(59)), fine)])
        with pytest.raises(ValueError, match="fitted to days in DJF and cannot .* days in "):
            method.predict(coarse)


def test_cells_use_the_days_that_they_have():
    tas = 280 + random(7, 4.0, 2.0)
    wanted = tas + 4
    gappy = wanted.copy()
    gappy[:30, 0], gappy[:, 1] = np.nan, np.nan
    for method in (QuantileMapping(), ScaledDelta()):
        method.fit([(same_grid(tas=tas), same_grid(tas=gappy))])
        made = values(method.predict(same_grid(tas=tas)), "tas")
        assert np.isnan(made[:, 1]).all() and np.isfinite(np.delete(made, 1, axis=1)).all()
        np.testing.assert_allclose(made[:, 2:], wanted[:, 2:], atol=1e-3)
        assert made[:, 0].mean() == pytest.approx(gappy[30:, 0].mean(), abs=0.2)


def test_scaled_delta_keeps_the_change_and_corrects_the_rest():
    past, future = 280 + random(8, 4.0, 2.0), 283 + random(9, 4.0, 3.0)
    fine = 275 + random(10, 4.0, 1.0)
    method = ScaledDelta().fit([(same_grid(tas=past), same_grid(tas=fine))])
    made = values(method.predict(same_grid(tas=future)), "tas")
    factor = fine.std(axis=0) / past.std(axis=0)
    expected = (future - future.mean(axis=0)) * factor + fine.mean(axis=0)
    expected += future.mean(axis=0) - past.mean(axis=0)
    np.testing.assert_allclose(made, expected, atol=1e-3)
    same = method.predict(same_grid(tas=past))
    np.testing.assert_allclose(values(same, "tas").mean(axis=0), fine.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(values(same, "tas").std(axis=0), fine.std(axis=0), rtol=1e-3)


XSDBA = """
import sys, numpy as np, pandas as pd, xarray as xr, xsdba
time = pd.date_range("2000-12-01", periods=90)
fine, coarse, later = (
    xr.DataArray(v, dims=("time", "cell"), coords={"time": time}, attrs={"units": "K"})
    for v in np.load(sys.argv[1])
)
train = xsdba.EmpiricalQuantileMapping.train
mapping = train(fine, coarse, nquantiles=100, kind="+", group="time")
made = mapping.adjust(later, interp="linear", extrapolation="constant")
np.save(sys.argv[2], made.transpose("time", "cell").values)
"""


@pytest.mark.slow
def test_quantile_mapping_is_that_of_xsdba(tmp_path):
    if importlib.util.find_spec("xsdba") is None:
        pytest.skip("xsdba is not installed")
    fine, coarse = 285 + random(11, 4.0, 2.0), 283 + random(12, 3.0, 2.0)
    later = coarse * 1.3 - 84
    given, made = tmp_path / "given.npy", tmp_path / "made.npy"
    np.save(given, np.stack([fine, coarse, later]))
    # In a process of its own: importing xsdba redefines units for the whole process. So few values
    # are mapped sooner than numba has optimised for them.
    plain = os.environ | {"NUMBA_OPT": "0"}
    subprocess.run([sys.executable, "-c", XSDBA, str(given), str(made)], check=True, env=plain)
    expected = mapped_values(later, quantiles(coarse), quantiles(fine), ratio=False)
    np.testing.assert_allclose(expected, np.load(made), atol=1e-9)
