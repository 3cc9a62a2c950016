"""Attention over the edges of a table, with its own gradients.

Edges are processed in chunks that stay in cache. Nothing of the edges is kept between the forward
and the backward pass; the backward pass writes out their shares alone, never their channels.
"""

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from graphdown.model.chunks import by_blocks
from graphdown.model.edge_tables import EdgeTable, take, wide

LEAST = -1e30  # below all exponents but that of no edge, minus infinity


@jax.custom_vjp
def attend(
    queries: Array, keys: Array, values: Array, slopes: Array, table: EdgeTable
) -> tuple[Array, Array]:
    """Return sum_j a_ij v_j [R, B, C] and sum_j a_ij e_ij [R, B, H, F] for each of H heads.

    a_ij = w_ij exp(l_ij) / sum_j w_ij exp(l_ij) with l_ij = q_i . k_j / sqrt(C / H) + s_i . e_ij,
    in 32 bits; where the weights w are equal, a softmax. The C / H channels of a head are
    adjacent. Nodes without edges receive 0.

    Args:
        queries: q [R, B, C].
        keys, values: k and v [S, B, C].
        slopes: s [R, B, H, F], what the features e of an edge add to l.
        table: the edges, their features and weights; no gradient goes to it.
    """
    return _forward(queries, keys, values, slopes, table)[0]


def _forward(
    queries: Array, keys: Array, values: Array, slopes: Array, table: EdgeTable
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    def body(_: None, rows: tuple[Any, ...]) -> tuple[None, tuple[Array, Array, Array]]:
        query, slope, features, index, weights = rows
        exponents = _exponents(query, take(keys, index), slope, features, weights)
        largest = jnp.maximum(exponents.max(1), LEAST)
        sizes = weights[:, :, None, None] * jnp.exp(exponents - largest[:, None])
        total = sizes.sum(1)
        shares = sizes / jnp.where(total > 0.0, total, 1.0)[:, None]
        return None, (
            _over_edges(shares, take(values, index)).astype(values.dtype),
            _over_features(shares, features).astype(slopes.dtype),
            jnp.where(total > 0.0, largest + jnp.log(total), 0.0),
        )

    outputs = by_blocks(body, None, _rows(table, queries, slopes), keys[0].size)[1]
    means, seen, logarithms = (jnp.concatenate(part) for part in zip(*outputs, strict=True))
    return (means, seen), (queries, keys, values, slopes, table, means, seen, logarithms)


def _backward(saved: tuple[Any, ...], gradients: tuple[Array, Array]) -> tuple[Any, ...]:
    """Compute the shares anew, as FlashAttention does (Dao et al. 2022, arXiv 2205.14135)."""
    queries, keys, values, slopes, table, means, seen, logarithms = saved
    heads = slopes.shape[2]
    scale = _scale(queries, heads)
    along = _by_head(wide(gradients[0]) * means, heads) + (wide(gradients[1]) * seen).sum(-1)

    def body(_: None, rows: tuple[Any, ...]) -> tuple[None, tuple[Array, ...]]:
        query, slope, logarithm, to_means, to_seen, along, features, index, weights = rows
        key = take(keys, index)
        exponents = _exponents(query, key, slope, features, weights)
        shares = weights[:, :, None, None] * jnp.exp(exponents - logarithm[:, None])
        to_shares = _by_head(wide(to_means[:, None]) * take(values, index), heads)
        to_shares = to_shares + _with_features(to_seen, features)
        to_exponents = shares * (to_shares - along[:, None])
        return None, (
            (scale * _over_edges(to_exponents, key)).astype(queries.dtype),
            _over_features(to_exponents, features).astype(slopes.dtype),
            shares,
            to_exponents,
        )

    nodes = queries, slopes, logarithms, *gradients, along
    outputs = by_blocks(body, None, _rows(table, *nodes), keys[0].size)[1]
    to_queries, to_slopes, shares, to_exponents = zip(*outputs, strict=True)
    terms = (to_exponents, queries), (shares, gradients[0])
    to_keys, to_values = _outgoing(table, terms)
    return (
        jnp.concatenate(to_queries),
        (scale * to_keys).astype(keys.dtype),
        to_values.astype(values.dtype),
        jnp.concatenate(to_slopes),
        None,
    )


attend.defvjp(_forward, _backward)


def _rows(table: EdgeTable, *nodes: Array) -> Iterable[tuple[Array, ...]]:
    """Return each block's rows of values at the receivers, features, senders and weights."""
    parts = map(table.rows, nodes)
    return zip(*parts, table.features, table.senders.blocks, table.weights, strict=True)


def _scale(queries: Array, heads: int) -> float:
    return 1.0 / math.sqrt(queries.shape[-1] // heads)


def _exponents(query: Array, key: Array, slope: Array, features: Array, weights: Array) -> Array:
    """Return l [rows, width, B, H], minus infinity where there is no edge."""
    heads = slope.shape[2]
    exponents = _scale(query, heads) * _by_head(wide(query[:, None]) * key, heads)
    exponents = exponents + _with_features(slope, features)
    return jnp.where(weights[:, :, None, None] > 0.0, exponents, -jnp.inf)


def _by_head(products: Array, heads: int) -> Array:
    """Return the sums [..., H] of products [..., C] over the channels of each head."""
    return _times(products, _channels_of(heads, products.shape[-1]).T)


def _channels_of(heads: int, channels: int) -> Array:
    """Return 1 where a channel is of a head [H, C], else 0."""
    return jnp.repeat(jnp.eye(heads), channels // heads, axis=1)


def _times(values: Array, kernel: Array) -> Array:
    """Return values [..., C] times a kernel of zeros and ones, to the last bit.

    XLA on CPUs is several times slower with sums over, or copies along, the last few numbers.
    """
    flat = values.reshape(-1, values.shape[-1])
    products = jnp.matmul(flat, kernel, precision=jax.lax.Precision.HIGHEST)
    return products.reshape(*values.shape[:-1], kernel.shape[-1])


def _over_edges(shares: Array, values: Array) -> Array:
    """Return sum_j a_ij y_ij [rows, B, C] of a [rows, width, B, H] and y [rows, width, B, C]."""
    each = _times(shares, _channels_of(shares.shape[-1], values.shape[-1]))
    return (each * values).sum(1)


def _over_features(shares: Array, features: Array) -> Array:
    """Return sum_j a_ij e_ij [rows, B, H, F] of a [rows, width, B, H] and e [rows, width, F]."""
    return (shares[..., None] * features[:, :, None, None]).sum(1)


def _with_features(slopes: Array, features: Array) -> Array:
    """Return s_i . e_ij [rows, width, B, H] of s [rows, B, H, F] and e [rows, width, F]."""
    parts = zip(jnp.moveaxis(wide(slopes), -1, 0), jnp.moveaxis(features, -1, 0), strict=True)
    return reduce(add, (slope[:, None] * part[..., None, None] for slope, part in parts))


def _outgoing(
    table: EdgeTable, terms: Sequence[tuple[Sequence[Array], Array]]
) -> tuple[Array, ...]:
    """Return sum_i a_ij y_i over what leaves each sender j, [S, B, C] in 32 bits, of each term.

    Args:
        table: the edges.
        terms: a, per block [rows_b, width_b, B, H], and y at the receivers [R, B, C].
    """
    receivers, first = [], 0
    for block in table.senders.blocks:
        rows = jnp.arange(first, first + len(block))[:, None]
        receivers.append(jnp.broadcast_to(rows, block.shape).reshape(-1))
        first += len(block)
    to = jnp.concatenate(receivers)
    flat = [
        (jnp.concatenate([block.reshape(-1, *block.shape[2:]) for block in shares]), nodes)
        for shares, nodes in terms
    ]

    def body(_: None, rows: tuple[Array]) -> tuple[None, tuple[Array, ...]]:
        (places,) = rows
        there, nearby = (places < len(to))[..., None, None], take(to, places)
        return None, tuple(
            _over_edges(jnp.where(there, take(shares, places), 0.0), take(nodes, nearby))
            for shares, nodes in flat
        )

    blocks = ((block,) for block in table.outgoing.blocks)
    outputs = by_blocks(body, None, blocks, terms[0][1][0].size)[1]
    sums = (jnp.concatenate(part) for part in zip(*outputs, strict=True))
    return tuple(some[table.outgoing.row] for some in sums)
