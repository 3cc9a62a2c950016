"""Plots of grids, meshes and graphs on a map in km around the middle of the region."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meshes.geometry.icosahedron import Mesh
from meshes.geometry.sphere import EARTH_RADIUS_KM, lonlat_to_xyz, tangent_frame, xyz_to_lonlat
from meshes.graphs.graph import DownscalingGraph
from meshes.grids.grid import Grid
from meshes.grids.outline import outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = {"facecolor": "none", "edgecolor": "0.35", "linewidth": 0.4}


def map_km(xyz: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Return x, y [..., 2] in km of unit vectors [..., 3], Lambert azimuthal equal-area.

    Args:
        xyz: unit vectors.
        centre: longitude and latitude of the map's middle in degrees.

    Snyder (1987), Map Projections - A Working Manual, p. 185.
    """
    east, north, up = np.moveaxis(xyz @ tangent_frame(lonlat_to_xyz(*centre)).T, -1, 0)
    scale = EARTH_RADIUS_KM * np.sqrt(2.0 / np.maximum(1.0 + up, 1e-9))
    return np.stack([scale * east, scale * north], axis=-1)


def middle(grid: Grid) -> tuple[float, float]:
    """Return the longitude and latitude of the middle of the used points; 0, 0 for a globe."""
    mean = grid.xyz[grid.mask].mean(axis=0)
    if np.linalg.norm(mean) < 0.1:
        return 0.0, 0.0
    lon, lat = xyz_to_lonlat(mean)
    return float(lon), float(lat)


def plot_grid(
    grid: Grid,
    values: np.ndarray | None = None,
    ax: "Axes | None" = None,
    centre: tuple[float, float] | None = None,
    **style: Any,
) -> Any:
    """Draw a grid's cells, filled with values [N] if given; return the collection.

    Args:
        grid: the grid; masked cells and the far side of a globe are left out.
        values: one number per point, NaN left empty.
        ax: axes to draw on, the current ones by default.
        centre: longitude and latitude of the map's middle, the grid's by default.
        style: passed to matplotlib's PolyCollection.
    """
    from matplotlib.collections import PolyCollection

    centre = centre or middle(grid)
    keep = np.flatnonzero(grid.mask & _near(grid.xyz, centre))
    cells = map_km(outline(grid, keep=keep), centre)
    if values is None:
        collection = PolyCollection(list(cells), **{**_LINES, **style})
    else:
        chosen = np.ma.masked_invalid(np.asarray(values, dtype=float)[keep])
        collection = PolyCollection(
            list(cells), array=chosen, **{"edgecolor": "face", "linewidth": 0.1, **style}
        )
    return _finish(ax, collection)


def plot_mesh(
    mesh: Mesh,
    ax: "Axes | None" = None,
    centre: tuple[float, float] | None = None,
    levels: Sequence[int] | None = None,
) -> None:
    """Draw a mesh's edges, coarser levels thicker, and its nodes.

    Args:
        mesh: the mesh.
        ax: axes to draw on, the current ones by default.
        centre: longitude and latitude of the map's middle, the mesh's by default.
        levels: levels to draw, all by default.
    """
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    centre = centre or middle(Grid.from_points(mesh.lon, mesh.lat, np.ones(mesh.size)))
    xy, near = map_km(mesh.xyz, centre), _near(mesh.xyz, centre)
    for level, edges in zip(range(mesh.coarsest, mesh.finest + 1), mesh.edges, strict=True):
        if levels is None or level in levels:
            colour = colormaps["viridis"](
                0.9 * (mesh.finest - level) / (mesh.finest - mesh.coarsest + 1)
            )
            lines = LineCollection(
                list(xy[edges[near[edges].all(axis=1)]]),
                colors=[colour],
                linewidths=0.5 + 0.5 * (mesh.finest - level),
                label=f"level {level}",
            )
            ax = _finish(ax, lines).axes
    assert ax is not None
    ax.plot(*xy[near].T, ".", color="k", markersize=2)


def plot_graph(
    graph: DownscalingGraph, receiver: int | None = None, ax: "Axes | None" = None
) -> None:
    """Draw source cells, mesh and target points, and the edges around one mesh node.

    Args:
        graph: the graph.
        receiver: the mesh node whose edges from the source and to the target are drawn; the one
            nearest to the middle of the target by default.
        ax: axes to draw on, the current ones by default.
    """
    from matplotlib.collections import LineCollection

    centre = middle(graph.target)
    if receiver is None:
        receiver = int(np.argmax(graph.mesh.xyz @ lonlat_to_xyz(*centre)))
    source, mesh, target = (
        map_km(xyz, centre) for xyz in (graph.source.xyz, graph.mesh.xyz, graph.target.xyz)
    )
    plot_mesh(graph.mesh, ax, centre, levels=[graph.mesh.finest])
    into = graph.encode.receivers == receiver
    out = graph.decode.senders == receiver
    encode = np.stack([source[graph.encode.senders[into]], mesh[graph.encode.receivers[into]]], 1)
    decode = np.stack([mesh[graph.decode.senders[out]], target[graph.decode.receivers[out]]], 1)
    width = 0.4 + 3.0 * graph.encode.weights[into] / graph.encode.weights[into].max()
    axes = _finish(ax, LineCollection(list(decode), colors="tab:blue", linewidths=0.6)).axes
    axes.add_collection(LineCollection(list(encode), colors="tab:red", linewidths=width))
    axes.plot(
        *target[graph.target.mask].T, ".", color="tab:blue", markersize=2, label="target points"
    )
    near = graph.source.mask & _within_view(source, mesh)
    axes.plot(*source[near].T, "s", color="tab:red", markersize=4, label="source points")
    axes.plot(*mesh[receiver], "o", color="k", label="mesh node")
    axes.legend(loc="upper right", fontsize="small")


def _within_view(points: np.ndarray, view: np.ndarray) -> np.ndarray:
    low, high = view.min(axis=0), view.max(axis=0)
    return np.all((points >= low) & (points <= high), axis=1)


def _near(xyz: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Which points lie on the hemisphere around the middle, the part that the map shows."""
    return xyz @ lonlat_to_xyz(*centre) > -1e-9


def _finish(ax: "Axes | None", collection: Any) -> Any:
    import matplotlib.pyplot as plt

    ax = ax if ax is not None else plt.gca()
    ax.add_collection(collection)
    ax.autoscale_view()
    ax.set_aspect("equal")
    ax.set_xlabel("east (km)")
    ax.set_ylabel("north (km)")
    return collection
