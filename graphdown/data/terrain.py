"""Static features of the target nodes: what height, slope and coast do to the local climate.

All are lengths, slopes and fractions in physical units scaled by constants, so they mean the same
on every target grid.
"""

import numpy as np
import xarray as xr
from scipy import sparse
from scipy.spatial import cKDTree

from graphdown.errors import DataError
from meshes import EARTH_RADIUS_KM, Grid
from meshes.neighbours import nearest_points
from meshes.sphere import tangent_frame

HEIGHT_SCALE_M = 1000.0
SLOPE_SCALE = 0.02  # m per m
SMOOTHING_KM = (40.0, 120.0)
SLOPE_NEIGHBOURS = 9
MOST_TIED = 7


def static_names(statics: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the features that the given statics (orog, sftlf) allow."""
    names: list[str] = []
    if "orog" in statics:
        names += ["height", "height_above_source", "slope_east", "slope_north"]
        names += [f"height_above_{km:.0f}km" for km in SMOOTHING_KM]
    if "sftlf" in statics:
        names += ["land", *(f"land_within_{km:.0f}km" for km in SMOOTHING_KM)]
    return tuple(names)


class TerrainFeatures:
    """Static features of one target grid, ready for any source.

    Args:
        grid: the target grid, N points.
        statics: orog (m) and sftlf (1) on it; either may be absent.

    Raises:
        DataError: a static field has missing values.
    """

    def __init__(self, grid: Grid, statics: xr.Dataset) -> None:
        self.grid = grid
        self.orog = _values(statics, "orog", grid)
        self.sftlf = _values(statics, "sftlf", grid)
        self._own = self._of_target()

    def for_source(self, spacing_km: float, source_orog: np.ndarray | None) -> np.ndarray:
        """Return the features [N, F], in the order of `static_names`.

        Args:
            spacing_km: spacing of the source grid.
            source_orog: the source's height interpolated to the target [N] in m; None takes the
                target's own height smoothed to the source's spacing.
        """
        if self.orog is None:
            return self._own
        if source_orog is None:
            source_orog = smoothing(self.grid, spacing_km) @ self.orog
        above = (self.orog - source_orog) / HEIGHT_SCALE_M
        return np.insert(self._own, 1, above, axis=1).astype(np.float32)

    def _of_target(self) -> np.ndarray:
        columns = []
        if self.orog is not None:
            columns += [self.orog / HEIGHT_SCALE_M, *(slopes(self.grid, self.orog) / SLOPE_SCALE)]
            for km in SMOOTHING_KM:
                smooth = smoothing(self.grid, km) @ self.orog
                columns.append((self.orog - smooth) / HEIGHT_SCALE_M)
        if self.sftlf is not None:
            columns += [self.sftlf, *(smoothing(self.grid, km) @ self.sftlf for km in SMOOTHING_KM)]
        if not columns:
            return np.zeros((self.grid.size, 0), np.float32)
        return np.stack(columns, axis=1).astype(np.float32)


def smoothing(grid: Grid, length_km: float) -> sparse.csr_array:
    """Return the sparse matrix [N, N] of area-weighted means with the kernel (1 - (d/2L)^2)^2."""
    reach = 2.0 * length_km / EARTH_RADIUS_KM
    tree = cKDTree(grid.xyz)
    pairs = tree.sparse_distance_matrix(tree, reach, output_type="coo_matrix")
    rows = np.concatenate([pairs.row, np.arange(grid.size)])
    cols = np.concatenate([pairs.col, np.arange(grid.size)])
    distance = np.concatenate([pairs.data, np.zeros(grid.size)])
    off_diagonal = np.concatenate([pairs.row != pairs.col, np.ones(grid.size, bool)])
    kernel = (1.0 - (distance / reach) ** 2) ** 2 * grid.area[cols] * off_diagonal
    matrix = sparse.csr_array((kernel, (rows, cols)), shape=(grid.size, grid.size))
    return sparse.csr_array(sparse.diags_array(1.0 / matrix.sum(axis=1)) @ matrix)


def slopes(grid: Grid, height: np.ndarray) -> np.ndarray:
    """Return the slope [2, N] east and north (m per m), by least squares over neighbours.

    These are the point itself and the eight nearest, or more where further ones are as near as
    the eighth.
    """
    most = min(SLOPE_NEIGHBOURS + MOST_TIED, grid.size)
    chord, index = nearest_points(grid.xyz, grid.xyz, most)
    last = chord[:, min(SLOPE_NEIGHBOURS, grid.size) - 1, None]
    near = chord <= last * (1.0 + 1e-6)
    frame = tangent_frame(grid.xyz)[:, :2]
    offset = (grid.xyz[index] - grid.xyz[:, None]) * near[..., None]
    position = np.einsum("nai,nki->nka", frame, offset) * EARTH_RADIUS_KM * 1000.0
    rise = height[index] - height[:, None]
    normal = np.einsum("nka,nkb->nab", position, position)
    ridge = np.trace(normal, axis1=1, axis2=2)[:, None, None] * 1e-6 * np.eye(2)
    right = np.einsum("nka,nk->na", position, rise)
    return np.linalg.solve(normal + ridge, right[..., None])[..., 0].T


def _values(statics: xr.Dataset, name: str, grid: Grid) -> np.ndarray | None:
    if name not in statics:
        return None
    values = grid.values(statics[name]).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(
            f"The static field {name!r} is missing at {int((~np.isfinite(values)).sum())} target "
            "points; give a field that covers the whole target."
        )
    return values
