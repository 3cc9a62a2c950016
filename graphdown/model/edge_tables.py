"""Edges as padded tables, so that message passing is gathers and sums and never a scatter.

A row belongs to one receiver and lists its edges; missing ones are padded and carry weight 0. The
gradient of a gather is a scatter-add, slow on CPUs and sometimes very slow on GPUs; here it is a
second gather through the inverse table (for each sender: the edges that leave it).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

BUCKETS_PER_OCTAVE = 4
UNROLLED = 8
WORTH_A_BLOCK = 0.1  # share of the places


class Table(NamedTuple):
    """Rows of indices in blocks of different width, for rows sorted as the caller's nodes are.

    Attributes:
        blocks: integer arrays [rows_b, width_b]; the rows of all blocks, one after the other, are
            the nodes. An index equal to the size of what is indexed means "nothing here".
    """

    blocks: tuple[Array, ...]


class Inverse(NamedTuple):
    """For each node the places that refer to it; rows of like length stand together.

    Attributes:
        blocks: integer arrays [rows_b, width_b] as in `Table`.
        row: integer [nodes], each node's row, counted through all blocks.
    """

    blocks: tuple[Array, ...]
    row: Array


@jax.tree_util.register_static
@dataclass(frozen=True)
class FeatureNames:
    """Names of the features of edges, which belong to a tree's structure, not to its arrays.

    Attributes:
        names: in the order of the columns.
    """

    names: tuple[str, ...] = ()

    def column(self, name: str) -> int | None:
        """Return the column of a feature, None if the edges lack it."""
        return self.names.index(name) if name in self.names else None


class EdgeTable(NamedTuple):
    """The edges from S senders to R receivers.

    Attributes:
        senders: table [R rows] of sender indices in [0, S], S meaning padding.
        outgoing: for each sender flat edge positions (row by row through `senders`), the number of
            flat positions meaning padding.
        features: per block, float [rows_b, width_b, F].
        weights: per block, float [rows_b, width_b]; a row sums to 1 and padding has 0.
        names: of the features.
    """

    senders: Table
    outgoing: Inverse
    features: tuple[Array, ...]
    weights: tuple[Array, ...]
    names: FeatureNames = FeatureNames()

    def rows(self, values: Array) -> list[Array]:
        """Split values [R, ...] at the receivers into the blocks' [rows_b, ...]."""
        cuts = np.cumsum([len(block) for block in self.senders.blocks])[:-1]
        return jnp.split(values, cuts)

    def by_block(
        self, receivers: Array | None, edges: Sequence[Array]
    ) -> Iterator[tuple[Array | None, Array, Array, Array]]:
        """Yield each block's part of values [R, ...] or None, edge values, senders and weights."""
        own = [None] * len(edges) if receivers is None else self.rows(receivers)
        yield from zip(own, edges, self.senders.blocks, self.weights, strict=True)

    def sum_outgoing(self, edges: Sequence[Array]) -> Array:
        """Sum values of the edges, per block [rows_b, width_b, ...], by sender: [S, ...]."""
        flat = [block.reshape(-1, *block.shape[2:]) for block in edges]
        values = flat[0] if len(flat) == 1 else jnp.concatenate(flat)
        extra = (1,) * (values.ndim - 1)

        def term(block: Array) -> Callable[[int | Array], Array]:
            there = (block < len(values)).reshape(*block.shape, *extra)
            return lambda k: jnp.where(there[:, k], wide(take(values, block[:, k])), 0.0)

        blocks = self.outgoing.blocks
        sums = [sum_over_width(term(block), block.shape[1]) for block in blocks]
        return jnp.concatenate([some.astype(values.dtype) for some in sums])[self.outgoing.row]


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


def arguments(senders: Array, own: Array | None, edge: Array, index: Array) -> Array:
    """Return p_j + q_i + r_ij at the edges of a block [rows, width, B, C].

    Args:
        senders: p [S, B, C].
        own: q [rows, B, C], or None for none.
        edge: r [rows, width, 1 or B, C].
        index: the senders j [rows, width].
    """
    values = take(senders, index) + edge
    return values if own is None else values + own[:, None]


def wide(values: Array) -> Array:
    """Return values in the precision of sums: 32 bits, or more if they have more."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def build_edge_table(
    senders: np.ndarray,
    receivers: np.ndarray,
    features: np.ndarray,
    weights: np.ndarray,
    sizes: tuple[int, int],
    padding: "Padding | None" = None,
    names: FeatureNames = FeatureNames(),
) -> EdgeTable:
    """Lay out E edges as an `EdgeTable`.

    Args:
        senders, receivers: integer [E]; receivers ascending.
        features: float [E, F].
        weights: float [E].
        sizes: the numbers of senders and of receivers.
        padding: pad the senders with nodes that have no edges, and the rows. Such a table keeps
            one block, so that its shape, and what was compiled for it, serves other grids too.
        names: of the features.

    Returns:
        The table.
    """
    n_senders, n_receivers = sizes if padding is None else (padding.senders, sizes[1])
    degree = np.bincount(receivers, minlength=n_receivers)
    bounds = _bounds(degree) if padding is None else [0, n_receivers]
    order, blocks, positions = _fill(receivers, degree, bounds, padding and padding.incoming)
    flat = sum(int(np.prod(shape)) for shape in blocks)
    sender_blocks = _scatter(senders[order], positions, blocks, flat, n_senders)
    feature_blocks = _scatter(features[order], positions, blocks, flat, 0.0)
    weight_blocks = _scatter(weights[order], positions, blocks, flat, 0.0)
    outgoing = _inverse(senders[order], positions, n_senders, flat, padding and padding.outgoing)
    return EdgeTable(
        Table(_device(sender_blocks, np.int32)),
        outgoing,
        _device(feature_blocks, np.float32),
        _device(weight_blocks, np.float32),
        names,
    )


def on_device(values: np.ndarray, dtype: DTypeLike | None = None) -> Array:
    """Return an array on the device; `jnp.asarray` would compile a program for each shape."""
    return jax.device_put(np.asarray(values, dtype), may_alias=False)


def stack(trees: Sequence[Any]) -> Any:
    """Return trees of arrays as one, with a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _device(blocks: list[np.ndarray], dtype: DTypeLike) -> tuple[Array, ...]:
    return tuple(on_device(block, dtype) for block in blocks)


def _bounds(degree: np.ndarray) -> list[int]:
    """Return bounds of blocks of rows such that another block would save little padding.

    The icosahedral mesh numbers its coarse nodes first; only they have edges on several levels.
    """
    bounds = [0, len(degree)]
    while True:
        pieces = list(zip(bounds[:-1], bounds[1:], strict=True))
        saved, cut = max(_best_cut(degree, low, high) for low, high in pieces)
        if saved <= WORTH_A_BLOCK * sum(_places(degree[low:high]) for low, high in pieces):
            return bounds
        bounds = sorted([*bounds, cut])


def _best_cut(degree: np.ndarray, low: int, high: int) -> tuple[int, int]:
    """Return how many places a cut of the rows from low to high saves at best, and where."""
    if high - low < 64:
        return 0, low
    head = np.maximum.accumulate(degree[low:high])
    tail = np.maximum.accumulate(degree[low:high][::-1])[::-1]
    rows = np.arange(1, high - low)
    cost = rows * head[:-1] + (high - low - rows) * tail[1:]
    best = int(np.argmin(cost))
    return _places(degree[low:high]) - int(cost[best]), low + int(rows[best])


def _places(degree: np.ndarray) -> int:
    return len(degree) * int(degree.max(initial=0))


def _fill(
    rows: np.ndarray, degree: np.ndarray, bounds: list[int], padded_width: int | None = None
) -> tuple[np.ndarray, list[tuple[int, int]], np.ndarray]:
    """Return the order of the edges by row, the blocks' shapes and each edge's flat position."""
    order = np.argsort(rows, kind="stable")
    start = np.concatenate([[0], np.cumsum(degree)[:-1]])
    rank = np.arange(len(rows)) - start[rows[order]]
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


def _inverse(
    keys: np.ndarray, values: np.ndarray, n_rows: int, padding: int, width: int | None
) -> Inverse:
    """Group values by key into rows of a width, or into blocks of rows of like length."""
    degree = np.bincount(keys, minlength=n_rows)
    nodes = np.arange(n_rows) if width else np.argsort(-degree, kind="stable")
    row = np.empty(n_rows, np.int64)
    row[nodes] = np.arange(n_rows)
    bounds = [0, n_rows] if width else _halvings(degree[nodes])
    order, shapes, position = _fill(row[keys], degree[nodes], bounds, width)
    flat = sum(rows * width for rows, width in shapes)
    blocks = _scatter(values[order], position, shapes, flat, padding)
    return Inverse(_device(blocks, np.int32), on_device(row, np.int32))


def inverse_table(senders: np.ndarray, n_senders: int, width: int) -> Inverse:
    """Return for each sender the flat positions [..] that name it, in one block.

    Args:
        senders: the senders by flat position; `n_senders` means none.
        n_senders: how many there are.
        width: of the block.
    """
    places = np.flatnonzero(senders < n_senders)
    return _inverse(senders[places], places, n_senders, len(senders), width)


def _halvings(degree: np.ndarray) -> list[int]:
    """Return bounds of blocks of descending degrees, each block down to half its first."""
    bounds = [0]
    while bounds[-1] < len(degree):
        widest = degree[bounds[-1]]
        bounds.append(
            int(np.searchsorted(-degree, -(widest // 2), side="left"))
            if widest > 1
            else len(degree)
        )
    return bounds


def take(values: Array, index: Array) -> Array:
    """Return the rows of `values` that `index` names; beyond the last it names the last."""
    return jnp.take(values, index, axis=0, mode="clip")


def sum_over_width(term: Callable[[int | Array], Array], width: int) -> Array:
    """Return the sum of term(k) over the width of a table, without an array of all the terms.

    Terms are added UNROLLED at a time, so that XLA makes one loop of them over the elements; wide
    tables take several passes, so that compilation does not grow with the width.
    """

    def some(first: int | Array, count: int) -> Array:
        return reduce(add, (term(first + k) for k in range(count)))

    if width <= 2 * UNROLLED:
        return some(0, width)
    passes, rest = divmod(width, UNROLLED)
    total = some(0, UNROLLED + rest)
    return jax.lax.fori_loop(
        0, passes - 1, lambda i, t: t + some(UNROLLED + rest + i * UNROLLED, UNROLLED), total
    )
