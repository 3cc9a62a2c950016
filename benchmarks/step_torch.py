"""The steps of benchmarks/step.py that run on PyTorch."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from child_process import process_peak
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

EPSILON = 1e-5
SETS = ("encode", "process", "decode")
Run = Callable[[], None]
LossAndGradient = Callable[[], tuple[float, float]]


def peers(
    name: str, case: dict[str, np.ndarray]
) -> tuple[Run, Run, LossAndGradient, Callable[[], int]]:
    """Return a step, a wait for it, its loss and gradient's norm, and the peak of memory."""
    torch.set_num_threads(os.cpu_count() or 1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # as JAX does
    kind, _, low = name.partition("-")
    model = (Geometric(case) if kind == "pyg" else Anemoi(case)).to(device)
    inputs = {key: value.to(device) for key, value in batched(case).items()}
    losses: list[Tensor] = []

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16) if low else nullcontext():
            loss = (model(inputs).float() ** 2).mean()
        loss.backward()
        losses[:] = [loss.detach()]

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def loss_and_gradient() -> tuple[float, float]:
        squares = [float(q.grad.square().sum()) for q in model.parameters() if q.grad is not None]
        return float(losses[0]), float(np.sqrt(sum(squares)))

    return step, wait, loss_and_gradient, peak


def peak() -> int:
    """Return the peak of memory in bytes, of the device if there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return process_peak()


def batched(case: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the inputs with the samples as separate parts of one graph, [B * nodes, channels]."""
    batch = len(case["forcings"])

    def rows(values: np.ndarray) -> Tensor:
        samples = np.broadcast_to(values, (len(values), batch, values.shape[2]))
        return torch.tensor(np.swapaxes(samples, 0, 1).reshape(-1, values.shape[2]))

    tensors = {key: rows(case[key]) for key in ("x", "at_mesh", "at_target")}
    tensors["statics"] = rows(case["statics"][:, None])
    for name in ("at_mesh", "at_target"):
        forcings = np.repeat(case["forcings"], len(case[name]), axis=0)
        tensors[f"{name} forcings"] = torch.tensor(forcings)
    sizes = len(case["x"]), len(case["at_mesh"]), len(case["at_target"])
    for name, (senders, receivers) in zip(SETS, ((0, 1), (1, 1), (1, 2)), strict=True):
        ends = [
            (case[f"{name}/{end}"][None] + np.arange(batch)[:, None] * sizes[nodes]).reshape(-1)
            for end, nodes in (("senders", senders), ("receivers", receivers))
        ]
        tensors[f"{name} edges"] = torch.tensor(np.stack(ends).astype(np.int64))
        tensors[f"{name} features"] = rows(case[f"{name}/features"][:, None])
        tensors[f"{name} weights"] = rows(case[f"{name}/weights"][:, None, None])
    return tensors


class Geometric(nn.Module):
    """The mathematics and the parameters of graphdown's mlp network, in PyTorch Geometric."""

    def __init__(self, case: dict[str, np.ndarray]) -> None:
        super().__init__()
        p = {k.removeprefix("mlp/"): torch.tensor(v) for k, v in case.items() if k[:4] == "mlp/"}
        self.mesh_input = linear(p["mesh_input/kernel"], p["mesh_input/bias"])
        self.embed = nn.ModuleDict(
            {
                name: perceptron(p, f"{path}/embed")
                for name, path in zip(SETS, ("encode", "edge_states", "decode"), strict=True)
            }
        )
        self.encode, self.decode = Interaction(p, "encode"), Interaction(p, "decode")
        rounds = range(int(case["widths"][1]))
        self.rounds = nn.ModuleList(Interaction(p, f"messages/{k}") for k in rounds)
        self.mesh_update = perceptron(p, "mesh_update/perceptron")
        self.updates = nn.ModuleList(perceptron(p, f"updates/{k}/perceptron") for k in rounds)
        self.target_update = perceptron(p, "target_update/perceptron")
        self.head = linear(p["head/kernel"], p["head/bias"])

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        states = {name: self.embed[name](inputs[f"{name} features"]) for name in SETS}
        mesh = self.mesh_input(torch.cat([inputs["at_mesh"], inputs["at_mesh forcings"]], 1))
        nothing = mesh.new_zeros(len(mesh), 0)
        mesh = mesh + self.encode(inputs, "encode", (inputs["x"], nothing), states["encode"])[0]
        mesh = mesh + self.mesh_update(mesh)
        edges = states["process"]
        for message, update in zip(self.rounds, self.updates, strict=True):
            received, sent = message(inputs, "process", (mesh, mesh), edges)
            mesh = mesh + update(torch.cat([mesh, received], 1))
            edges = edges + sent
        statics = inputs["statics"]
        h = self.decode(inputs, "decode", (mesh, statics), states["decode"])[0]
        local = inputs["at_target"], statics, inputs["at_target forcings"]
        return self.head(h + self.target_update(torch.cat([h, *local], 1)))


class Interaction(MessagePassing):
    """Perceptrons of edge, sender and receiver, and their weighted sum."""

    def __init__(self, p: dict[str, Tensor], path: str) -> None:
        super().__init__(aggr="sum")
        names = [f"{path}/{k}/kernel" for k in ("mlp/edge", "mlp/sender", "receiver")]
        first = torch.cat([p[name] for name in names if name in p])
        norm = normalisation(p[f"{path}/mlp/scale"], p[f"{path}/mlp/shift"])
        second = linear(p[f"{path}/mlp/out/kernel"], p[f"{path}/mlp/out/bias"])
        self.mlp = nn.Sequential(linear(first, p[f"{path}/mlp/edge/bias"]), nn.SiLU(), second, norm)

    def forward(self, inputs: dict[str, Tensor], name: str, x: Any, states: Tensor) -> Any:
        weights, edges = inputs[f"{name} weights"], inputs[f"{name} edges"]
        nodes = len(x[0]), len(x[1])
        sent = self.edge_updater(edges, x=x, states=states, size=nodes)
        return self.propagate(edges, sent=sent, weights=weights, size=nodes), sent

    def edge_update(self, x_i: Tensor, x_j: Tensor, states: Tensor) -> Tensor:
        return self.mlp(torch.cat([states, x_j, x_i], 1))

    def message(self, sent: Tensor, weights: Tensor) -> Tensor:
        return sent * weights


def linear(kernel: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*kernel.shape)
    layer.weight.data, layer.bias.data = kernel.T.contiguous(), bias
    return layer


def normalisation(scale: Tensor, shift: Tensor) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(scale), eps=EPSILON)
    layer.weight.data, layer.bias.data = scale, shift
    return layer


def perceptron(p: dict[str, Tensor], path: str) -> nn.Sequential:
    first = linear(p[f"{path}/first/kernel"], p[f"{path}/first/bias"])
    second = linear(p[f"{path}/second/kernel"], p[f"{path}/second/bias"])
    norm = normalisation(p[f"{path}/norm/scale"], p[f"{path}/norm/bias"])
    return nn.Sequential(first, nn.SiLU(), second, norm)


class Anemoi(nn.Module):
    """Encode, process, decode with anemoi-models' own blocks: one hidden layer, sums."""

    def __init__(self, case: dict[str, np.ndarray]) -> None:
        super().__init__()
        from anemoi.models.distributed.shapes import BipartiteGraphShardInfo, GraphShardInfo
        from anemoi.models.layers.block import GraphConvMapperBlock, GraphConvProcessorBlock
        from anemoi.models.layers.utils import load_layer_kernels

        c, rounds = map(int, case["widths"])
        shared = {"in_channels": c, "out_channels": c, "num_chunks": 1, "mlp_extra_layers": -1}
        shared["layer_kernels"] = load_layer_kernels()
        mapper = shared | {"update_src_nodes": False}
        self.source, self.mesh, self.target = nn.Linear(6, c), nn.Linear(8, c), nn.Linear(11, c)
        self.encode = GraphConvMapperBlock(**mapper, edge_dim=None)
        self.decode = GraphConvMapperBlock(**mapper, edge_dim=None)
        self.rounds = nn.ModuleList(GraphConvProcessorBlock(**shared) for _ in range(rounds))
        self.embed = nn.ModuleDict(
            {name: nn.Linear(case[f"{name}/features"].shape[1], c) for name in SETS}
        )
        self.head = nn.Linear(c, 2)
        self.whole, self.both = GraphShardInfo(), BipartiteGraphShardInfo()

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        edges = {name: self.embed[name](inputs[f"{name} features"]) for name in SETS}
        ends = {name: inputs[f"{name} edges"] for name in SETS}
        x = self.source(inputs["x"])
        mesh = self.mesh(torch.cat([inputs["at_mesh"], inputs["at_mesh forcings"]], 1))
        local = inputs["at_target"], inputs["statics"], inputs["at_target forcings"]
        target = self.target(torch.cat(local, 1))
        pair, _ = self.encode((x, mesh), edges["encode"], ends["encode"], self.both)
        mesh, states = pair[1], edges["process"]
        for block in self.rounds:
            mesh, states = block(mesh, states, ends["process"], self.whole)
        pair, _ = self.decode((mesh, target), edges["decode"], ends["decode"], self.both)
        return self.head(pair[1])
