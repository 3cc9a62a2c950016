"""Fields of a dataset: which variables are fields, and their values on their grid."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from meshes import Grid
from meshes.grids.conventions import bounds_names


@dataclass(frozen=True, eq=False)
class Field:
    """A variable on its grid.

    Attributes:
        name: name of the variable.
        grid: horizontal grid, N points.
        values: [T, N], or [N] for a static field; NaN where missing.
    """

    name: str
    grid: Grid
    values: np.ndarray


def field_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the numeric variables with a time and further dimensions, in order.

    Bounds, such as time_bnds, are no fields.
    """
    skip = bounds_names(ds)
    return [
        str(name)
        for name, da in ds.data_vars.items()
        if name not in skip
        and "time" in da.dims
        and da.ndim > 1
        and np.issubdtype(da.dtype, np.number)
    ]


def predictor_names(coarse: xr.Dataset) -> list[str]:
    """Return `field_names` of coarse data to predict from.

    Raises:
        ValueError: there is none.
    """
    names = field_names(coarse)
    if not names:
        raise ValueError(
            "The coarse data hold no variable with time and horizontal dimensions to predict "
            f"from, only {sorted(map(str, coarse.data_vars))}."
        )
    return names


def read_field(ds: xr.Dataset, name: str) -> Field:
    """Return a variable with its grid; a dataset may hold variables on different grids.

    Raises:
        ValueError: the variable is missing, or has a dimension besides time and the grid's.
    """
    if name not in ds:
        raise ValueError(
            f"{name!r} is not in the dataset, which holds {sorted(map(str, ds.data_vars))}; add it "
            "or choose a method that does without."
        )
    grid = Grid.from_dataset(ds[[name]])
    extra = [str(d) for d in ds[name].dims if d not in ("time", *grid.dims)]
    if extra:
        raise ValueError(
            f"{name!r} has the dimension {extra[0]!r} besides time and the grid's {grid.dims}; "
            "select one value of it."
        )
    return Field(name, grid, grid.values(ds[name]))
