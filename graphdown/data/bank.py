"""A bank of source grids to which a source's fields are upscaled."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.fields import horizontal_grid
from meshes import Grid, RandomGrids, SparseWeights, conservative, random_grids

HELD_OUT = 4
LEAST_COVERED = 0.5


@dataclass(frozen=True)
class GridBank:
    """Random grids and the conservative weights to them.

    Attributes:
        fields: the grid of the fields, Nf points.
        grids: `training` grids to train on, then `HELD_OUT` for validation and evaluation.
        weights: [N of the grid, Nf] for each grid.
    """

    fields: Grid
    grids: tuple[Grid, ...]
    weights: tuple[SparseWeights, ...]

    @property
    def training(self) -> int:
        """Number of grids that training draws from."""
        return len(self.grids) - HELD_OUT

    def upscale(self, ds: xr.Dataset, k: int) -> xr.Dataset:
        """Return fields [..., *dims of the fields' grid] as means over the cells of grid k."""
        grid = self.grids[k]
        out = {}
        for name, field in ds.data_vars.items():
            values = self.weights[k].apply(self.fields.values(field), LEAST_COVERED)
            dims = [str(d) for d in field.dims if d not in self.fields.dims]
            attrs = {n: v for n, v in field.attrs.items() if n != "grid_mapping"}
            coords = {d: field[d] for d in dims}
            out[name] = grid.dataarray(values, str(name), dims, coords, attrs)
        return xr.Dataset(out)


def make_bank(ds: xr.Dataset, spec: RandomGrids, where: str) -> GridBank:
    """Return random grids over the area of a dataset's fields.

    A cell is part of its grid where the fields cover at least half of it.

    Args:
        ds: the fields.
        spec: which grids to train on.
        where: what to call the dataset in messages.
    """
    fields = horizontal_grid(ds, [str(name) for name in ds.data_vars], where)
    wanted = RandomGrids(spec.count + HELD_OUT, spec.spacing, spec.kinds, spec.seed)
    grids, weights = [], []
    for grid in random_grids(fields, wanted):
        means = conservative(fields, grid, LEAST_COVERED)
        covered = np.unique(means.rows)
        rows = np.searchsorted(covered, means.rows).astype(np.int32)
        grids.append(grid.select(covered))
        shape = (len(covered), fields.size)
        weights.append(SparseWeights(rows, means.cols, means.values, shape))
    return GridBank(fields, tuple(grids), tuple(weights))
