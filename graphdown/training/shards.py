"""Batches and constants of a step whose target nodes are shared among devices."""

from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec

from graphdown.errors import ExperimentError
from graphdown.model.shards import (
    GRAPH,
    ROWS,
    WHOLE,
    graph_specs,
    padded,
    shard_graph,
    shard_sources,
    source_specs,
)
from graphdown.training.parallel import AXIS
from graphdown.training.step import Batch, Constants


def shard_constants(constants: Constants, shards: int) -> Constants:
    """Lay out the target nodes of constants for a number of devices; for 1 they stay as they are.

    Raises:
        ExperimentError: the loss looks at neighbourhoods, which devices would have to share.
    """
    if shards == 1:
        return constants
    bank = constants.bank
    if bank is not None:
        bank = bank._replace(arrays=shard_sources(bank.arrays, shards))
    if constants.means:
        raise ExperimentError(
            "'training.multiscale_km' needs all of the target on each device; leave it out, or set "
            "'training.target_shards: 1'."
        )
    gammas = jax.tree.map(lambda array: padded(array, shards, fill=np.nan), constants.gammas)
    area, graph = padded(constants.area, shards), shard_graph(constants.graph, shards)
    return constants._replace(graph=graph, bank=bank, area=area, gammas=gammas)


def shard_batch(batch: Batch, shards: int) -> Batch:
    """Pad the targets of a batch likewise; padded nodes are missing."""
    return batch if shards == 1 else batch._replace(fine=padded(batch.fine, shards, 1, np.nan))


def specs_of(tree: Any) -> Any:
    """Partition of a batch or constants over the axes "data" and "graph"."""
    if isinstance(tree, Batch):
        days: Any = jax.tree.map(lambda _: PartitionSpec(AXIS), tree)
        return days._replace(fine=PartitionSpec(AXIS, GRAPH))
    specs: Any = jax.tree.map(lambda _: WHOLE, tree)
    if tree.bank is not None:
        specs = specs._replace(bank=specs.bank._replace(arrays=source_specs(tree.bank.arrays)))
    gammas = jax.tree.map(lambda _: ROWS, tree.gammas)
    return specs._replace(graph=graph_specs(tree.graph), area=ROWS, gammas=gammas)
