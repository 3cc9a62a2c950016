"""The steps of benchmarks/step.py that run on JAX."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jraph
import numpy as np
from child_process import process_peak
from flax import nnx

import meshes
from graphdown.model import Downscaler, ModelSpec, NetworkShape, graph_arrays

EPSILON = 1e-5
ROUNDS = ("messages", "updates")
Run = Callable[[], None]
LossAndGradient = Callable[[], tuple[float, float]]


def network(kind: str, case: dict[str, np.ndarray]) -> Downscaler:
    """Return the network of the benchmark."""
    channels, rounds = map(int, case["widths"])
    messages, _, low = kind.partition("-")
    precision = "bfloat16" if low else "float32"
    spec = ModelSpec(channels, rounds, channels, messages=messages, precision=precision)
    edges = (case[f"{name}/features"].shape[1] for name in ("encode", "process", "decode"))
    return Downscaler(spec, NetworkShape(6, 2, 2, 3, *edges, target_nodes=0), rngs=nnx.Rngs(0))


def names_of(path: tuple[Any, ...], shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield a parameter's name and shape; for one of the rounds, stacked, those of each round."""
    if path[0] not in ROUNDS:
        yield "/".join(map(str, path)), shape
        return
    for k in range(shape[0]):
        yield "/".join(map(str, (path[0], k, *path[1:]))), shape[1:]


def steps(
    name: str, case: dict[str, np.ndarray], folder: Path
) -> tuple[Run, Run, LossAndGradient, Callable[[], int]]:
    """Return a step, a wait for it, its loss and gradient's norm, and the peak of memory."""
    kind = "linear" if name.startswith("linear") else "mlp"
    params = {k.removeprefix(f"{kind}/"): v for k, v in case.items() if k.startswith(f"{kind}/")}
    if name == "plain":
        forward = plain
        graph = {k: v for k, v in case.items() if not k.startswith(("mlp/", "linear/"))}
    else:
        forward, params, graph = fast(name, params, case, folder)
    inputs = jax.tree.map(jnp.asarray, (params, graph))
    run = jax.jit(jax.value_and_grad(lambda params, graph: (forward(params, graph) ** 2).mean()))

    results: list[Any] = []

    def step() -> None:
        results[:] = run(*inputs)

    def wait() -> None:
        jax.block_until_ready(results)

    def loss_and_gradient() -> tuple[float, float]:
        loss, gradient = results
        squares = [float(np.square(leaf).sum()) for leaf in jax.tree.leaves(gradient)]
        return float(loss), float(np.sqrt(sum(squares)))

    return step, wait, loss_and_gradient, peak


def fast(
    kind: str, params: dict[str, np.ndarray], case: dict[str, np.ndarray], folder: Path
) -> tuple[Any, Any, Any]:
    """Return graphdown's network, its parameters and its inputs."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: network(kind, case)))
    leaves = []
    for path, leaf in nnx.to_flat_state(state):
        parts = [params[part] for part, _ in names_of(path, leaf.shape)]
        leaves.append(np.stack(parts) if path[0] in ROUNDS else parts[0])
    arrays = graph_arrays(meshes.load_graph(folder / "graph.npz"), case["statics"])
    extra = arrays.encode.outgoing.row.shape[0] - len(case["x"])
    inputs = np.pad(case["x"], ((0, extra), (0, 0), (0, 0))), case["forcings"]

    def forward(state: Any, graph: Any) -> jax.Array:
        (x, forcings), arrays = graph
        return nnx.merge(graphdef, state)(x, forcings, arrays)

    return forward, jax.tree.unflatten(jax.tree.structure(state), leaves), (inputs, arrays)


def plain(p: dict[str, jax.Array], case: dict[str, jax.Array]) -> jax.Array:
    """GraphCast's interaction networks as they are written: concatenate, perceptron, sum."""
    forcings, batch = case["forcings"], len(case["forcings"])

    def joined(*parts: jax.Array) -> jax.Array:
        nodes = max(len(part) for part in parts)
        return jnp.concatenate([jnp.broadcast_to(q, (nodes, batch, q.shape[2])) for q in parts], 2)

    def norm(values: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
        return jax.nn.standardize(values, axis=-1, epsilon=EPSILON) * scale + shift

    def linear(values: jax.Array, name: str) -> jax.Array:
        return values @ p[f"{name}/kernel"] + p[f"{name}/bias"]

    def perceptron(name: str, *parts: jax.Array) -> jax.Array:
        hidden = jax.nn.silu(linear(joined(*parts), f"{name}/first"))
        out = linear(hidden, f"{name}/second")
        return norm(out, p[f"{name}/norm/scale"], p[f"{name}/norm/bias"])

    def sent(name: str, edges: str, states: jax.Array, x: jax.Array, s: Any) -> jax.Array:
        parts, kernels = [states, x[case[f"{edges}/senders"]]], ["mlp/edge", "mlp/sender"]
        if s is not None:
            parts.append(s[case[f"{edges}/receivers"]])
            kernels.append("receiver")
        first = jnp.concatenate([p[f"{name}/{kernel}/kernel"] for kernel in kernels])
        hidden = jax.nn.silu(joined(*parts) @ first + p[f"{name}/mlp/edge/bias"])
        out = linear(hidden, f"{name}/mlp/out")
        return norm(out, p[f"{name}/mlp/scale"], p[f"{name}/mlp/shift"])

    def reaching(edges: str, values: jax.Array, nodes: int) -> jax.Array:
        weighted = values * case[f"{edges}/weights"][:, None, None]
        return jraph.segment_sum(weighted, case[f"{edges}/receivers"], nodes)

    def embedded(name: str, edges: str) -> jax.Array:
        return perceptron(name, case[f"{edges}/features"][:, None])

    mesh = linear(joined(case["at_mesh"], forcings[None]), "mesh_input")
    messages = sent("encode", "encode", embedded("encode/embed", "encode"), case["x"], None)
    mesh = mesh + reaching("encode", messages, len(mesh))
    mesh = mesh + perceptron("mesh_update/perceptron", mesh)
    states = embedded("edge_states/embed", "process")
    for k in range(len({name.split("/")[1] for name in p if name.startswith("updates/")})):
        messages = sent(f"messages/{k}", "process", states, mesh, mesh)
        received = reaching("process", messages, len(mesh))
        mesh = mesh + perceptron(f"updates/{k}/perceptron", mesh, received)
        states = states + messages
    statics = case["statics"][:, None]
    states = embedded("decode/embed", "decode")
    h = reaching("decode", sent("decode", "decode", states, mesh, statics), len(statics))
    local = case["at_target"], statics, forcings[None]
    h = h + perceptron("target_update/perceptron", h, *local)
    return linear(h, "head")


def peak() -> int:
    """Return the peak of memory in bytes, of the device if it reports it, else of the process."""
    stats = jax.devices()[0].memory_stats()
    return int(stats["peak_bytes_in_use"]) if stats else process_peak()


def device() -> str:
    """Return the kind of device that the steps run on."""
    return jax.devices()[0].device_kind


def ceilings(low: bool) -> dict[str, float]:
    """Return the best rates of the device: multiplications and additions, and bytes a second.

    Args:
        low: measure products in 16 bits too.
    """
    cpu = jax.default_backend() == "cpu"
    n, numbers, times = (2048, 2**26, 1) if cpu else (8192, 2**30, 10)
    random = np.random.default_rng(0)
    square, long = jnp.asarray(random.normal(size=(n, n)), jnp.float32), jnp.ones(numbers)
    product = jax.jit(lambda values: values @ values)
    add = jax.jit(lambda values: values + 1.0)
    rates = {
        "flops": 2.0 * n**3 / fastest(product, square, times),
        "bytes": 8.0 * numbers / fastest(add, long, times),
    }
    if low:
        rates["flops-bf16"] = 2.0 * n**3 / fastest(product, square.astype(jnp.bfloat16), times)
    return rates


def fastest(run: Callable[[jax.Array], jax.Array], values: jax.Array, times: int) -> float:
    """Return the seconds of a run, the fastest of some means over `times` in a row."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            result = run(values)
        jax.block_until_ready(result)
        seconds.append((time.perf_counter() - start) / times)
    return min(seconds)
