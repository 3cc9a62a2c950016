"""Work on the rows of large arrays a chunk at a time, so that what lies between stays in cache."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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
            arrays [rows, ...].
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
    size = length // count
    even = jax.tree.map(lambda v: v[: count * size].reshape(count, size, *v.shape[1:]), rows)
    carry, made = jax.lax.scan(body, carry, even)
    made = jax.tree.map(lambda v: v.reshape(count * size, *v.shape[2:]), made)
    if count * size == length:
        return carry, made
    carry, last = body(carry, jax.tree.map(lambda v: v[count * size :], rows))
    return carry, jax.tree.map(lambda *parts: jnp.concatenate(parts), made, last)


def map_rows(function: Callable[[Any], Any], rows: Any, numbers: int) -> Any:
    """Return `function` of arrays [R, ...], computed by chunks of rows; see `by_rows`.

    The backward pass computes the function anew rather than keep what lies between.
    """
    again = jax.checkpoint(function)
    return by_rows(lambda _, some: (None, again(some)), None, rows, numbers)[1]
