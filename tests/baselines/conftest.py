import numpy as np
import pandas as pd
import pytest
import xarray as xr

from meshes import Grid, coarsen

UNITS = {"tas": "K", "pr": "mm day-1", "psl": "Pa", "orog": "m"}
DAYS = 240


def dataset(grid: Grid, time: pd.DatetimeIndex, **fields: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {
            name: grid.dataarray(
                np.asarray(values, dtype=np.float32),
                dims=("time",),
                coords={"time": time},
                attrs={"units": UNITS[name]},
            )
            for name, values in fields.items()
        }
    )


def block_means(fine: xr.Dataset, factor: int) -> xr.Dataset:
    grid = Grid.from_dataset(fine)
    coarse = coarsen(grid, factor)
    ny, nx = coarse.shape
    fields = {}
    for name in fine.data_vars:
        values = grid.values(fine[name])
        blocks = values.reshape(len(values), ny, factor, nx, factor)
        fields[str(name)] = blocks.mean(axis=(2, 4)).reshape(len(values), -1)
    return dataset(coarse, fine.indexes["time"], **fields)


def rmse(prediction: xr.Dataset, truth: xr.Dataset, name: str) -> float:
    error = (prediction[name].values - truth[name].values).astype(np.float64)
    return float(np.sqrt(np.nanmean(np.square(error))))


@pytest.fixture(scope="session")
def time() -> pd.DatetimeIndex:
    return pd.date_range("2001-01-01", periods=DAYS)


@pytest.fixture(scope="session")
def fine_grid() -> Grid:
    return Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0))


@pytest.fixture(scope="session")
def fine(fine_grid: Grid, time: pd.DatetimeIndex) -> xr.Dataset:
    rng = np.random.default_rng(0)
    pattern = rng.normal(0, 1, (5, fine_grid.size))
    weather = rng.normal(0, 1, (DAYS, 5))
    noise = rng.normal(0, 0.3, (2, DAYS, fine_grid.size))
    tas = 285 + np.linspace(0, 4, fine_grid.size) + weather @ pattern + noise[0]
    pr = np.maximum(np.exp(0.5 * weather @ pattern + noise[1]) - 0.5, 0)
    return dataset(fine_grid, time, tas=tas, pr=pr)


@pytest.fixture(scope="session")
def coarse(fine: xr.Dataset) -> xr.Dataset:
    return block_means(fine, 3)


@pytest.fixture(scope="session")
def orog(fine_grid: Grid) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 2000, fine_grid.size)


@pytest.fixture(scope="session")
def statics(fine_grid: Grid, orog: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"orog": fine_grid.dataarray(orog, attrs={"units": "m"})})
