"""The icosahedral mesh of a graph, limited to a region and its margin."""

import numpy as np
from scipy.spatial import cKDTree

from meshes.geometry.icosahedron import Mesh, nominal_spacing_km, refined
from meshes.geometry.sphere import EARTH_RADIUS_KM, angle_to_chord
from meshes.grids.grid import Grid


def build_mesh(target: Grid, level: int, coarsest_level: int, margin_km: float) -> Mesh:
    """Return the mesh around a grid: the nodes within margin_km of a used target point.

    Edges and faces of each level are those whose nodes are all kept.

    Raises:
        ValueError: wrong levels, a negative margin, or no node within the margin.
    """
    if not margin_km >= 0:
        raise ValueError(f"margin_km must not be negative, got {margin_km}.")
    # A tree of many points for few queries: quick to build.
    tree = cKDTree(target.xyz[target.mask], compact_nodes=False, balanced_tree=False)

    def within(xyz: np.ndarray, reach_km: float) -> np.ndarray:
        reach = float(angle_to_chord(reach_km / EARTH_RADIUS_KM)) * (1 + 1e-12)
        return np.isfinite(tree.query(xyz, distance_upper_bound=reach)[0])

    # No node in a face is farther from its centre than the face's nominal edge.
    whole = refined(
        level,
        coarsest_level,
        lambda centres, step: within(centres, margin_km + nominal_spacing_km(step)),
    )
    keep = within(whole.xyz, margin_km)
    if not keep.any():
        raise ValueError(
            f"No mesh node of level {level} (about {nominal_spacing_km(level):.0f} km) lies within "
            f"{margin_km:g} km of the target; raise margin_km or mesh_level."
        )
    number = np.cumsum(keep) - 1
    faces = tuple(number[f[keep[f].all(axis=1)]] for f in whole.faces)
    edges = tuple(number[e[keep[e].all(axis=1)]] for e in whole.edges)
    return Mesh(whole.xyz[keep], whole.level_of_node[keep], faces, edges, coarsest_level, level)
