"""A bank of source grids to which a source's fields are upscaled."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from graphdown.cf.coordinates import cf_coordinates
from graphdown.data.reading.horizontal import attrs_elsewhere, horizontal_grid
from meshes import Grid, RandomGrids, SparseWeights, conservative, random_grids

EVALUATION_GRIDS = 4
LEAST_COVERED = 0.01
LEAST_PRESENT = 0.5


@dataclass(frozen=True)
class GridBank:
    """Random grids and the conservative weights to them.

    Attributes:
        fields: the grid of the fields, Nf points.
        grids: those to train on, then those for validation and evaluation.
        weights: [N of the grid, Nf] for each grid.
        training: number of grids that training draws from.
    """

    fields: Grid
    grids: tuple[Grid, ...]
    weights: tuple[SparseWeights, ...]
    training: int

    @property
    def evaluation_grids(self) -> range:
        """Numbers of the grids for validation and evaluation; a single grid serves both."""
        return range(min(self.training, len(self.grids) - 1), len(self.grids))

    def means(self, values: np.ndarray, k: int) -> np.ndarray:
        """Means [..., N] of values [..., Nf] over the cells of grid k.

        A cell is missing if less than half of its values are present.
        """
        return self.weights[k].apply(values, LEAST_PRESENT)

    def upscale(self, ds: xr.Dataset, k: int) -> xr.Dataset:
        """Means of fields [..., *dims of the fields' grid] over the cells of grid k."""
        grid = self.grids[k]
        out = {}
        for name, field in ds.data_vars.items():
            values = self.means(self.fields.values(field), k)
            dims = [str(d) for d in field.dims if d not in self.fields.dims]
            coords = {d: field[d] for d in dims}
            out[name] = grid.dataarray(values, str(name), dims, coords, attrs_elsewhere(field))
        # With the cells' corners: at the rim they could not be derived from the points.
        return xr.Dataset(out).assign_coords(cf_coordinates(grid).coords)


def make_bank(ds: xr.Dataset, spec: RandomGrids, where: str) -> GridBank:
    """Make random grids over the area of a dataset's fields.

    A cell is part of its grid where the fields cover at least a hundredth of it, and shows the
    mean over what they cover, so that the grids reach to the fields' rim. Beside the grids to
    train on, if there are several, `EVALUATION_GRIDS` further ones are drawn.

    Args:
        ds: the fields.
        spec: which grids to train on.
        where: what to call the dataset in messages.
    """
    fields = horizontal_grid(ds, [str(name) for name in ds.data_vars], where)
    further = EVALUATION_GRIDS if spec.count > 1 else 0
    extended = replace(spec, count=spec.count + further)
    grids, weights = [], []
    for grid in random_grids(fields, extended):
        means = conservative(fields, grid, LEAST_COVERED)
        covered = np.unique(means.rows)
        rows = np.searchsorted(covered, means.rows).astype(np.int32)
        grids.append(grid.select(covered))
        shape = (len(covered), fields.size)
        weights.append(SparseWeights(rows, means.cols, means.values, shape))
    return GridBank(fields, tuple(grids), tuple(weights), spec.count)
