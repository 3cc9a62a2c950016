"""The simulated box of rotated-pole cells, and the target grid in its middle."""

from dataclasses import dataclass

import numpy as np

from meshes import EARTH_RADIUS_KM, Grid

POLE_LON, POLE_LAT = -162.0, 39.25
CENTRE_RLON, CENTRE_RLAT = -4.0, 0.0
SPACING = 0.22
MARGIN_X, MARGIN_Y = 28, 22


@dataclass(frozen=True, eq=False)
class WorldRegion:
    """The box [ny, nx] and the window of it that is the target.

    Attributes:
        box, target: grids; the target is the middle of the box.
        x_km, y_km: distances from the centre along the rotated axes [nx], [ny].
        turn: angle in radian [ny, nx] from true east to the box's x axis, counter-clockwise.
    """

    box: Grid
    target: Grid
    x_km: np.ndarray
    y_km: np.ndarray
    turn: np.ndarray

    @property
    def window(self) -> tuple[slice, slice, slice]:
        """Index that cuts fields [time, ny, nx] of the box to the target."""
        return (slice(None), slice(MARGIN_Y, -MARGIN_Y), slice(MARGIN_X, -MARGIN_X))


def make_region(size: int) -> WorldRegion:
    """Make the box around a target of size x size cells."""
    x, y = (
        SPACING * (np.arange(n) - (n - 1) / 2) for n in (size + 2 * MARGIN_X, size + 2 * MARGIN_Y)
    )
    box = Grid.rotated(POLE_LON, POLE_LAT, CENTRE_RLON + x, CENTRE_RLAT + y)
    inner = x[MARGIN_X:-MARGIN_X], y[MARGIN_Y:-MARGIN_Y]
    target = Grid.rotated(POLE_LON, POLE_LAT, CENTRE_RLON + inner[0], CENTRE_RLAT + inner[1])
    lat, lon = np.radians(box.lat).reshape(box.shape), np.radians(box.lon).reshape(box.shape)
    turn = np.arctan2(np.gradient(lat, axis=1), np.gradient(lon, axis=1) * np.cos(lat))
    km = np.radians(1.0) * EARTH_RADIUS_KM
    return WorldRegion(box, target, x * km, y * km, turn)
