"""Work on the rows of large arrays a chunk at a time, so that what lies between stays in cache."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

# Numbers in the largest array of a chunk. On CPUs it must stay in cache: pages that a program
# touches for the first time cost several times more than the arithmetic on them. Accelerators
# want large chunks; there the limit only bounds memory.
CHUNK = {"cpu": 2**18}
LARGE_CHUNK = 2**28


def by_rows(
    body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, rows: Any, numbers: int
) -> tuple[Any, Any]:
    """Run `body` over chunks of rows, as `jax.lax.scan` would over single rows.

    Args:
        body: takes the carry and the arrays of a chunk [rows, ...]; returns the new carry and
            arrays [rows, ...]. The last chunk is filled up with rows of zeros, which must add
            nothing to the carry.
        carry: the first carry.
        rows: a tree of arrays [R, ...].
        numbers: how many numbers a row takes in the largest array inside `body`.

    Returns:
        The last carry, and the arrays [R, ...] of all chunks.
    """
    length = len(jax.tree.leaves(rows)[0])
    limit = max(1, CHUNK.get(jax.default_backend(), LARGE_CHUNK) // max(1, numbers))
    count = -(-length // limit)
    if count <= 1:
        return body(carry, rows)
    size = -(-length // count)
    missing = count * size - length

    def even(values: Array) -> Array:
        if missing:
            values = jnp.pad(values, ((0, missing), *((0, 0),) * (values.ndim - 1)))
        return values.reshape(count, size, *values.shape[1:])

    carry, made = jax.lax.scan(body, carry, jax.tree.map(even, rows))
    return carry, jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:])[:length], made)


def by_blocks(
    body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, blocks: Iterable[Any], numbers: int
) -> tuple[Any, list[Any]]:
    """Run `body` over chunks of rows of each block of an edge table, one after the other.

    Args:
        body, carry: as for `by_rows`.
        blocks: trees of arrays [rows_b, ...], the last of them [rows_b, width_b, ...].
        numbers: how many numbers an edge takes.

    Returns:
        The last carry, and what `body` made of each block.
    """
    made = []
    for block in blocks:
        width = jax.tree.leaves(block)[-1].shape[1]
        carry, some = by_rows(body, carry, block, width * numbers)
        made.append(some)
    return carry, made


def map_rows(function: Callable[[Any], Any], rows: Any, numbers: int) -> Any:
    """Return `function` of arrays [R, ...], computed by chunks of rows; see `by_rows`.

    The backward pass computes the function anew rather than keep what lies between.
    """
    again = jax.checkpoint(function)
    return by_rows(lambda _, some: (None, again(some)), None, rows, numbers)[1]
