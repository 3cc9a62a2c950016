"""The network written plainly: interpolate by matrices, concatenate, two layers, segment sum."""

import jax
import jax.numpy as jnp
from flax import nnx


def message(own, x, s, edges, receivers):
    """Return the messages [R, B, out] that senders x [S, B, C] send along all edges."""
    features = jnp.broadcast_to(
        edges.features[:, None], (len(edges.senders), x.shape[1], edges.features.shape[1])
    )
    parts, kernels = [x[edges.senders], features], [own.sender.kernel, own.edge.kernel]
    if s is not None:
        spread = jnp.broadcast_to(s, (len(s), x.shape[1], s.shape[2]))
        parts.append(spread[edges.receivers])
        kernels.append(own.receiver.kernel)
    first = jnp.concatenate([kernel[...] for kernel in kernels])
    hidden = jax.nn.silu(jnp.concatenate(parts, -1) @ first + own.edge.bias[...])
    sent = hidden @ own.out.kernel[...] * edges.weights[:, None, None]
    return jax.ops.segment_sum(sent, edges.receivers, receivers)


def dense(layer, *parts):
    """Return a linear layer of parts that are spread over nodes and samples and concatenated."""
    shape = jnp.broadcast_shapes(*(part.shape[:-1] for part in parts))
    whole = jnp.concatenate([jnp.broadcast_to(p, (*shape, p.shape[-1])) for p in parts], -1)
    made = whole @ layer.kernel[...]
    return made if layer.bias is None else made + layer.bias[...]


def update(own, h, *extra):
    """Return the new node states."""
    centred = h - h.mean(-1, keepdims=True)
    normed = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + own.norm.epsilon)
    normed = normed * own.norm.scale[...] + own.norm.bias[...]
    hidden = dense(own.state, normed)
    if extra:
        hidden = hidden + dense(own.extra, *extra)
    return h + dense(own.out, jax.nn.silu(hidden))


def network(own, x, forcings, graph, statics, around):
    """Return the correction [Nt, B, targets] of a network bound to its target.

    Args:
        own: the network.
        x: standardised predictors at the source nodes [Ns, B, C].
        forcings: numbers per sample [B, F].
        graph: the `DownscalingGraph`.
        statics: static features of the target nodes [Nt, S].
        around: mesh nodes around each target node [Nt, K].
    """
    to_mesh, to_target = (
        jnp.asarray(weights.matrix().toarray(), jnp.float32)
        for weights in (graph.to_mesh, graph.to_target)
    )
    at_mesh = jnp.einsum("ms,sbc->mbc", to_mesh, x)
    at_target = jnp.einsum("ts,sbc->tbc", to_target, x)
    n_mesh, n_target = graph.mesh.size, graph.target.size
    mesh = dense(own.mesh_input, at_mesh, forcings[None])
    mesh = update(own.mesh_update, mesh + message(own.encode, x, None, graph.encode, n_mesh))
    graphdef, stacked = nnx.split((own.messages, own.updates))
    for k in range(len(jax.tree.leaves(stacked)[0])):
        one, node = nnx.merge(graphdef, jax.tree.map(lambda layers: layers[k], stacked))  # noqa: B023
        mesh = update(node, mesh, message(one, mesh, mesh, graph.process, n_mesh))
    local = jnp.concatenate([statics, own.node_embedding.numbers[...]], -1)[:, None]
    h = message(own.decode, mesh, local, graph.decode, n_target)
    h = update(own.target_update, h, at_target, local, forcings[None])
    read = jnp.einsum(
        "tbn,tno->tbo", dense(own.node_embedding.project, h), own.node_embedding.readout[...]
    )
    slopes, constants = jax.lax.stop_gradient(
        (own.regression.coefficients[...], own.regression.constants[...])
    )
    held = jnp.einsum("tkbv,tkvo->tbo", at_mesh[around], slopes)
    return dense(own.head, h) + read + held + (own.node_embedding.bias[...] + constants)[:, None]
