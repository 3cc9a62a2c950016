"""Random source grids over a region, of the kinds that global models have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from meshes.geometry.icosahedron import geodesic
from meshes.geometry.sphere import normalise, rotated_pole_of_matrix, xyz_to_lonlat
from meshes.grids.grid import Grid
from meshes.grids.rotated import mapping_attrs, rotated_grid

GridKind = Literal["regular", "gaussian", "rotated", "icosahedral"]
KINDS: tuple[GridKind, ...] = ("regular", "gaussian", "rotated", "icosahedral")
STRETCH = 1.5
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_Make = Callable[[Grid, float, np.random.Generator], Grid]


@dataclass(frozen=True)
class RandomGrids:
    """Number, spacings and kinds of the grids to draw.

    Attributes:
        count: number of grids.
        spacing: least and greatest spacing in degrees of latitude; the logarithm steps through the
            range by the golden ratio, so that any number of grids fills it evenly.
        kinds: drawn in turn: "regular" (longitudes up to 1.5 times as wide as latitudes),
            "gaussian", "rotated" (any orientation), "icosahedral" (a geodesic grid in any
            orientation).
        seed: of the random numbers.
    """

    count: int = 32
    spacing: tuple[float, float] = (0.7, 3.0)
    kinds: tuple[GridKind, ...] = KINDS
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse counts, kinds and spacings that give no grid."""
        if self.count < 1 or not self.kinds:
            raise ValueError("Random grids need a count of at least 1 and at least one kind.")
        if not 0.1 <= self.spacing[0] <= self.spacing[1] <= 20.0:
            raise ValueError(
                f"The spacing must be [least, greatest] between 0.1 and 20 degrees, not "
                f"{list(self.spacing)}."
            )


def random_grids(region: Grid, spec: RandomGrids) -> list[Grid]:
    """Return random grids whose cells together cover the points of a region.

    Grid k depends on the seed and k alone, so a longer list begins with the shorter one.

    Args:
        region: any grid that does not reach a pole.
        spec: number, spacings and kinds.
    """
    low, high = np.log(spec.spacing)
    start = np.random.default_rng(spec.seed).uniform()
    grids = []
    for k in range(spec.count):
        spacing = float(np.exp(low + (start + k * GOLDEN) % 1.0 * (high - low)))
        make = _MAKERS[spec.kinds[k % len(spec.kinds)]]
        grids.append(make(region, spacing, np.random.default_rng([spec.seed, k])))
    return grids


def _bounds(region: Grid, margin: float) -> tuple[float, float, float, float]:
    """Return west, south, east, north of the region, widened by a margin in degrees of latitude."""
    middle = _middle_longitude(region)
    offset = (region.lon - middle + 180.0) % 360.0 - 180.0
    south, north = region.lat.min() - margin, region.lat.max() + margin
    wide = margin / np.cos(np.radians(min(max(abs(south), abs(north)), 85.0)))
    return (
        float(middle + offset.min() - wide),
        float(max(south, -90.0)),
        float(middle + offset.max() + wide),
        float(min(north, 90.0)),
    )


def _middle_longitude(region: Grid) -> float:
    return float(xyz_to_lonlat(region.xyz.mean(axis=0))[0])


def _regular(region: Grid, spacing: float, rng: np.random.Generator) -> Grid:
    dlon = spacing * rng.uniform(1.0, STRETCH)
    west, south, east, north = _bounds(region, STRETCH * spacing)
    shift_lon, shift_lat = rng.uniform(0.0, 1.0, 2)
    south = max(south + shift_lat * spacing, -90.0)
    return Grid.regular(dlon, spacing, (west + shift_lon * dlon, south, east + dlon, north))


def _gaussian(region: Grid, spacing: float, rng: np.random.Generator) -> Grid:
    nlat = 2 * max(round(90.0 / spacing), 1)
    west, south, east, north = _bounds(region, 1.2 * spacing)
    turn = rng.uniform(0.0, 180.0 / nlat)
    grid = Grid.gaussian(nlat, (west, south, east, north))
    return _turned(grid, turn)


def _turned(grid: Grid, degrees: float) -> Grid:
    """Return a longitude-latitude grid turned about the Earth's axis."""
    coords = grid.coords.copy(deep=True)
    for name in ("lon", "lon_bnds"):
        coords[name] = coords[name] + degrees
    coords["lon"].attrs.update(grid.coords["lon"].attrs)
    return Grid.from_dataset(coords)


def _rotated(region: Grid, spacing: float, rng: np.random.Generator) -> Grid:
    matrix = _facing(region, rng)
    lon, lat = xyz_to_lonlat(region.xyz @ matrix)
    mapping = mapping_attrs(*rotated_pole_of_matrix(matrix))
    axes = _axis(lon, spacing, rng), _axis(lat, spacing, rng)
    return Grid.from_data(rotated_grid(*axes, mapping))


def _facing(region: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return a rotation whose x axis points to the region and whose z axis is random."""
    x = normalise(region.xyz.mean(axis=0))
    z = normalise(np.cross(x, normalise(rng.standard_normal(3))))
    return np.stack([x, np.cross(z, x), z], axis=1)


def _axis(values: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Return cell centres that cover the range of the values, from a random start."""
    first = values.min() - spacing * rng.uniform(0.5, 1.5)
    return np.arange(first, values.max() + 1.5 * spacing, spacing)


def _icosahedral(region: Grid, spacing: float, rng: np.random.Generator) -> Grid:
    # 10 n^2 + 2 cells share the sphere: the square root of their area is 64.2 / n degrees.
    parts = max(round(np.degrees(np.sqrt(4.0 * np.pi / 10.0)) / spacing), 2)
    turn = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    xyz = geodesic(parts) @ turn.T
    centre = normalise(region.xyz.mean(axis=0))
    reach = (region.xyz @ centre).min()
    angle = np.arccos(np.clip(reach, -1.0, 1.0)) + np.radians(3.0 * spacing)
    near = xyz[xyz @ centre >= np.cos(angle)]
    return Grid.from_points(*xyz_to_lonlat(near))


_MAKERS: dict[GridKind, _Make] = {
    "regular": _regular,
    "gaussian": _gaussian,
    "rotated": _rotated,
    "icosahedral": _icosahedral,
}
