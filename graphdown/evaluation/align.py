"""Bring a prediction and the truth onto the same variables, days and cells."""

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.evaluation.days import Days
from graphdown.evaluation.paired import Pair
from meshes.grids.grid import Grid

EXPECTED_UNITS = {"temperature": "K", "precipitation": "mm day-1"}


def common_variables(prediction: xr.Dataset, truth: xr.Dataset) -> list[str]:
    """Return the names of the daily variables that both datasets hold, in the truth's order.

    Raises:
        ValueError: there is none.
    """
    names = [
        str(name)
        for name, variable in truth.data_vars.items()
        if "time" in variable.dims and name in prediction
    ]
    if not names:
        raise ValueError(
            f"Prediction and truth share no variable with a time dimension: the prediction holds "
            f"{sorted(map(str, prediction.data_vars))}, the truth "
            f"{sorted(map(str, truth.data_vars))}; rename one side."
        )
    return names


def common_times(prediction: xr.Dataset, truth: xr.Dataset) -> pd.Index:
    """Return the times that both datasets hold, in ascending order.

    Raises:
        ValueError: no common time, a time that occurs twice, or different calendars.
    """
    indexes = {"prediction": _time_index(prediction, "prediction")}
    indexes["truth"] = _time_index(truth, "truth")
    kinds = {type(index).__name__ for index in indexes.values()}
    if len(kinds) > 1:
        raise ValueError(
            "Prediction and truth have times of different calendars; convert one of them with "
            "xarray's convert_calendar."
        )
    common = indexes["truth"].intersection(indexes["prediction"]).sort_values()
    if common.empty:
        spans = ", the ".join(f"{k} runs from {i[0]} to {i[-1]}" for k, i in indexes.items())
        raise ValueError(
            f"Prediction and truth have no time in common: the {spans}; choose the same days "
            "(and the same hour of the day)."
        )
    return common


def _time_index(ds: xr.Dataset, side: str) -> pd.Index:
    if "time" not in ds.indexes or ds.sizes["time"] == 0:
        raise ValueError(f"The {side} has no time coordinate, or an empty one.")
    index = ds.indexes["time"]
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise ValueError(f"The {side} holds the time {twice} twice; drop the duplicates.")
    return index


def make_pairs(prediction: xr.Dataset, truth: xr.Dataset, grid: Grid) -> dict[str, Pair]:
    """Return the pair of every common variable, on the common days and the grid's used cells.

    Args:
        prediction, truth: canonical datasets on the same grid.
        grid: the truth's grid; masked cells are left out.

    Raises:
        ValueError: nothing in common, another grid, or other units than the canonical ones.
    """
    names = common_variables(prediction, truth)
    times = common_times(prediction, truth)
    days = Days.from_index(times)
    sides = (prediction.sel(time=times), truth.sel(time=times))
    pairs = {}
    for name in names:
        y, x = (_values(side[name], grid) for side in sides)
        pairs[name] = Pair.of(name, y, x, grid.area[grid.mask], days)
        _check_units(prediction[name], truth[name], pairs[name])
    return pairs


def _values(da: xr.DataArray, grid: Grid) -> np.ndarray:
    extra = set(da.dims) - {"time", *grid.dims}
    if extra:
        raise ValueError(
            f"{da.name!r} has the dimension {sorted(map(str, extra))[0]!r} besides time and the "
            "grid's; select one value of it."
        )
    values = grid.values(da.transpose("time", ...))
    return values if grid.mask.all() else values[:, grid.mask]


def _check_units(prediction: xr.DataArray, truth: xr.DataArray, pair: Pair) -> None:
    for side, da in (("prediction", prediction), ("truth", truth)):
        units = da.attrs.get("units")
        expected = truth.attrs.get("units") if side == "prediction" else None
        if pair.is_temperature:
            expected = EXPECTED_UNITS["temperature"]
        elif pair.is_precipitation:
            expected = EXPECTED_UNITS["precipitation"]
        if units is None and side == "truth":
            raise ValueError(f"{pair.name!r} of the truth has no units attribute; set it.")
        if units is not None and expected is not None and units != expected:
            raise ValueError(
                f"{pair.name!r} of the {side} is in {units!r}, expected {expected!r}; convert it."
            )
