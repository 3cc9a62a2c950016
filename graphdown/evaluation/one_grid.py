"""Prediction and truth on one grid: the smaller one, whose points the other has too."""

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.errors import DataError
from meshes import Grid
from meshes.geometry.sphere import EARTH_RADIUS_KM

NEAR = 0.1  # of the spacing: coordinates in files are rounded


def on_one_grid(prediction: xr.Dataset, truth: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Both datasets at the points of the smaller grid, which the other must have.

    The grids may differ in the names, order and direction of their dimensions, in the convention
    of their longitudes, and in extent, as that of an emulator for part of a model's domain.

    Raises:
        DataError: a point of the smaller grid is none of the other's.
    """
    grids = [Grid.from_dataset(ds) for ds in (prediction, truth)]
    small, large = (grids[0], grids[1]) if grids[0].size < grids[1].size else grids[::-1]
    places = _places(small, large)
    first, second = (
        ds if grid is small else _moved(ds, grid, small, places)
        for ds, grid in zip((prediction, truth), grids, strict=True)
    )
    return first, second


def _places(small: Grid, large: Grid) -> np.ndarray:
    """Points of the large grid at those of the small one [N]."""
    distance, places = map(np.asarray, cKDTree(large.xyz).query(small.xyz))
    spacing = min(small.spacing_km, large.spacing_km) / EARTH_RADIUS_KM
    away = int((distance > NEAR * spacing).sum())
    if away or len(np.unique(places)) < small.size:
        raise DataError(
            f"Prediction and truth are on different grids, of {small.spacing_km:.3g} and "
            f"{large.spacing_km:.3g} km: {away} of {small.size} points of the smaller one are none "
            "of the other's; bring them to one grid first."
        )
    return places


def _moved(ds: xr.Dataset, grid: Grid, onto: Grid, places: np.ndarray) -> xr.Dataset:
    """Fields of a grid at some of its points, which are those of another grid."""
    fields = {}
    for name, field in ds.data_vars.items():
        leading = [str(d) for d in field.dims if d not in grid.dims]
        coords = {d: field[d].variable for d in leading if d in field.coords}
        attrs = {str(k): v for k, v in field.attrs.items() if k != "grid_mapping"}
        values = grid.values(field)[..., places]
        fields[name] = onto.dataarray(values, str(name), leading, coords, attrs)
    return xr.Dataset(fields)
