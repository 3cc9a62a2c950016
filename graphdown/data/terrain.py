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
from meshes.sphere import tangent_frame

HEIGHT_SCALE_M = 1000.0
SLOPE_SCALE = 0.02  # m per m
SMOOTHING_KM = (40.0, 120.0)
SLOPE_NEIGHBOURS = 9


def static_names(statics: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the features that the given statics (orog, sftlf) allow."""
    names: list[str] = []
    if "orog" in statics:
        names += ["height", "height_above_source", "slope_east", "slope_north"]
        names += [f"height_above_{km:.0f}km" for km in SMOOTHING_KM]
    if "sftlf" in statics:
        names += ["land", *(f"land_within_{km:.0f}km" for km in SMOOTHING_KM)]
    return tuple(names)


class Ground:
    """Height and land fraction on a grid: what the surroundings of a target are measured by.

    Args:
        grid: any grid, M points.
        statics: orog (m) and sftlf (1) on it; either may be absent.

    Raises:
        DataError: a static field has missing values.
    """

    def __init__(self, grid: Grid, statics: xr.Dataset) -> None:
        self.grid = grid
        self.statics = statics
        self.orog = _values(statics, "orog", grid)
        self.sftlf = _values(statics, "sftlf", grid)


class TerrainFeatures:
    """Static features of one target, ready for any source.

    Slopes and smoothed fields are those of the target grid itself, or of the ground around a list
    of stations, which do not tell them.

    Args:
        target: height and land fraction at the target's N points.
        ground: the same around them, on a grid; None takes the target itself.
    """

    def __init__(self, target: Ground, ground: Ground | None = None) -> None:
        self.target = target
        self.ground = ground or target
        self._own = self._of_target()

    def for_source(self, spacing_km: float, source_orog: np.ndarray | None) -> np.ndarray:
        """Return the features [N, F], in the order of `static_names`.

        Args:
            spacing_km: spacing of the source grid.
            source_orog: the source's height interpolated to the target [N] in m; None takes the
                ground's own height smoothed to the source's spacing.
        """
        if self.target.orog is None or self.ground.orog is None:
            return self._own
        if source_orog is None:
            source_orog = self._smoothing(spacing_km) @ self.ground.orog
        above = (self.target.orog - source_orog) / HEIGHT_SCALE_M
        return np.insert(self._own, 1, above, axis=1).astype(np.float32)

    def _of_target(self) -> np.ndarray:
        target, ground = self.target, self.ground
        smoothings = [self._smoothing(km) for km in SMOOTHING_KM]
        columns = []
        if target.orog is not None and ground.orog is not None:
            gradient = slopes(target.grid, ground.grid, ground.orog)
            columns += [target.orog / HEIGHT_SCALE_M, *(gradient / SLOPE_SCALE)]
            for matrix in smoothings:
                columns.append((target.orog - matrix @ ground.orog) / HEIGHT_SCALE_M)
        if target.sftlf is not None and ground.sftlf is not None:
            columns += [target.sftlf, *(matrix @ ground.sftlf for matrix in smoothings)]
        if not columns:
            return np.zeros((target.grid.size, 0), np.float32)
        return np.stack(columns, axis=1).astype(np.float32)

    def _smoothing(self, length_km: float) -> sparse.csr_array:
        return smoothing(self.target.grid, self.ground.grid, length_km)


def smoothing(target: Grid, ground: Grid, length_km: float) -> sparse.csr_array:
    """Return the sparse matrix [N, M] of area-weighted means with the kernel (1 - (d/2L)^2)^2.

    Args:
        target: N points.
        ground: M points to take the means over; a target point without any in reach takes the
            nearest one.
        length_km: L.
    """
    reach = 2.0 * length_km / EARTH_RADIUS_KM
    tree = cKDTree(ground.xyz)
    pairs = cKDTree(target.xyz).sparse_distance_matrix(tree, reach, output_type="coo_matrix")
    kernel = (1.0 - (pairs.data / reach) ** 2) ** 2 * ground.area[pairs.col]
    alone = np.setdiff1d(np.arange(target.size), pairs.row)
    rows = np.concatenate([pairs.row, alone])
    cols = np.concatenate([pairs.col, tree.query(target.xyz[alone])[1]])
    weights = np.concatenate([kernel, np.ones(len(alone))])
    matrix = sparse.csr_array((weights, (rows, cols)), shape=(target.size, ground.size))
    return sparse.csr_array(sparse.diags_array(1.0 / matrix.sum(axis=1)) @ matrix)


def slopes(target: Grid, ground: Grid, height: np.ndarray) -> np.ndarray:
    """Return the slope [2, N] east and north (m per m) at the ground points nearest to a target.

    By least squares over the neighbours of those points.
    """
    tree = cKDTree(ground.xyz)
    centre = tree.query(target.xyz)[1]
    _, index = tree.query(ground.xyz[centre], k=[*range(1, min(SLOPE_NEIGHBOURS, ground.size) + 1)])
    frame = tangent_frame(ground.xyz[centre])[:, :2]
    offset = ground.xyz[index] - ground.xyz[centre][:, None]
    position = np.einsum("nai,nki->nka", frame, offset) * EARTH_RADIUS_KM * 1000.0
    rise = height[index] - height[centre][:, None]
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
