"""Features of edges: their names, in the order of their columns, and their values."""

import numpy as np

from meshes.geometry.sphere import EARTH_RADIUS_KM, distance_km, tangent_frame
from meshes.geometry.triangulation import merge_coincident
from meshes.grids.grid import Grid

EAST, NORTH, UP, DISTANCE = "east", "north", "up", "distance"
LOG_SPACING, LEVEL = "log_spacing", "level"
POSITION = (EAST, NORTH, UP, DISTANCE)
ENCODE_FEATURES = (*POSITION, LOG_SPACING)
PROCESS_FEATURES = (*POSITION, LEVEL)
DECODE_FEATURES = POSITION


def relative_position(
    senders: np.ndarray, receivers: np.ndarray, unit_km: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return east, north, up and distance [E, 4] of senders seen from receivers, and distance [E].

    The frame is the receiver's tangent frame; east, north and up are components of the straight
    difference, distance is along the great circle; all in units of unit_km.

    Args:
        senders, receivers: unit vectors [E, 3], one pair for each edge.
        unit_km: the unit of length.
    """
    frame = tangent_frame(receivers)
    chord = np.einsum("eij,ej->ei", frame, senders - receivers) * (EARTH_RADIUS_KM / unit_km)
    distance = distance_km(senders, receivers) / unit_km
    return np.concatenate([chord, distance[:, None]], axis=1), distance


def spacing_km(source: Grid, used: np.ndarray) -> np.ndarray:
    """Return the root of the area at each used point [n] in km, coincident points together."""
    _, site = merge_coincident(source.xyz[used])
    return np.sqrt(np.bincount(site, source.area[used])[site]) * EARTH_RADIUS_KM
