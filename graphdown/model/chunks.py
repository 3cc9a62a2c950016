"""Process rows of large arrays a chunk at a time, so that intermediate values stay in cache."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

# Numbers in the largest array of a chunk. On CPUs it must stay in cache: pages that a program
# touches for the first time cost several times more than the arithmetic on them. Accelerators
# want large chunks; there the limit only bounds memory, to a share of the device's.
CHUNK = {"cpu": 2**18}
LARGE_CHUNK = 2**28
SHARE = 32


def by_rows(
    body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, rows: Any, numbers: int
) -> tuple[Any, Any]:
    """Run `body` over chunks of rows, as `jax.lax.scan` would over single rows.

    No array is copied to make the chunks alike: the last one comes first, and begins with rows of
    zeros in place of those that the next to last one holds.

    Args:
        body: takes the carry and the arrays of a chunk [rows, ...]; returns the new carry and
            arrays [rows, ...]. Rows of zeros must add nothing to the carry.
        carry: the first carry.
        rows: a tree of arrays [R, ...].
        numbers: how many numbers a row takes in the largest array inside `body`.

    Returns:
        The last carry, and the arrays [R, ...] of all chunks.
    """
    length, size, count = _chunks(rows, numbers)
    if count <= 1:
        return body(carry, rows)
    starts = jnp.asarray([length - size, *range(0, (count - 1) * size, size)])
    doubled = jnp.asarray([count * size - length, *[0] * (count - 1)])

    def chunk(start: Array, zeros: Array) -> Any:
        def part(values: Array) -> Array:
            some = jax.lax.dynamic_slice_in_dim(values, start, size)
            new = jnp.arange(size).reshape(-1, *[1] * (some.ndim - 1)) >= zeros
            return jnp.where(new, some, jnp.zeros((), some.dtype))

        return jax.tree.map(part, rows)

    def step(state: tuple[Any, Any], where: tuple[Array, Array]) -> tuple[tuple[Any, Any], None]:
        carry, outputs = body(state[0], chunk(*where))
        return (carry, jax.tree.map(partial(_put, where[0]), state[1], outputs)), None

    shapes = jax.eval_shape(body, carry, chunk(starts[0], doubled[0]))[1]
    empty = jax.tree.map(lambda v: jnp.zeros((length, *v.shape[1:]), v.dtype), shapes)
    return jax.lax.scan(step, (carry, empty), (starts, doubled))[0]


def _put(start: Array, whole: Array, part: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(whole, part, start, 0)


@cache
def _large_chunk() -> int:
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats.get("bytes_limit", 4 * SHARE * LARGE_CHUNK)) // (4 * SHARE)


def _chunks(rows: Any, numbers: int) -> tuple[int, int, int]:
    """Return the number of rows, the number of rows in a chunk, and the number of chunks."""
    length = len(jax.tree.leaves(rows)[0])
    limit = max(1, (CHUNK.get(jax.default_backend()) or _large_chunk()) // max(1, numbers))
    count = -(-length // limit)
    return length, -(-length // max(1, count)), count


def by_blocks(
    body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, blocks: Iterable[Any], numbers: int
) -> tuple[Any, list[Any]]:
    """Run `body` over chunks of rows of each block of an edge table, one after the other.

    Args:
        body, carry: as for `by_rows`.
        blocks: trees of arrays [rows_b, ...], the last of them [rows_b, width_b, ...].
        numbers: how many numbers an edge takes.

    Returns:
        The last carry, and the arrays that `body` returned for each block.
    """
    outputs = []
    for block in blocks:
        width = jax.tree.leaves(block)[-1].shape[1]
        carry, some = by_rows(body, carry, block, width * numbers)
        outputs.append(some)
    return carry, outputs


def map_rows(function: Callable[[Any], Any], rows: Any, numbers: int) -> Any:
    """Return `function` of a tree of arrays [R, ...], computed by chunks of rows; see `by_rows`.

    The backward pass computes the function again rather than keep intermediate values.
    """
    length, size, count = _chunks(rows, numbers)
    if count <= 1:
        return function(rows)

    def even(values: Array) -> Array:
        if length < count * size:
            extra = (0, count * size - length)
            values = jnp.pad(values, (extra, *[(0, 0)] * (values.ndim - 1)))
        return values.reshape(count, size, *values.shape[1:])

    mapped = jax.lax.map(jax.checkpoint(function), jax.tree.map(even, rows))
    return jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:])[:length], mapped)
