import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from graphdown.evaluation import evaluate

DATA = os.environ.get("GRAPHDOWN_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="GRAPHDOWN_DATA does not name the data folder")


def racmo(name: str) -> xr.Dataset:
    with xr.open_dataset(Path(str(DATA)) / name) as ds:
        ds = ds[["tas", "pr"]].load()
    ds = ds.assign(tas=ds.tas + 273.15)
    ds.tas.attrs["units"], ds.pr.attrs["units"] = "K", "mm day-1"
    return ds


def test_the_warming_of_a_regional_model_is_found():
    historical = racmo("racmo22e_ecearth_historical_eur44_djf_1982-2002.nc")
    future = racmo("racmo22e_ecearth_rcp85_eur44_djf_2080-2100.nc")
    shifted = future.assign(tas=(future.tas + 0.2).assign_attrs(units="K"))
    scores = evaluate(shifted, future, reference=(historical, historical)).sel(variable="tas")
    assert float(scores.signal_truth_mean) == pytest.approx(2.9, abs=0.1)
    assert float(scores.signal_mean_bias) == pytest.approx(0.2, abs=1e-3)
    assert float(scores.tnn_bias) == pytest.approx(0.2, abs=1e-3)
    assert float(scores.signal_pattern_correlation) == pytest.approx(1)


def test_observations_with_the_sea_missing_are_scored_on_land():
    with xr.open_dataset(Path(str(DATA)) / "eobs05_djf_1982-1990.nc") as ds:
        x = ds[["pr"]].load()
    x.pr.attrs["units"] = "mm day-1"
    y = x.map(lambda da: 1.5 * da.fillna(0), keep_attrs=True)
    scores = evaluate(y, x).sel(variable="pr")
    assert int(scores.missing) == int(x.pr.isnull().sum()) > 0
    assert np.array_equal(scores.bias_map.isnull(), x.pr.isnull().all("time"))
    assert float(scores.variance_ratio) == pytest.approx(225, rel=1e-3)
