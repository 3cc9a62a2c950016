"""Box: a fixed regular lattice around a target, to which every source is regridded."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meshes import EARTH_RADIUS_KM, Grid
from meshes.geometry.sphere import normalise, tangent_frame, xyz_to_lonlat


@dataclass(frozen=True, eq=False)
class Box:
    """A regular lattice in longitude and latitude of a frame with the target at (0, 0).

    In this frame the cells are of nearly equal size wherever the target lies, at a pole too. Its
    axes follow those of a two-dimensional target at its centre; else x points east, y north.

    Attributes:
        frame: unit vectors [3 (x, y, up), 3].
        x, y: angles of the columns [W] and of the rows [H], in radians, evenly spaced.
    """

    frame: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows H and columns W."""
        return len(self.y), len(self.x)

    @cached_property
    def grid(self) -> Grid:
        """The lattice as H W points."""
        y, x = np.meshgrid(self.y, self.x, indexing="ij")
        local = np.stack([np.cos(y) * np.sin(x), np.sin(y), np.cos(y) * np.cos(x)], axis=-1)
        lon, lat = xyz_to_lonlat(local.reshape(-1, 3) @ self.frame)
        cell = np.abs((self.x[1] - self.x[0]) * (self.y[1] - self.y[0]))
        return Grid.from_points(lon, lat, area=(cell * np.cos(y)).ravel())


def frame_of(target: Grid) -> np.ndarray:
    """Return the frame [3 (x, y, up), 3] of a box around a target."""
    centre = normalise(target.xyz[target.mask].mean(axis=0))
    if len(target.shape) != 2 or min(target.shape) < 2:
        return tangent_frame(centre)
    points = target.xyz.reshape(*target.shape, 3)
    row, column = (size // 2 for size in target.shape)
    along = points[row, column] - points[row, column - 1]
    x = normalise(along - (along @ centre) * centre)
    y = np.cross(centre, x)
    upwards = (points[row, column] - points[row - 1, column]) @ y > 0
    return np.stack([x, y if upwards else -y, centre])


def extent_of(target: Grid, frame: np.ndarray) -> np.ndarray:
    """Return the least and largest angle [2 (x, y), 2] of the used points, in radians."""
    local = target.xyz[target.mask] @ frame.T
    angles = np.stack([np.arctan2(local[:, 0], local[:, 2]), np.arcsin(local[:, 1])])
    return np.stack([angles.min(axis=1), angles.max(axis=1)], axis=1)


def box_around(target: Grid, spacing_km: float, margin_cells: int = 1) -> Box:
    """Return the box that covers a target's points and as many cells beyond on each side."""
    frame = frame_of(target)
    step = spacing_km / EARTH_RADIUS_KM
    axes = [
        centred((low + high) / 2, step, int(np.ceil((high - low) / step)) + 1 + 2 * margin_cells)
        for low, high in extent_of(target, frame)
    ]
    return Box(frame, *axes)


def centred(middle: float, step: float, count: int) -> np.ndarray:
    """Return `count` evenly spaced values around `middle`."""
    return middle + step * (np.arange(count) - (count - 1) / 2)
