"""Padding of source values to the size of the graph arrays."""

import numpy as np

from graphdown.model.edge_tables import bucket


def pad_nodes(values: np.ndarray, nodes: int | None = None) -> np.ndarray:
    """Pad source values [time, Ns, V] with unused nodes to the size of the graph arrays.

    Args:
        values: the values.
        nodes: the size; by default the bucket size of the values' own.
    """
    extra = (bucket(values.shape[1]) if nodes is None else nodes) - values.shape[1]
    return np.pad(values, ((0, 0), (0, extra), (0, 0)))
