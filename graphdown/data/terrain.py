"""Static features of the target nodes: effects of height, slope and coast on the local climate.

All are lengths, slopes and fractions in physical units scaled by constants, so they mean the same
on every target grid.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.errors import DataError
from graphdown.variables.catalogue import STATIC
from meshes import EARTH_RADIUS_KM, Grid
from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import tangent_frame

HEIGHT_SCALE_M = 1000.0
SLOPE_SCALE = 0.02  # m per m
SMOOTHING_KM = (40.0, 120.0)
SLOPE_NEIGHBOURS = 9
# So few that a block stays in the cache, and that no library starts threads for it.
AT_ONCE, MOST_NEAR = 128, 400  # points
MOST_TIED = 7


def static_names(statics: xr.Dataset) -> tuple[str, ...]:
    """Names of the features that can be computed from the statics (orog, sftlf)."""
    names: list[str] = []
    if "orog" in statics:
        names += ["height", "height_above_source", "slope_east", "slope_north"]
        names += [f"height_above_{km:.0f}km" for km in SMOOTHING_KM]
    if "sftlf" in statics:
        names += ["land", *(f"land_within_{km:.0f}km" for km in SMOOTHING_KM)]
    return tuple(names)


class Ground:
    """Height and land fraction on a grid, from which the surroundings of a target are computed.

    Args:
        grid: any grid, M points.
        statics: orog (m) and sftlf (1) on it; either may be absent.

    Attributes:
        grid, statics: the arguments.
        fields: the values [M] of orog and sftlf, as far as they are there.

    Raises:
        DataError: a static field has missing values.
    """

    def __init__(self, grid: Grid, statics: xr.Dataset) -> None:
        self.grid = grid
        self.statics = statics
        self.fields = {n: _values(statics[n], grid) for n in STATIC if n in statics}


class TerrainFeatures:
    """Static features of one target, ready for any source.

    Slopes and smoothed fields are those of the target grid itself, or of the ground around a list
    of stations, which do not have them.

    Args:
        target: height and land fraction at the target's N points.
        ground: the same fields around them, on a grid; None takes the target itself.
    """

    def __init__(self, target: Ground, ground: Ground | None = None) -> None:
        self.target = target
        self.ground = ground or target
        self._target_features = self._of_target()

    def for_source(self, spacing_km: float, source_orog: np.ndarray | None) -> np.ndarray:
        """Features [N, F], in the order of `static_names`.

        Args:
            spacing_km: spacing of the source grid.
            source_orog: the source's height interpolated to the target [N] in m; None takes the
                ground's height smoothed to the source's spacing.
        """
        orog = self.target.fields.get("orog")
        if orog is None:
            return self._target_features
        if source_orog is None:
            source_orog = self._smoothed(spacing_km, ["orog"])["orog"]
        above = (orog - source_orog) / HEIGHT_SCALE_M
        return np.insert(self._target_features, 1, above, axis=1).astype(np.float32)

    def _of_target(self) -> np.ndarray:
        fields, columns = self.target.fields, []
        around = [self._smoothed(km, list(fields)) for km in SMOOTHING_KM]
        if "orog" in fields:
            gradient = slopes(self.target.grid, self.ground.grid, self.ground.fields["orog"])
            columns += [fields["orog"] / HEIGHT_SCALE_M, *(gradient / SLOPE_SCALE)]
            columns += [(fields["orog"] - mean["orog"]) / HEIGHT_SCALE_M for mean in around]
        if "sftlf" in fields:
            columns += [fields["sftlf"], *(mean["sftlf"] for mean in around)]
        if not columns:
            return np.zeros((self.target.grid.size, 0), np.float32)
        return np.stack(columns, axis=1).astype(np.float32)

    def _smoothed(self, length_km: float, names: Sequence[str]) -> dict[str, np.ndarray]:
        if not names:
            return {}
        values = np.stack([self.ground.fields[name] for name in names])
        means = smoothed(self.target.grid, self.ground.grid, values, length_km)
        return dict(zip(names, means, strict=True))


def smoothed(target: Grid, ground: Grid, values: np.ndarray, length_km: float) -> np.ndarray:
    """Area-weighted means [F, N] around target points, kernel (1 - (d/2L)^2)^2.

    A point with no ground point in reach takes the value of the nearest one. Points are processed
    in small blocks, each with all ground points in reach of one of them, as products of small
    dense matrices: a list of the pairs grows with the square of the length and takes ten times as
    long.

    Args:
        target: N points.
        ground: M points to take the means over.
        values: of the ground [F, M].
        length_km: L.
    """
    reach = 2.0 * length_km / EARTH_RADIUS_KM
    tree = cKDTree(ground.xyz)
    order = cKDTree(target.xyz, leafsize=AT_ONCE).indices  # leaf by leaf, so near each other
    weighted = np.column_stack([(ground.area * values).T, ground.area])
    sums = np.zeros((target.size, len(values) + 1))
    for start in range(0, target.size, AT_ONCE):
        block = order[start : start + AT_ONCE]
        points = target.xyz[block]
        centre = points.mean(axis=0)
        spread = np.linalg.norm(points - centre, axis=1).max()
        near = np.asarray(tree.query_ball_point(centre, reach + spread), np.intp)
        for some in np.array_split(near, len(near) // MOST_NEAR + 1):
            kernel = _kernel((points - centre) / reach, (ground.xyz[some] - centre) / reach)
            sums[block] += kernel @ weighted[some]
    total = sums[:, -1].copy()
    alone = np.flatnonzero(total == 0)
    total[alone] = 1.0
    means = (sums[:, :-1] / total[:, None]).T
    means[:, alone] = values[:, tree.query(target.xyz[alone])[1]]
    return means


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kernel (1 - |a - b|^2)^2, 0 where |a - b| > 1, of all pairs [A, B] of points."""
    left = np.column_stack([1.0 - (a**2).sum(axis=1), 2.0 * a, np.full(len(a), -1.0)])
    right = np.column_stack([np.ones(len(b)), b, (b**2).sum(axis=1)])
    kernel = left @ right.T
    np.maximum(kernel, 0.0, out=kernel)
    return np.square(kernel, out=kernel)


def slopes(target: Grid, ground: Grid, height: np.ndarray) -> np.ndarray:
    """Slope [2, N] east and north (m per m) at the ground points nearest to a target.

    By least squares over such a point itself and the eight nearest, or more where further ones
    are as near as the eighth.
    """
    centre = nearest_points(ground.xyz, target.xyz, 1)[1][:, 0]
    most = min(SLOPE_NEIGHBOURS + MOST_TIED, ground.size)
    chord, index = nearest_points(ground.xyz, ground.xyz[centre], most)
    last = chord[:, min(SLOPE_NEIGHBOURS, ground.size) - 1, None]
    near = chord <= last * (1.0 + 1e-6)
    frame = tangent_frame(ground.xyz[centre])[:, :2]
    offset = (ground.xyz[index] - ground.xyz[centre][:, None]) * near[..., None]
    position = np.einsum("nai,nki->nka", frame, offset) * EARTH_RADIUS_KM * 1000.0
    rise = height[index] - height[centre][:, None]
    normal = np.einsum("nka,nkb->nab", position, position)
    ridge = np.trace(normal, axis1=1, axis2=2)[:, None, None] * 1e-6 * np.eye(2)
    right = np.einsum("nka,nk->na", position, rise)
    return np.linalg.solve(normal + ridge, right[..., None])[..., 0].T


def _values(field: xr.DataArray, grid: Grid) -> np.ndarray:
    values = grid.values(field).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(
            f"The static field {field.name!r} is missing at {int((~np.isfinite(values)).sum())} "
            "target points; give a field that covers the whole target."
        )
    return values
