"""Cells around points: bounds of coordinate axes, corners and areas where a file gives none."""

import numpy as np
from scipy.special import roots_legendre

from meshes.geometry.sphere import (
    lonlat_to_xyz,
    normalise,
    polygon_area,
    wrap_longitude,
    xyz_to_lonlat,
)

# Latitudes in files may be rounded; consecutive Gaussian spacings differ by more than this.
GAUSSIAN_TOLERANCE = 2e-3
SEAM_RATIO = 1.5


def midpoint_bounds(axis: np.ndarray) -> np.ndarray:
    """Return bounds [n, 2] half-way between the values of a monotonic axis [n], n >= 2.

    Raises:
        ValueError: the axis has fewer than two values or is not strictly monotonic.
    """
    axis = np.asarray(axis, dtype=np.float64)
    step = np.diff(axis)
    if len(axis) < 2:
        raise ValueError(
            "Cell bounds cannot be derived from an axis of one value; give the bounds in the file."
        )
    if not (np.all(step > 0) or np.all(step < 0)):
        raise ValueError("Cell bounds need a strictly increasing or decreasing axis; sort it.")
    inner = axis[:-1] + step / 2.0
    edges = np.concatenate([[axis[0] - step[0] / 2.0], inner, [axis[-1] + step[-1] / 2.0]])
    return np.stack([edges[:-1], edges[1:]], axis=1)


def unwrap_axis(lon: np.ndarray) -> np.ndarray:
    """Return a longitude axis [n] without its jump of 360 degrees.

    A region across Greenwich that is stored in order from 0 to 360 has a gap in the middle. The
    columns beyond the gap move by a full turn, so the result is continuous but not in order.
    """
    lon = np.asarray(lon, dtype=np.float64)
    step = np.diff(lon)
    if len(lon) > 2 and (step > 0).all():
        gap, around = int(np.argmax(step)), lon[0] + 360.0 - lon[-1]
        if around < step[gap] / SEAM_RATIO and step[gap] > SEAM_RATIO * np.median(step):
            return np.concatenate([lon[: gap + 1], lon[gap + 1 :] - 360.0])
    return np.unwrap(lon, period=360.0)


def longitude_bounds(lon: np.ndarray) -> np.ndarray:
    """Return bounds [n, 2] of a continuous longitude axis that together span at most 360 degrees.

    A cyclic column stored twice (0 and 360) shares its cell between the two.
    """
    if lon[0] > lon[-1] and np.diff(lon).max() > 0:
        order = np.argsort(lon)
        bounds = np.empty((len(lon), 2))
        bounds[order] = longitude_bounds(lon[order])
        return bounds
    bounds = midpoint_bounds(lon)
    excess = abs(bounds[-1, 1] - bounds[0, 0]) - 360.0
    if excess > 1e-6:
        trim = np.sign(bounds[0, 1] - bounds[0, 0]) * excess / 2.0
        bounds[0, 0] += trim
        bounds[-1, 1] -= trim
    return bounds


def latitude_bounds(lat: np.ndarray) -> np.ndarray:
    """Return bounds [n, 2] of a latitude axis, cut at the poles; Gaussian bounds if it is one."""
    gaussian = gaussian_bounds(lat)
    return np.clip(midpoint_bounds(lat), -90.0, 90.0) if gaussian is None else gaussian


def gaussian_latitudes(nlat: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussian latitudes [nlat], southernmost first, and their bounds [nlat, 2].

    The latitudes are the roots of the Legendre polynomial of degree nlat; the bounds are placed
    so that each zone's area is its quadrature weight.
    """
    nodes, weights = roots_legendre(nlat)
    edges = np.clip(np.concatenate([[-1.0], -1.0 + np.cumsum(weights)]), -1.0, 1.0)
    edges[-1] = 1.0
    bounds = np.degrees(np.arcsin(edges))
    return np.degrees(np.arcsin(nodes)), np.stack([bounds[:-1], bounds[1:]], axis=1)


def gaussian_bounds(lat: np.ndarray) -> np.ndarray | None:
    """Return the bounds [n, 2] of an axis of consecutive Gaussian latitudes, None for another."""
    if len(lat) < 3:
        return None
    step = float(np.median(np.abs(np.diff(lat))))
    if step < 0.02 or np.ptp(np.diff(lat)) < 1e-7 * step:
        return None
    estimate = round(180.0 / step)
    for nlat in range(max(estimate - 3, 2), estimate + 4):
        index = _positions(gaussian_estimate(nlat), lat)
        if index is None:
            continue
        nodes, bounds = gaussian_latitudes(nlat)
        if np.abs(nodes[index] - lat).max() < GAUSSIAN_TOLERANCE * step:
            ascending = bounds[index]
            return ascending if lat[-1] > lat[0] else ascending[:, ::-1]
    return None


def _positions(nodes: np.ndarray, lat: np.ndarray) -> np.ndarray | None:
    """Return the indices [n] of lat among ascending nodes, None unless roughly consecutive."""
    above = np.searchsorted(nodes, lat).clip(1, len(nodes) - 1)
    place = np.where(lat - nodes[above - 1] < nodes[above] - lat, above - 1, above)
    rough = 0.05 * 180.0 / len(nodes)
    consecutive = np.all(np.abs(np.diff(place)) == 1)
    return place if consecutive and np.abs(nodes[place] - lat).max() < rough else None


def gaussian_estimate(nlat: int) -> np.ndarray:
    """Return the Gaussian latitudes [nlat] to a hundredth of their spacing, southernmost first.

    Tricomi's formula for the roots of Legendre polynomials (Hale and Townsend 2013, SIAM J. Sci.
    Comput. 35, A652-A674, equation 3.1), which is cheap enough to try several degrees.
    """
    k = np.arange(nlat, 0, -1)
    angle = np.pi * (4 * k - 1) / (4 * nlat + 2)
    return np.degrees(np.arcsin((1 - (nlat - 1) / (8 * nlat**3)) * np.cos(angle)))


def box_corners(x_bounds: np.ndarray, y_bounds: np.ndarray) -> np.ndarray:
    """Return corners [ny * nx, 4, 2] (x, y) of the cells of two axes, counter-clockwise."""
    x, y = np.sort(x_bounds, axis=1), np.sort(y_bounds, axis=1)
    xx = np.broadcast_to(x[None, :, :], (len(y), len(x), 2))
    yy = np.broadcast_to(y[:, None, :], (len(y), len(x), 2))
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = [np.stack([xx[..., i], yy[..., j]], axis=-1) for i, j in around]
    return np.stack(corners, axis=2).reshape(-1, 4, 2)


def box_areas(x_bounds: np.ndarray, y_bounds: np.ndarray) -> np.ndarray:
    """Return areas [ny * nx] (steradian) of cells between meridians and parallels (degrees)."""
    width = np.radians(np.abs(np.diff(x_bounds, axis=1)[:, 0]))
    height = np.abs(np.diff(np.sin(np.radians(y_bounds)), axis=1)[:, 0])
    return np.outer(height, width).ravel()


def curvilinear_corners(xyz: np.ndarray) -> np.ndarray:
    """Return corners [ny * nx, 4, 3] of cells around the unit vectors [ny, nx, 3].

    A corner is the mean of the four points around it; the rim is extrapolated linearly, or closed
    around the globe where the last column is the first one's neighbour.

    Raises:
        ValueError: fewer than two rows or columns.
    """
    if min(xyz.shape[:2]) < 2:
        raise ValueError(
            f"Cells cannot be derived from a curvilinear grid of {xyz.shape[0]} x "
            f"{xyz.shape[1]} points; at least two rows and two columns are needed."
        )
    padded = np.empty((xyz.shape[0] + 2, xyz.shape[1] + 2, 3))
    padded[1:-1, 1:-1] = xyz
    padded[0, 1:-1], padded[-1, 1:-1] = 2 * xyz[0] - xyz[1], 2 * xyz[-1] - xyz[-2]
    if _goes_round(xyz):
        padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
    else:
        padded[:, 0] = 2 * padded[:, 1] - padded[:, 2]
        padded[:, -1] = 2 * padded[:, -2] - padded[:, -3]
    node = normalise(padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:])
    corners = np.stack([node[:-1, :-1], node[:-1, 1:], node[1:, 1:], node[1:, :-1]], axis=2)
    return counter_clockwise(corners.reshape(-1, 4, 3))


def _goes_round(xyz: np.ndarray) -> bool:
    """Whether the last column of points [ny, nx, 3] lies one step before the first.

    False also where the first columns are stored again at the end.
    """

    def steps(a: int, b: int) -> float:
        step = np.maximum(np.linalg.norm(xyz[:, 1] - xyz[:, 0], axis=1), 1e-12)
        return float(np.median(np.linalg.norm(xyz[:, a] - xyz[:, b], axis=1) / step))

    return xyz.shape[1] > 3 and 0.7 < steps(-1, 0) < 1.3 and steps(-1, 1) > 1.5


def counter_clockwise(corners: np.ndarray) -> np.ndarray:
    """Return polygons of unit vectors [N, V, 3] with every one turned counter-clockwise."""
    clockwise = polygon_area(corners) < 0
    return np.where(clockwise[:, None, None], corners[:, ::-1], corners)


def corners_to_lonlat(corners: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return corners [N, V, 2] in degrees, the longitudes continuous around those of the cells."""
    corner_lon, corner_lat = xyz_to_lonlat(corners)
    return np.stack([near_longitude(corner_lon, lon), corner_lat], axis=-1)


def near_longitude(corner_lon: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return longitudes [N, V] moved by whole turns to within 180 degrees of lon [N]."""
    return lon[:, None] + wrap_longitude(corner_lon - lon[:, None])


def lonlat_corners_to_xyz(corners: np.ndarray) -> np.ndarray:
    """Return unit vectors [N, V, 3] of corners [N, V, 2] in degrees."""
    return lonlat_to_xyz(corners[..., 0], corners[..., 1])


def densify(corners: np.ndarray, parts: int) -> np.ndarray:
    """Return polygons [N, V * parts, K]: every straight edge of [N, V, K] cut into equal parts."""
    following = np.roll(corners, -1, axis=1)
    fraction = (np.arange(parts) / parts)[:, None]
    dense = corners[:, :, None, :] * (1 - fraction) + following[:, :, None, :] * fraction
    return dense.reshape(len(corners), corners.shape[1] * parts, corners.shape[2])
