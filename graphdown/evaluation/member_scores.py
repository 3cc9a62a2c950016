"""Scores of an ensemble's members as single fields, one by one and pooled."""

import numpy as np
import xarray as xr

from graphdown.evaluation.ensemble import member_dim
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.measures import MEASURES
from meshes.grids.grid import Grid

KINDS = ("single", "pooled", "signed")


def evaluate_members(prediction: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Score members as `evaluate` does, and their common biases.

    The bias of one member in one cell is partly the chance of the days it drew, which the mean of
    |bias| adds up; that of all members together has less of it, and its area mean with its sign
    says whether they are too high or too low.

    Args:
        prediction: an ensemble, as for `evaluate_ensemble`.
        truth: those to compare with, on the same grid.

    Returns:
        The measures of `evaluate` with the dimension "kind": "single", the mean of the members'
        scores; and, for measures that are a mean of |bias|, "pooled", the area mean of |bias| of
        the members' mean bias per cell, and "signed", its area mean with its sign.

    Raises:
        ValueError: no dimension of members, or as for `evaluate`.
    """
    dim = member_dim(prediction)
    if dim is None:
        raise ValueError("The prediction has no dimension 'realization' of members.")
    members = [
        evaluate(prediction.isel({dim: k}, drop=True), truth) for k in range(prediction.sizes[dim])
    ]
    stacked = xr.concat(members, "member", combine_attrs="override")
    grid = Grid.from_dataset(truth[[n for n, v in truth.data_vars.items() if "time" in v.dims]])
    scores = {}
    for name in (name for name in MEASURES if name in stacked):
        single = stacked[name].mean("member")
        kinds = [single, *_common(stacked, name, grid, single)]
        scores[name] = xr.concat(kinds, xr.IndexVariable("kind", list(KINDS)))
        scores[name].attrs = stacked[name].attrs
    return xr.Dataset(scores)


def _common(
    stacked: xr.Dataset, name: str, grid: Grid, single: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Area means of the members' mean bias without and with signs; NaN for other measures."""
    if not MEASURES[name].absolute or f"{name}_map" not in stacked:
        missing = xr.full_like(single, np.nan)
        return missing, missing
    bias = stacked[f"{name}_map"].mean("member")
    area = xr.DataArray(grid.area.reshape(grid.shape), dims=grid.dims)
    return abs(bias).weighted(area).mean(grid.dims), bias.weighted(area).mean(grid.dims)
