"""Overlap areas of the cells of two grids.

Cells are drawn in Lambert's cylindrical equal-area plane (longitude, sine of latitude), where
longitude-latitude cells are exact rectangles and plane areas are true areas; other cells have
their edges densified first. A cell around a pole is closed along the pole.
"""

from typing import Any

import numpy as np

from meshes.geometry.sphere import EARTH_RADIUS_KM, xyz_to_lonlat
from meshes.geometry.triangulation import merge_coincident
from meshes.grids.base import LONLAT_KINDS
from meshes.grids.grid import Grid
from meshes.grids.outline import continuous_lonlat, outline

# Polygons of adjacent cells overlap slightly, as chords replace their common edge.
SLIVER = 1e-6
STEP_KM = 25.0
MAX_PARTS = 64
POLAR_CELLS = 4.0
POLAR_PARTS = 8


def overlap_areas(source: Grid, target: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (target index, source index, area in steradian) of every overlapping pair of cells.

    The parts of a source cell that targets cover completely sum to the cell's area in the grid:
    areas are scaled by the ratio of that area to the polygon's.
    """
    import shapely

    step_km = min(_spacing_km(source) / 4, _spacing_km(target) / 4, STEP_KM)
    source_cells, target_cells = (equal_area_polygons(g, step_km) for g in (source, target))
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
    if source.corners is not None:
        drawn = shapely.area(source_cells)
        areas = (
            areas * np.divide(source.area, drawn, out=np.ones_like(drawn), where=drawn > 0)[cols]
        )
    return rows, cols, areas


def _pairs(tree: Any, targets: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return indices and areas of intersecting pairs; whole source cells need no intersection."""
    import shapely

    rows, cols = tree.query(targets, predicate="intersects")
    shapely.prepare(targets)
    whole = shapely.contains_properly(targets[rows], sources[cols])
    full = shapely.area(sources)[cols]
    areas = full.copy()
    cut = np.flatnonzero(~whole)
    areas[cut] = shapely.area(shapely.intersection(targets[rows[cut]], sources[cols[cut]]))
    keep = areas > SLIVER * np.minimum(full, shapely.area(targets)[rows])
    return rows[keep], cols[keep], areas[keep]


def equal_area_polygons(grid: Grid, step_km: float) -> np.ndarray:
    """Return the cells as shapely polygons [N] of (longitude in radian, sine of latitude).

    Edges are cut into parts of about step_km; two grids must use the same step, so that common
    edges are drawn alike. Around the poles, where the plane bends them most, edges are cut finer.
    """
    import shapely

    if grid.kind in LONLAT_KINDS and grid.corners is not None:
        return shapely.polygons(_plane(grid.corners))
    parts = int(np.clip(np.rint(_spacing_km(grid) / step_km), 4, MAX_PARTS))
    lonlat, _ = continuous_lonlat(outline(grid, parts))
    polygons = shapely.polygons(_plane(lonlat))
    reach = POLAR_CELLS * np.degrees(grid.spacing_km / EARTH_RADIUS_KM)
    polar = np.flatnonzero(np.abs(grid.lat) > 90.0 - reach)
    vertices = outline(grid, parts * POLAR_PARTS, polar)
    polygons[polar] = [shapely.Polygon(_plane(_closed_at_pole(one))) for one in vertices]
    invalid = ~shapely.is_valid(polygons)
    polygons[invalid] = shapely.buffer(polygons[invalid], 0)
    return polygons


def _spacing_km(grid: Grid) -> float:
    """Median over the places of used points of the square root of the area there, in km."""
    used = grid.mask if grid.mask.any() else np.ones(grid.size, bool)
    _, site = merge_coincident(grid.xyz[used])
    return float(np.median(np.sqrt(np.bincount(site, grid.area[used]))) * EARTH_RADIUS_KM)


def _plane(lonlat: np.ndarray) -> np.ndarray:
    radians = np.radians(lonlat)
    return np.stack([radians[..., 0], np.sin(radians[..., 1])], axis=-1)


def _closed_at_pole(vertices: np.ndarray) -> np.ndarray:
    """Return lon, lat of one outline [V, 3], closed along the pole's line if it holds a pole.

    Vertices at the pole are removed; two vertices at the pole bridge the gap, or the full turn.
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
        if not turns[0]:
            return lonlat[0]
        pole = turns[0] * 90.0
        lonlat = np.concatenate([lonlat[0], lonlat[0][:1] + (turns[0] * 360.0, 0.0)])
    bridge = [(lonlat[-1, 0], pole), (lonlat[0, 0], pole)]
    return np.concatenate([lonlat, bridge])
