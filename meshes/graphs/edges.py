"""Links between nodes, by radius, by rank or along the mesh, and a kernel for their weights.

Links are (senders, receivers), sorted by receiver, then sender.
"""

import numpy as np
from scipy.spatial import cKDTree

from meshes.geometry.icosahedron import Mesh
from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import EARTH_RADIUS_KM, angle_to_chord, chord_to_angle
from meshes.geometry.triangulation import merge_coincident

Links = tuple[np.ndarray, np.ndarray]

MIN_SENDERS = 3
ENLARGED = 1.5
TIED_CHORD = 1e-9  # 6 mm on the ground
MOST_TIED = 6


def enlarged_radius_km(senders: np.ndarray, receivers: np.ndarray, radius_km: float) -> np.ndarray:
    """Return the radius [Nr] in km of each receiver: radius_km, or more where senders are scarce.

    The radius is at least 1.5 times the distance to the third nearest position of a sender (to
    the last one if there are fewer), so every receiver has senders well inside it. Coincident
    senders count once.

    Args:
        senders, receivers: unit vectors [Ns, 3] and [Nr, 3].
        radius_km: the usual radius.
    """
    positions, _ = merge_coincident(senders)
    k = min(MIN_SENDERS, len(positions))
    chord = nearest_points(positions, receivers, k)[0][:, -1]
    return np.maximum(radius_km, ENLARGED * EARTH_RADIUS_KM * chord_to_angle(chord))


def within_radius(senders: np.ndarray, receivers: np.ndarray, radius_km: np.ndarray) -> Links:
    """Link every sender [Ns, 3] closer than radius_km [Nr] to its receivers [Nr, 3]."""
    reach = angle_to_chord(radius_km / EARTH_RADIUS_KM)
    near = cKDTree(senders).query_ball_point(receivers, reach, return_sorted=True)
    count = np.array([len(indices) for indices in near], dtype=np.intp)
    linked = np.concatenate([np.asarray(indices, dtype=np.intp) for indices in near])
    return linked, np.repeat(np.arange(len(receivers)), count)


def k_nearest(senders: np.ndarray, receivers: np.ndarray, k: int) -> Links:
    """Link the k nearest senders [Ns, 3] to each receiver [Nr, 3]; ties go to the lowest index.

    Raises:
        ValueError: there are fewer than k senders.
    """
    if not 1 <= k <= len(senders):
        raise ValueError(
            f"Each target point needs {k} mesh nodes but the mesh has {len(senders)}; lower "
            "decode_neighbours, or raise mesh_level or margin_km."
        )
    chord, index = nearest_points(senders, receivers, min(k + MOST_TIED, len(senders)))
    last = chord[:, k - 1 : k]
    # Ties must not depend on rounding; points on a meridian of the mesh have tied neighbours.
    rank = np.where(np.abs(chord - last) <= TIED_CHORD, last, chord)
    index = np.take_along_axis(index, np.lexsort((index, rank)), axis=1)[:, :k]
    return np.sort(index, axis=1).ravel(), np.repeat(np.arange(len(receivers)), k)


def mesh_links(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return senders, receivers and level of the mesh's edges of all levels, both directions."""
    levels = range(mesh.coarsest, mesh.finest + 1)
    both = [np.concatenate([edges, edges[:, ::-1]]) for edges in mesh.edges]
    level = np.repeat(list(levels), [len(edges) for edges in both])
    senders, receivers = np.concatenate(both).T
    order = np.lexsort((senders, receivers))
    return senders[order], receivers[order], level[order]


def kernel(x: np.ndarray) -> np.ndarray:
    """Return (1 - x^2)^2 for x below 1, else 0: smooth, 1 at 0."""
    return np.maximum(1.0 - x**2, 0.0) ** 2
