"""Overlap areas of the cells of two grids.

Cells are drawn in Lambert's cylindrical equal-area plane (longitude, sine of latitude), where
longitude-latitude cells are exact rectangles and plane areas are true areas; other cells have
their edges densified first. A cell around a pole is closed along the pole.
"""

from typing import Any

import numpy as np

from meshes.grid import LONLAT_KINDS, Grid
from meshes.outline import continuous_lonlat, outline
from meshes.sphere import xyz_to_lonlat


def overlap_areas(source: Grid, target: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (target index, source index, area in steradian) of every overlapping pair of cells."""
    import shapely

    source_cells, target_cells = equal_area_polygons(source), equal_area_polygons(target)
    tree = shapely.STRtree(source_cells)
    west, _, east, _ = shapely.total_bounds(source_cells)
    parts = []
    for turn in (-2 * np.pi, 0.0, 2 * np.pi):
        bounds = shapely.bounds(target_cells)
        near = np.flatnonzero((bounds[:, 0] + turn < east) & (bounds[:, 2] + turn > west))
        if near.size:
            moved = shapely.transform(target_cells[near], lambda xy, turn=turn: xy + (turn, 0.0))
            rows, cols, areas = _pairs(tree, moved, source_cells)
            parts.append((near[rows], cols, areas))
    if not parts:
        none = np.zeros(0, dtype=np.intp)
        return none, none, np.zeros(0)
    rows, cols, areas = (np.concatenate(column) for column in zip(*parts, strict=True))
    return rows, cols, areas


def _pairs(tree: Any, targets: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return indices and areas of intersecting pairs; whole source cells need no intersection."""
    import shapely

    rows, cols = tree.query(targets, predicate="intersects")
    shapely.prepare(targets)
    whole = shapely.contains_properly(targets[rows], sources[cols])
    areas = shapely.area(sources[cols])
    cut = np.flatnonzero(~whole)
    areas[cut] = shapely.area(shapely.intersection(targets[rows[cut]], sources[cols[cut]]))
    keep = areas > 0.0
    return rows[keep], cols[keep], areas[keep]


def equal_area_polygons(grid: Grid) -> np.ndarray:
    """Return the cells as shapely polygons [N] of (longitude in radian, sine of latitude)."""
    import shapely

    if grid.kind in LONLAT_KINDS and grid.corners is not None:
        return shapely.polygons(_plane(grid.corners))
    vertices = outline(grid)
    lonlat, turns = continuous_lonlat(vertices)
    polygons = shapely.polygons(_plane(lonlat))
    at_pole = (np.abs(lonlat[..., 1]) > 90.0 - 1e-7).any(axis=1)
    for index in np.flatnonzero((turns != 0) | at_pole):
        polygons[index] = shapely.Polygon(_plane(_closed_at_pole(vertices[index])))
    invalid = ~shapely.is_valid(polygons)
    polygons[invalid] = shapely.buffer(polygons[invalid], 0)
    return polygons


def _plane(lonlat: np.ndarray) -> np.ndarray:
    radians = np.radians(lonlat)
    return np.stack([radians[..., 0], np.sin(radians[..., 1])], axis=-1)


def _closed_at_pole(vertices: np.ndarray) -> np.ndarray:
    """Return lon, lat of one outline [V, 3] around or at a pole, closed along the pole's line.

    Vertices at the pole are taken out; the gap that they leave, or the full turn, is bridged at
    the pole.
    """
    lat = xyz_to_lonlat(vertices)[1]
    at_pole = np.abs(lat) > 90.0 - 1e-7
    if at_pole.any():
        pole = np.sign(lat[at_pole][0]) * 90.0
        vertices = np.roll(vertices, -int(np.flatnonzero(at_pole)[-1]) - 1, axis=0)
        vertices = vertices[: -int(at_pole.sum())]
        lonlat = continuous_lonlat(vertices[None])[0][0]
    else:
        lonlat, turns = continuous_lonlat(vertices[None])
        pole = turns[0] * 90.0
        lonlat = np.concatenate([lonlat[0], lonlat[0][:1] + (turns[0] * 360.0, 0.0)])
    bridge = [(lonlat[-1, 0], pole), (lonlat[0, 0], pole)]
    return np.concatenate([lonlat, bridge])
