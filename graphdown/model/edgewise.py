"""Weighted sums of a normalised perceptron over edges, with hand-written gradients.

Edges are processed in chunks that stay in cache, and between the forward and the backward pass
nothing as large as the edges' hidden states is kept.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from graphdown.model.chunks import by_blocks
from graphdown.model.edge_tables import EdgeTable, arguments, wide

EPSILON = 1e-5
Layers = tuple[tuple[Array, Array], ...]


@jax.custom_vjp
def mean_normalised(
    senders: Array,
    receivers: Array | None,
    edges: tuple[Array, ...],
    kernel: Array,
    bias: Array,
    table: EdgeTable,
) -> Array:
    """Return sum_j w_ij u_ij / std(u_ij) with u_ij = K silu(p_j + q_i + r_ij) + c, [R, B, out].

    No gradient comes through a matrix product with each u: with h the activation, the variance
    is quadratic in h, and what else is linear in u is summed before it is multiplied.

    Args:
        senders: p [S, B, C].
        receivers: q [R, B, C], or None for none.
        edges: r, per block of the table [rows_b, width_b, C].
        kernel: K [C, out], whose rows have mean 0.
        bias: c [out], of mean 0.
        table: the edges and their weights w; no gradient goes to it.
    """
    return _forward(senders, receivers, edges, kernel, bias, table)[0]


def _forward(
    senders: Array,
    receivers: Array | None,
    edges: tuple[Array, ...],
    kernel: Array,
    bias: Array,
    table: EdgeTable,
) -> tuple[Array, tuple[Any, ...]]:
    def body(_: None, rows: tuple[Any, ...]) -> tuple[None, tuple[Array, Array]]:
        receiver, edge, index, weights = rows
        hidden = jax.nn.silu(arguments(senders, receiver, edge[:, :, None], index))
        values = _times(hidden, kernel) + bias
        scale = _inverse_deviation(values)
        means = ((weights[:, :, None] * scale)[..., None] * values).sum(1)
        return None, (means.astype(values.dtype), scale)

    outputs = by_blocks(body, None, table.by_block(receivers, edges), senders[0].size)[1]
    means, scales = zip(*outputs, strict=True)
    saved = senders, receivers, edges, kernel, bias, table, scales
    return jnp.concatenate(means), saved


def _backward(saved: tuple[Any, ...], gradient: Array) -> tuple[Any, ...]:
    senders, receivers, edges, kernel, bias, table, scales = saved
    out = kernel.shape[1]
    gram, offset = kernel @ kernel.T, kernel @ bias

    def body(carry: Any, rows: tuple[Any, ...]) -> tuple[Any, Any]:
        (receiver, edge, index, weights), to_mean, scale = rows
        values = arguments(senders, receiver, edge[:, :, None], index)
        gate = jax.lax.optimization_barrier(jax.nn.sigmoid(values))
        hidden = jax.lax.optimization_barrier(values * gate)
        back = _times(to_mean, kernel.T)
        share = weights[:, :, None] * scale
        to_scale = weights[:, :, None] * (
            (wide(hidden) * back[:, None]).sum(-1) + (to_mean @ bias)[:, None]
        )
        slope = -to_scale * scale**3 / out
        scaled = (slope[..., None] * hidden).astype(hidden.dtype)
        to_hidden = share[..., None] * back[:, None] + slope[..., None] * (
            _times(hidden, gram) + offset
        )
        passed = to_hidden * (gate * (1.0 - hidden) + hidden)
        passed = jax.lax.optimization_barrier(passed.astype(hidden.dtype))
        sums = (
            _outer(scaled, hidden),
            wide(scaled).sum((0, 1, 2)),
            slope.sum(),
            _outer((share[..., None] * hidden).sum(1).astype(to_mean.dtype), to_mean),
            (share.sum(1)[..., None] * to_mean).sum((0, 1)),
        )
        outputs = passed, None if receiver is None else passed.sum(1), passed.sum(2)
        return jax.tree.map(jnp.add, carry, sums), outputs

    c = len(kernel)
    shapes = (c, c), (c,), (), (c, out), (out,)
    carry = tuple(jnp.zeros(shape, wide(kernel).dtype) for shape in shapes)
    rows = zip(table.by_block(receivers, edges), table.rows(gradient), scales, strict=True)
    carry, outputs = by_blocks(body, carry, rows, senders[0].size)
    passed, to_receivers, to_edges = zip(*outputs, strict=True)
    square, first, zeroth, to_kernel, to_bias = carry
    to_kernel = to_kernel + square @ kernel + jnp.outer(first, bias)
    to_bias = to_bias + first @ kernel + zeroth * bias
    return (
        table.sum_outgoing(passed),
        None if receivers is None else jnp.concatenate(to_receivers),
        to_edges,
        to_kernel.astype(kernel.dtype),
        to_bias.astype(bias.dtype),
        None,
    )


mean_normalised.defvjp(_forward, _backward)


@jax.custom_vjp
def interact(
    senders: Array,
    receivers: Array,
    edges: tuple[Array, ...],
    layers: Layers,
    table: EdgeTable,
) -> tuple[Array, tuple[Array, ...]]:
    """Return sum_j w_ij m_ij [R, B, C] and e_ij + m_ij of an edge perceptron's values m_ij.

    m_ij = g n_ij + b, n_ij = u_ij / std(u_ij), u_ij = K silu(p_j + q_i + W e_ij + d) + c

    Args:
        senders: p [S, B, C].
        receivers: q [R, B, C].
        edges: e, per block of the table [rows_b, width_b, B, C].
        layers: (W, d), (K, c) and (g, b); the rows of K and c have mean 0.
        table: the edges and their weights w; no gradient goes to it.
    """
    return _interact_forward(senders, receivers, edges, layers, table)[0]


def _interact_forward(
    senders: Array,
    receivers: Array,
    edges: tuple[Array, ...],
    layers: Layers,
    table: EdgeTable,
) -> tuple[tuple[Array, tuple[Array, ...]], tuple[Any, ...]]:
    first, second, norm = layers

    def body(_: None, rows: tuple[Any, ...]) -> tuple[None, tuple[Array, Array]]:
        receiver, edge, index, weights = rows
        hidden = jax.nn.silu(arguments(senders, receiver, _affine(edge, first), index))
        values = _affine(hidden, second)
        sent = values * _inverse_deviation(values)[..., None] * norm[0] + norm[1]
        means = (weights[:, :, None, None] * sent).sum(1)
        return None, (means.astype(edge.dtype), (edge + sent).astype(edge.dtype))

    outputs = by_blocks(body, None, table.by_block(receivers, edges), senders[0].size)[1]
    means, states = zip(*outputs, strict=True)
    return (jnp.concatenate(means), states), (senders, receivers, edges, layers, table)


def _interact_backward(
    saved: tuple[Any, ...], gradients: tuple[Array, tuple[Array, ...]]
) -> tuple[Any, ...]:
    """Compute the perceptron anew, a chunk of edges at a time."""
    senders, receivers, edges, layers, table = saved
    first, second, norm = layers

    def body(carry: Any, rows: tuple[Any, ...]) -> tuple[Any, Any]:
        (receiver, edge, index, weights), to_mean, to_state = rows
        values = arguments(senders, receiver, _affine(edge, first), index)
        gate = jax.lax.optimization_barrier(jax.nn.sigmoid(values))
        hidden = jax.lax.optimization_barrier(values * gate)
        values = _affine(hidden, second)
        scale = _inverse_deviation(values)[..., None]
        normed = values * scale
        to_sent = to_state + weights[:, :, None, None] * to_mean[:, None]
        to_sent = jax.lax.optimization_barrier(to_sent.astype(hidden.dtype))
        to_normed = to_sent * norm[0]
        shared = (to_normed * normed).mean(-1, keepdims=True)
        to_values = (scale * (to_normed - normed * shared)).astype(hidden.dtype)
        to_values = jax.lax.optimization_barrier(to_values)
        to_hidden = _times(to_values, second[0].T)
        passed = jax.lax.optimization_barrier(to_hidden * (gate * (1.0 - hidden) + hidden))
        to_layers = (
            (_outer(edge, passed), wide(passed).sum((0, 1, 2))),
            (_outer(hidden, to_values), wide(to_values).sum((0, 1, 2))),
            (wide(to_sent * normed).sum((0, 1, 2)), wide(to_sent).sum((0, 1, 2))),
        )
        outputs = passed, passed.sum(1), to_state + _times(passed, first[0].T)
        return jax.tree.map(jnp.add, carry, to_layers), outputs

    carry = jax.tree.map(lambda layer: jnp.zeros_like(wide(layer)), layers)
    gradient_rows = zip(table.rows(gradients[0]), gradients[1], strict=True)
    rows = (
        (block, *some)
        for block, some in zip(table.by_block(receivers, edges), gradient_rows, strict=True)
    )
    to_layers, outputs = by_blocks(body, carry, rows, senders[0].size)
    passed, to_receivers, to_edges = zip(*outputs, strict=True)
    to_layers = jax.tree.map(
        lambda gradient, layer: gradient.astype(layer.dtype), to_layers, layers
    )
    return table.sum_outgoing(passed), jnp.concatenate(to_receivers), to_edges, to_layers, None


interact.defvjp(_interact_forward, _interact_backward)


def _times(values: Array, kernel: Array) -> Array:
    flat = values.reshape(-1, values.shape[-1]) @ kernel
    return flat.reshape(*values.shape[:-1], kernel.shape[-1])


def _affine(values: Array, layer: tuple[Array, Array]) -> Array:
    return _times(values, layer[0]) + layer[1]


def _outer(one: Array, other: Array) -> Array:
    rows = one.reshape(-1, one.shape[-1]).T, other.reshape(-1, other.shape[-1])
    return jnp.matmul(*rows, preferred_element_type=wide(one).dtype)


def _inverse_deviation(values: Array) -> Array:
    return jax.lax.rsqrt((wide(values) ** 2).mean(-1) + EPSILON)
