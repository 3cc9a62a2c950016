"""The source nodes that a step of pretraining hides."""

import numpy as np

from graphdown.config.training import PretrainSpec
from meshes import EARTH_RADIUS_KM, Grid
from meshes.geometry.sphere import angle_to_chord


def visible_nodes(grid: Grid, spec: PretrainSpec, random: np.random.Generator) -> np.ndarray:
    """Mask of a source's nodes [Ns], float32: 1 for those that stay visible, 0 for hidden ones.

    Single nodes are hidden first, then patches around random nodes; of the last patch no more
    than the share asks for, the nearest first. At least one node is hidden and one stays.
    """
    count = int(np.clip(round(spec.hidden * grid.size), 1, max(grid.size - 1, 1)))
    hidden = np.zeros(grid.size, bool)
    hidden[random.permutation(grid.size)[: round(spec.scattered * count)]] = True
    reach = float(angle_to_chord(spec.patch_km / EARTH_RADIUS_KM))
    for centre in random.permutation(grid.size):
        missing = count - int(hidden.sum())
        if missing <= 0:
            break
        distance = np.linalg.norm(grid.xyz - grid.xyz[centre], axis=1)
        patch = np.flatnonzero((distance <= reach) & ~hidden)
        hidden[patch[np.argsort(distance[patch], kind="stable")][:missing]] = True
    return (~hidden).astype(np.float32)
