"""Edges as padded tables, so that message passing is gathers and sums and never a scatter.

A row belongs to one receiver and lists its edges; missing ones are padded and carry weight 0. The
gradient of a gather is a scatter-add, slow on CPUs and sometimes very slow on GPUs; here it is a
second gather through the inverse table (for each sender: the edges that leave it).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

BUCKETS_PER_OCTAVE = 4


class Table(NamedTuple):
    """Rows of indices in blocks of different width, for rows sorted as the caller's nodes are.

    Attributes:
        blocks: integer arrays [rows_b, width_b]; the rows of all blocks, one after the other, are
            the nodes. An index equal to the size of what is indexed means "nothing here".
    """

    blocks: tuple[Array, ...]


class EdgeTable(NamedTuple):
    """The edges from S senders to R receivers.

    Attributes:
        senders: table [R rows] of sender indices in [0, S], S meaning padding.
        outgoing: table [S rows] of flat edge positions (row by row through `senders`), the number
            of flat positions meaning padding.
        features: per block, float [rows_b, width_b, F].
        weights: per block, float [rows_b, width_b]; a row sums to 1 and padding has 0.
    """

    senders: Table
    outgoing: Table
    features: tuple[Array, ...]
    weights: tuple[Array, ...]


class Padding(NamedTuple):
    """Sizes to pad an edge table to.

    Attributes:
        senders: number of senders.
        incoming, outgoing: edges per receiver and per sender.
    """

    senders: int
    incoming: int
    outgoing: int

    @classmethod
    def over(cls, edges: Sequence[tuple[np.ndarray, np.ndarray]], senders: int) -> "Padding":
        """Return the bucket sizes that hold each of several edge lists (senders, receivers)."""
        most = [max(int(np.bincount(pair[i]).max(initial=1)) for pair in edges) for i in (1, 0)]
        return cls(bucket(senders), *(bucket(count) for count in most))


def bucket(size: int) -> int:
    """Round a size up to one of a few per octave, so that a new grid seldom means a new shape."""
    if size <= 4:
        return max(size, 1)
    step = 2 ** max(0, int(np.floor(np.log2(size))) - int(np.log2(BUCKETS_PER_OCTAVE)))
    return int(-(-size // step) * step)


def build_edge_table(
    senders: np.ndarray,
    receivers: np.ndarray,
    features: np.ndarray,
    weights: np.ndarray,
    sizes: tuple[int, int],
    padding: "Padding | None" = None,
) -> EdgeTable:
    """Lay out E edges as an `EdgeTable`.

    Args:
        senders, receivers: integer [E]; receivers ascending.
        features: float [E, F].
        weights: float [E].
        sizes: the numbers of senders and of receivers.
        padding: pad the senders with nodes that have no edges, and the rows. Such a table keeps
            one block, so that its shape, and what was compiled for it, serves other grids too.

    Returns:
        The table.
    """
    n_senders, n_receivers = sizes if padding is None else (padding.senders, sizes[1])
    degree = np.bincount(receivers, minlength=n_receivers)
    split = _best_split(degree) if padding is None else 0
    order, blocks, positions = _fill(receivers, degree, split, padding and padding.incoming)
    flat = sum(int(np.prod(shape)) for shape in blocks)
    sender_blocks = _scatter(senders[order], positions, blocks, flat, n_senders)
    feature_blocks = _scatter(features[order], positions, blocks, flat, 0.0)
    weight_blocks = _scatter(weights[order], positions, blocks, flat, 0.0)
    outgoing = _rows(senders[order], positions, n_senders, flat, padding and padding.outgoing)
    return EdgeTable(
        Table(_device(sender_blocks, jnp.int32)),
        Table(_device(outgoing, jnp.int32)),
        _device(feature_blocks, jnp.float32),
        _device(weight_blocks, jnp.float32),
    )


def _device(blocks: list[np.ndarray], dtype: DTypeLike) -> tuple[Array, ...]:
    return tuple(jnp.asarray(block, dtype) for block in blocks)


def _best_split(degree: np.ndarray) -> int:
    """Return after which row a second, differently wide block saves most padding (0: no split).

    The icosahedral mesh numbers its coarse nodes first; only they have edges on several levels.
    """
    if len(degree) < 64:
        return 0
    head = np.maximum.accumulate(degree)
    tail = np.maximum.accumulate(degree[::-1])[::-1]
    rows = np.arange(1, len(degree))
    cost = rows * head[:-1] + (len(degree) - rows) * tail[1:]
    best = int(np.argmin(cost))
    return int(rows[best]) if cost[best] < 0.8 * len(degree) * degree.max() else 0


def _fill(
    rows: np.ndarray, degree: np.ndarray, split: int, padded_width: int | None = None
) -> tuple[np.ndarray, list[tuple[int, int]], np.ndarray]:
    """Return the order of the edges by row, the blocks' shapes and each edge's flat position."""
    order = np.argsort(rows, kind="stable")
    start = np.concatenate([[0], np.cumsum(degree)[:-1]])
    rank = np.arange(len(rows)) - start[rows[order]]
    bounds = [0, split, len(degree)] if split else [0, len(degree)]
    shapes: list[tuple[int, int]] = []
    position = np.zeros(len(rows), dtype=np.int64)
    offset = 0
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        width = padded_width or bucket(int(degree[low:high].max(initial=1)))
        inside = (rows[order] >= low) & (rows[order] < high)
        position[inside] = offset + (rows[order][inside] - low) * width + rank[inside]
        shapes.append((high - low, width))
        offset += (high - low) * width
    return order, shapes, position


def _scatter(
    values: np.ndarray,
    positions: np.ndarray,
    shapes: list[tuple[int, int]],
    flat: int,
    padding: float,
) -> list[np.ndarray]:
    filled = np.full((flat, *values.shape[1:]), padding, dtype=values.dtype)
    filled[positions] = values
    cuts = np.cumsum([rows * width for rows, width in shapes])[:-1]
    parts = np.split(filled, cuts)
    return [
        part.reshape(*shape, *values.shape[1:]) for part, shape in zip(parts, shapes, strict=True)
    ]


def _rows(
    keys: np.ndarray, values: np.ndarray, n_rows: int, padding: int, width: int | None
) -> list[np.ndarray]:
    """Group values by key into rows of a width, or in two blocks where that saves padding."""
    degree = np.bincount(keys, minlength=n_rows)
    order, shapes, position = _fill(keys, degree, 0 if width else _best_split(degree), width)
    flat = sum(rows * width for rows, width in shapes)
    return _scatter(values[order], position, shapes, flat, padding)


def _take(values: Array, index: Array) -> Array:
    return values.at[index].get(mode="fill", fill_value=0)


@jax.custom_vjp
def gather_edges(values: Array, senders: Table, outgoing: Table) -> tuple[Array, ...]:
    """Bring node values [S, ...] to the edges: per block [rows_b, width_b, ...]; padding gets 0."""
    return tuple(_take(values, block) for block in senders.blocks)


def _gather_forward(
    values: Array, senders: Table, outgoing: Table
) -> tuple[tuple[Array, ...], Table]:
    return gather_edges(values, senders, outgoing), outgoing


def _gather_backward(outgoing: Table, gradients: tuple[Array, ...]) -> tuple[Array, None, None]:
    flat = jnp.concatenate([g.reshape(-1, *g.shape[2:]) for g in gradients])
    return jnp.concatenate([_take(flat, block).sum(1) for block in outgoing.blocks]), None, None


gather_edges.defvjp(_gather_forward, _gather_backward)
