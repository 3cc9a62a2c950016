"""Direct edges: from source points to the target points around which they lie."""

import numpy as np

from meshes.geometry.neighbours import nearest_points
from meshes.geometry.row_blocks import blocks
from meshes.graphs.base import EdgeSet
from meshes.graphs.edges import enlarged_radius_km, kernel, within_radius
from meshes.graphs.features import ENCODE_FEATURES, relative_position, spacing_km
from meshes.grids.grid import Grid

DIRECT_REACH = 3.0  # in source spacings
SPACING_SCALE_KM = 100.0


def direct_edges(source: Grid, target: Grid) -> EdgeSet:
    """Link the used source points within a few source spacings to every target point.

    The spacing is that of the nearest source point, so that edges follow a grid whose resolution
    varies. The weight of source point j is area_j * kernel(distance / radius), made to sum to 1 at
    every target point. Positions are in units of the spacing; log_spacing is
    log(sqrt(cell area) / 100 km).

    Args:
        source: grid of the senders.
        target: grid of the receivers, used or not.
    """
    used = np.flatnonzero(source.mask)
    xyz, spacing = source.xyz[used], spacing_km(source, used)
    parts = []
    for block in blocks(target.size):
        receivers = target.xyz[block]
        local = spacing[nearest_points(xyz, receivers)[1][:, 0]]
        radius = np.maximum(enlarged_radius_km(xyz, receivers, 0.0), DIRECT_REACH * local)
        parts.append(_edges(source, used, spacing, receivers, local, radius, block.start))
    columns = zip(*parts, strict=True)
    senders, receivers, features, weights = (np.concatenate(column) for column in columns)
    return EdgeSet.normalised(senders, receivers, features, weights, ENCODE_FEATURES)


def _edges(
    source: Grid,
    used: np.ndarray,
    spacing: np.ndarray,
    targets: np.ndarray,
    local: np.ndarray,
    radius: np.ndarray,
    first: int,
) -> tuple[np.ndarray, ...]:
    """Senders, receivers, features and weights of the edges to a block of target points."""
    xyz = source.xyz[used]
    senders, receivers = within_radius(xyz, targets, radius)
    position, distance = relative_position(xyz[senders], targets[receivers], 1.0)
    weights = source.area[used][senders] * kernel(distance / radius[receivers])
    position = position / local[receivers, None]
    features = np.concatenate([position, np.log(spacing / SPACING_SCALE_KM)[senders, None]], axis=1)
    return used[senders], receivers + first, features, weights
