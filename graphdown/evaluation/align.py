"""Bring a prediction and the truth onto the same variables, days and cells."""

import numpy as np
import xarray as xr

from graphdown.baselines.field_blocks import FieldBlock, check_field
from graphdown.data.reading.dates import days_of
from graphdown.evaluation.days import Days
from graphdown.evaluation.paired import Pair
from graphdown.variables.catalogue import describe
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


def paired_times(prediction: xr.Dataset, truth: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the times that both datasets hold, in ascending order.

    Daily values are matched by date, whatever the hour of their stamps and the calendar; several
    a day by date and time of the day.

    Raises:
        ValueError: no common time, a time that occurs twice, or one side is daily alone.
    """
    sides = {"prediction": prediction, "truth": truth}
    dates = {side: _dates(ds, side) for side, ds in sides.items()}
    single = [side for side, days in dates.items() if len(np.unique(days)) == len(days)]
    labels = dates
    if not single:
        labels = {side: np.char.add(dates[side], _clock(ds)) for side, ds in sides.items()}
    elif len(single) == 1:
        side = next(side for side in sides if side not in single)
        raise ValueError(
            f"The {side} has several times a day and the {single[0]} one; average it to days first."
        )
    common, left, right = np.intersect1d(labels["prediction"], labels["truth"], return_indices=True)
    if not common.size:
        spans = ", the ".join(f"{k} runs from {min(i)} to {max(i)}" for k, i in labels.items())
        raise ValueError(
            f"Prediction and truth have no time in common: the {spans}; choose the same days "
            "(and the same hours of the day)."
        )
    return left, right


def at_times(ds: xr.Dataset, places: np.ndarray) -> xr.Dataset:
    """Dataset at some of its times, by their indices; itself where these are all, in order."""
    if np.array_equal(places, np.arange(ds.sizes["time"])):
        return ds
    return ds.isel(time=places)


def _dates(ds: xr.Dataset, side: str) -> np.ndarray:
    if "time" not in ds.indexes or ds.sizes["time"] == 0:
        raise ValueError(f"The {side} has no time coordinate, or an empty one.")
    index = ds.indexes["time"]
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise ValueError(f"The {side} holds the time {twice} twice; drop the duplicates.")
    return days_of(ds["time"])


def _clock(ds: xr.Dataset) -> np.ndarray:
    """Time of the day of each time, as text [time]."""
    clock = ds["time"].dt
    parts = zip(clock.hour.values, clock.minute.values, clock.second.values, strict=True)
    return np.asarray([f" {hour:02d}:{minute:02d}:{second:02d}" for hour, minute, second in parts])


def make_pairs(prediction: xr.Dataset, truth: xr.Dataset, grid: Grid) -> dict[str, Pair]:
    """Return the pair of every common variable, at the common times and the grid's used cells.

    Args:
        prediction, truth: canonical datasets on the same grid.
        grid: the truth's grid; masked cells are left out.

    Raises:
        ValueError: nothing in common, another grid, or other units than the canonical ones.
    """
    names = common_variables(prediction, truth)
    places = paired_times(prediction, truth)
    sides = [at_times(ds, i) for ds, i in zip((prediction, truth), places, strict=True)]
    days = Days.from_index(sides[1].indexes["time"])
    pairs = {}
    for name in names:
        y, x = (cell_values(side[name], grid) for side in sides)
        pairs[name] = Pair.of(name, y, x, grid.area[grid.mask], days)
        check_units(prediction[name], truth[name])
    return pairs


def cell_values(da: xr.DataArray, grid: Grid) -> np.ndarray:
    """Return the values [T, N] of a field at the used cells of a grid.

    Raises:
        ValueError: a further dimension, or another grid.
    """
    check_field(da, grid)
    return FieldBlock().read(da, grid)


def check_units(prediction: xr.DataArray, truth: xr.DataArray) -> None:
    """Refuse a variable in other units than the canonical ones, or than the truth's.

    Raises:
        ValueError: it is, or the truth has no units.
    """
    name = str(truth.name)
    for side, da in (("prediction", prediction), ("truth", truth)):
        units = da.attrs.get("units")
        expected = truth.attrs.get("units") if side == "prediction" else None
        if describe(name).is_temperature:
            expected = EXPECTED_UNITS["temperature"]
        elif describe(name).is_precipitation:
            expected = EXPECTED_UNITS["precipitation"]
        if units is None and side == "truth":
            raise ValueError(f"{name!r} of the truth has no units attribute; set it.")
        if units is not None and expected is not None and units != expected:
            raise ValueError(
                f"{name!r} of the {side} is in {units!r}, expected {expected!r}; convert it."
            )
