import numpy as np
import pandas as pd
import pytest
import xarray as xr

from meshes.grids.grid import Grid


def daily(grid: Grid, time: pd.DatetimeIndex, **fields: np.ndarray) -> xr.Dataset:
    units = {"tas": "K", "pr": "mm day-1"}
    return xr.Dataset(
        {
            name: grid.dataarray(
                values, dims=("time",), coords={"time": time}, attrs={"units": units[name]}
            )
            for name, values in fields.items()
        }
    )


@pytest.fixture(scope="session")
def grid() -> Grid:
    return Grid.regular(1.0, 1.0, (0.0, 40.0, 7.0, 46.0))


@pytest.fixture(scope="session")
def time() -> pd.DatetimeIndex:
    return pd.date_range("2001-01-01", "2003-12-31")


def fields(grid: Grid, days: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    season = 10 * np.sin(np.arange(days)[:, None] / 365.25 * 2 * np.pi)
    tas = 290 + season + rng.normal(0, 3, (days, grid.size)) + np.linspace(0, 5, grid.size)
    pr = np.where(rng.random((days, grid.size)) < 0.5, 0, rng.gamma(0.6, 6, (days, grid.size)))
    return {"tas": tas.astype("float32"), "pr": pr.astype("float32")}


@pytest.fixture(scope="session")
def truth(grid: Grid, time: pd.DatetimeIndex) -> xr.Dataset:
    return daily(grid, time, **fields(grid, len(time), 1))


@pytest.fixture(scope="session")
def prediction(grid: Grid, time: pd.DatetimeIndex, truth: xr.Dataset) -> xr.Dataset:
    rng = np.random.default_rng(2)
    x = {name: grid.values(truth[name]) for name in truth.data_vars}
    tas = 1.1 * x["tas"] - 29 + rng.normal(0, 0.5, x["tas"].shape)
    pr = x["pr"] * rng.uniform(0.5, 1.2, x["pr"].shape) + 0.05
    return daily(grid, time, tas=tas.astype("float32"), pr=pr.astype("float32"))


@pytest.fixture(scope="session")
def gappy(prediction: xr.Dataset, truth: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Both sides with their own missing values, and one cell missing for good."""
    rng = np.random.default_rng(3)
    y, x = (
        ds.map(lambda da: da.where(rng.random(da.shape) > 0.1), keep_attrs=True)
        for ds in (prediction, truth)
    )
    sea = (x.lat == x.lat[0]) & (x.lon == x.lon[0])
    return y, x.map(lambda da: da.where(~sea), keep_attrs=True)
