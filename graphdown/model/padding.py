"""Padding of source values to the size of the graph arrays."""

import numpy as np

from graphdown.model.edge_tables import bucket


def pad_nodes(values: np.ndarray) -> np.ndarray:
    """Pad source values [time, Ns, V] with unused nodes to the bucket size of the graph arrays."""
    extra = bucket(values.shape[1]) - values.shape[1]
    return np.pad(values, ((0, 0), (0, extra), (0, 0)))
