"""Points, distances, frames, areas and rotations on the unit sphere."""

import numpy as np
from numpy.typing import ArrayLike

EARTH_RADIUS_KM = 6371.0


def wrap_longitude(lon: ArrayLike) -> np.ndarray:
    """Return longitudes (degrees) in [-180, 180)."""
    wrapped = np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0
    return np.where(wrapped >= 180.0, -180.0, wrapped)


def lonlat_to_xyz(lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
    """Return unit vectors [..., 3] of longitudes and latitudes in degrees, broadcast together."""
    lam, phi = np.radians(np.asarray(lon, float)), np.radians(np.asarray(lat, float))
    cos_phi = np.cos(phi)
    x, y = cos_phi * np.cos(lam), cos_phi * np.sin(lam)
    return np.stack([x, y, np.broadcast_to(np.sin(phi), x.shape)], axis=-1)


def xyz_to_lonlat(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude in [-180, 180) and latitude (degrees) of vectors [..., 3] of any length."""
    x, y, z = np.moveaxis(np.asarray(xyz, float), -1, 0)
    return wrap_longitude(np.degrees(np.arctan2(y, x))), np.degrees(np.arctan2(z, np.hypot(x, y)))


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [..., 3] scaled to unit length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def chord_to_angle(chord: ArrayLike) -> np.ndarray:
    """Return the great-circle angle (radian) that a chord of the unit sphere spans."""
    return 2.0 * np.arcsin(np.clip(np.asarray(chord) / 2.0, 0.0, 1.0))


def angle_to_chord(angle: float | np.ndarray) -> np.ndarray:
    """Return the chord of the unit sphere under a great-circle angle (radian, at most pi)."""
    return 2.0 * np.sin(np.minimum(angle, np.pi) / 2.0)


def distance_km(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return great-circle distances in km between unit vectors [..., 3]."""
    return EARTH_RADIUS_KM * chord_to_angle(np.linalg.norm(a - b, axis=-1))


def in_cap(points: np.ndarray, xyz: np.ndarray, angle: float) -> np.ndarray:
    """Return indices that include all points closer than `angle` (radian) to one of xyz.

    These are the points of one cap around all of xyz, much cheaper than a search for neighbours.

    Args:
        points, xyz: unit vectors [P, 3] and [N, 3].
        angle: in radian.
    """
    centre = xyz.sum(axis=0)
    length = float(np.linalg.norm(centre))
    if length < 1e-9 * len(xyz):
        return np.arange(len(points))
    centre = centre / length
    reach = float(np.arccos(np.clip((xyz @ centre).min(), -1.0, 1.0))) + angle
    return np.flatnonzero(points @ centre >= np.cos(min(reach, np.pi)) - 1e-9)


def tangent_frame(xyz: np.ndarray) -> np.ndarray:
    """Return the local frame [..., 3 (east, north, up), 3] of unit vectors [..., 3].

    At the poles east is taken at longitude 0, as the limit along the Greenwich meridian.
    """
    x, y = xyz[..., 0], xyz[..., 1]
    radius = np.hypot(x, y)
    at_pole = radius < 1e-12
    safe = np.where(at_pole, 1.0, radius)
    east = np.stack(
        [np.where(at_pole, 0.0, -y / safe), np.where(at_pole, 1.0, x / safe), np.zeros_like(x)],
        axis=-1,
    )
    return np.stack([east, np.cross(xyz, east), xyz], axis=-2)


def east_and_north(xyz: np.ndarray) -> np.ndarray:
    """Return unit vectors [2 (east, north), 3, N] at unit vectors [N, 3]; see `tangent_frame`."""
    return np.moveaxis(tangent_frame(xyz)[:, :2], 0, -1)


def triangle_area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return signed areas (steradian) of spherical triangles of unit vectors [..., 3].

    Positive where a, b, c run counter-clockwise seen from outside. Formula: Van Oosterom and
    Strackee (1983), IEEE Trans. Biomed. Eng. 30, 125-126. Differences of the vertices enter the
    triple product, which keeps small triangles accurate.
    """
    triple = np.sum(a * np.cross(b - a, c - a), axis=-1)
    dots = np.sum(a * b, axis=-1) + np.sum(b * c, axis=-1) + np.sum(c * a, axis=-1)
    return 2.0 * np.arctan2(triple, 1.0 + dots)


def polygon_area(vertices: np.ndarray) -> np.ndarray:
    """Return signed areas (steradian) [...] of polygons [..., V, 3] with great-circle edges.

    Positive for counter-clockwise vertices; repeated vertices add nothing.
    """
    first = vertices[..., :1, :]
    fan = triangle_area(first, vertices[..., 1:-1, :], vertices[..., 2:, :])
    return np.sum(fan, axis=-1)


def rotated_pole_matrix(
    pole_lon: float, pole_lat: float, north_pole_grid_lon: float = 0.0
) -> np.ndarray:
    """Return the matrix [3, 3] that turns rotated unit vectors into geographic ones.

    The arguments are CF's grid_north_pole_longitude, grid_north_pole_latitude and
    north_pole_grid_longitude in degrees (CF conventions, appendix F, rotated pole).
    """
    z_axis = lonlat_to_xyz(pole_lon, pole_lat)
    x_axis = lonlat_to_xyz(pole_lon + 180.0, 90.0 - pole_lat)
    default = np.stack([x_axis, np.cross(z_axis, x_axis), z_axis], axis=1)
    shift = np.radians(north_pole_grid_lon)
    turn = np.array(
        [[np.cos(shift), np.sin(shift), 0.0], [-np.sin(shift), np.cos(shift), 0.0], [0, 0, 1.0]]
    )
    return default @ turn


def rotated_pole_of_matrix(matrix: np.ndarray) -> tuple[float, float, float]:
    """Return the arguments of `rotated_pole_matrix` (degrees) that give a matrix."""
    pole_lon, pole_lat = (float(v) for v in xyz_to_lonlat(matrix[:, 2]))
    if np.hypot(matrix[0, 2], matrix[1, 2]) < 1e-9:
        # The poles coincide: only the sum of the two longitudes matters.
        pole_lon = -180.0
    default = rotated_pole_matrix(pole_lon, pole_lat)
    turn = default.T @ matrix
    return pole_lon, pole_lat, float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0])))


def fit_rotation(rotated: np.ndarray, geographic: np.ndarray) -> np.ndarray:
    """Return the proper rotation [3, 3] that best maps unit vectors [N, 3] onto others [N, 3].

    Least squares by singular values: Kabsch (1976), Acta Cryst. A32, 922-923.
    """
    u, _, vt = np.linalg.svd(geographic.T @ rotated)
    sign = np.sign(np.linalg.det(u @ vt))
    return u @ np.diag([1.0, 1.0, sign]) @ vt
