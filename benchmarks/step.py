"""Time a training step beside that of other graph networks, and measure its memory.

Example: python benchmarks/step.py --peers ~/venvs/peers/bin/python
On a GPU: python benchmarks/step.py --target EUR-11 --low --row 10 --name step_gpu

A step is the loss and its gradient for all parameters, without an optimiser. Each implementation
runs in a process of its own, all of them on the same graph with the same widths; they take turns,
`--row` steps each, and the ratios are of steps side by side. "plain", "pyg" and the mlp of
graphdown have the same parameters, and the benchmark fails unless their losses and gradients
agree. `--low` adds those in 16 bits. `--peers` names the Python in which the optional extra "bench"
is installed, by default this one; implementations that are not installed there are left out and
listed. The table is written to benchmarks/results/step.md, the times to step.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, median_and_range, page_head, write_results

NAMES = {
    "linear": "graphdown, linear",
    "mlp": "graphdown, mlp",
    "plain": "GraphCast's mathematics, plain JAX and jraph (not GraphCast's own code)",
    "pyg": "the same mathematics, PyTorch Geometric",
    "anemoi": "anemoi-models' GraphConv blocks",
    "linear-bf16": "graphdown, linear, bfloat16",
    "mlp-bf16": "graphdown, mlp, bfloat16",
    "pyg-bf16": "PyTorch Geometric, bfloat16 (autocast)",
}
SAME = ("mlp", "plain", "pyg")
LOW = ("mlp-bf16", "pyg-bf16")
TOLERANCE, LOW_TOLERANCE = 1e-2, 5e-2  # accelerators multiply 32-bit floats in fewer bits
PREDICTORS, FORCINGS, STATICS, TARGETS = 6, 2, 3, 2


@dataclass(frozen=True)
class Sizes:
    """What the counts of operations and bytes depend on."""

    channels: int
    rounds: int
    batch: int
    source: int
    mesh: int
    target: int
    encode: int
    process: int
    decode: int


def main() -> None:
    parser = benchmark_parser(__doc__, repeats=9)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--target", default="128", help="a catalogue's name, or cells of a side")
    parser.add_argument("--mesh-level", type=int, default=7)
    parser.add_argument("--row", type=int, default=1, help="steps a turn")
    parser.add_argument("--low", action="store_true", help="in 16 bits too")
    parser.add_argument("--only", nargs="+", choices=list(NAMES), help="instead of all")
    parser.add_argument("--name", default="step", help="of the results")
    parser.add_argument("--peers", default=sys.executable, help="Python of the extra 'bench'")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parse(parser)
    if options.serve:
        serve(options.serve[0], Path(options.serve[1]), options)
        return
    options.only = options.only or [n for n in NAMES if options.low or not is_low(n)]
    with tempfile.TemporaryDirectory() as folder:
        sizes = write_case(Path(folder), options)
        measured, missing, ceilings = measure(Path(folder), options)
    write(options, sizes, measured, missing, ceilings)


def write_case(folder: Path, options: argparse.Namespace) -> Sizes:
    """Write the graph, the inputs and the parameters of both networks to a folder."""
    import meshes

    if options.target.isdigit():
        side = 0.11 * (np.arange(int(options.target)) - int(options.target) / 2)
        target = meshes.Grid.rotated(-162.0, 39.25, side, side)
    else:
        target = meshes.Grid.named(options.target)
    source = meshes.Grid.regular(1.25, 1.0, (-50.0, 20.0, 70.0, 78.0))
    spec = meshes.GraphSpec(mesh_level=options.mesh_level)
    graph = meshes.build_graph(source, target, spec)
    graph.save(folder / "graph.npz")
    random = np.random.default_rng(0)
    widths = np.asarray([options.channels, options.rounds])
    case = inputs(graph, options.batch, random) | {"widths": widths}
    case |= parameters(case, random)
    floats = {k: v.astype(np.float32) for k, v in case.items() if v.dtype == np.float64}
    np.savez(folder / "case.npz", **(case | floats))
    nodes = source.size, graph.mesh.size, target.size
    edges = graph.encode.size, graph.process.size, graph.decode.size
    return Sizes(options.channels, options.rounds, options.batch, *nodes, *edges)


def inputs(graph: Any, batch: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return random fields, and the edges of a graph."""
    source, target = graph.source, graph.target
    case: dict[str, np.ndarray] = {}
    case["x"] = random.normal(size=(source.size, batch, PREDICTORS))
    case["forcings"] = random.normal(size=(batch, FORCINGS))
    case["statics"] = random.normal(size=(target.size, STATICS))
    case["at_mesh"], case["at_target"] = (
        (w.matrix() @ case["x"].reshape(source.size, -1)).reshape(-1, *case["x"].shape[1:])
        for w in (graph.to_mesh, graph.to_target)
    )
    for name in ("encode", "process", "decode"):
        edges = getattr(graph, name)
        case |= {f"{name}/{what}": getattr(edges, what) for what in ("senders", "receivers")}
        case |= {f"{name}/{what}": getattr(edges, what) for what in ("features", "weights")}
    return case


def parameters(case: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return random parameters of both networks."""
    from flax import nnx
    from step_jax import names_of, network

    values = {}
    for kind in ("linear", "mlp"):
        abstract = nnx.eval_shape(lambda kind=kind: network(kind, case))
        for path, leaf in nnx.to_flat_state(nnx.state(abstract)):
            for name, shape in names_of(path, leaf.shape):
                spread = 1.0 / np.sqrt(shape[0]) if len(shape) == 2 else 0.1
                centre = float(name.endswith("scale"))
                values[f"{kind}/{name}"] = random.normal(centre, spread, shape)
    return values


def is_low(name: str) -> bool:
    return name.endswith("-bf16")


def serve(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Answer each line of the input with a step's seconds and the peak of memory."""
    with np.load(folder / "case.npz") as file:
        case = dict(file)
    try:
        if name.partition("-")[0] in ("pyg", "anemoi"):
            from step_torch import peers

            step, wait, loss_and_gradient, peak = peers(name, case)
        else:
            from step_jax import ceilings, device, steps

            if name == "ceilings":
                answer(lambda: ceilings(options.low), {"device": device()})
                return
            step, wait, loss_and_gradient, peak = steps(name, case, folder)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return

    def timed() -> dict[str, float]:
        cpu, clock = time.process_time(), time.perf_counter()
        for _ in range(options.row):
            step()
        wait()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        return {"clock": clock / options.row, "cpu": cpu / options.row, "peak": peak()}

    step()
    wait()
    answer(timed, {"loss and gradient": loss_and_gradient()})


def answer(make: Callable[[], dict[str, Any]], first: dict[str, Any] | None = None) -> None:
    """Print the result of `make` for each line of the input, and of the first one at once."""
    print(json.dumps(make() if first is None else first), flush=True)
    for _ in sys.stdin:
        print(json.dumps(make()), flush=True)


class Worker:
    """An implementation in a process of its own."""

    def __init__(self, python: str, name: str, folder: Path, options: argparse.Namespace) -> None:
        command = [python, __file__, "--serve", name, str(folder), "--row", str(options.row)]
        command += ["--low"] * options.low
        pipe = subprocess.PIPE
        shared = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # one device for all
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=shared)
        self.first = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended early.")
        return json.loads(line)

    def step(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        print("step", file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        self.process.communicate()


def measure(
    folder: Path, options: argparse.Namespace
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str], dict[str, Any]]:
    """Return each implementation's steps, those that are missing and why, and the ceilings."""
    workers, missing = {}, {}
    for name in options.only:
        peer = name.partition("-")[0] in ("pyg", "anemoi")
        worker = Worker(options.peers if peer else sys.executable, name, folder, options)
        print(name, worker.first, flush=True)
        if "missing" in worker.first:
            missing[name] = worker.first["missing"]
        else:
            workers[name] = worker
    first = {name: worker.first["loss and gradient"] for name, worker in workers.items()}
    agree({name: first[name] for name in SAME if name in first}, TOLERANCE)
    agree({name: first[name] for name in (*SAME, *LOW) if name in first}, LOW_TOLERANCE)
    workers["ceilings"] = Worker(sys.executable, "ceilings", folder, options)
    steps: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for repeat in range(options.repeats):
        for name in np.roll(list(workers), repeat):
            steps[name].append(workers[name].step())
        print(*(f"{name} {s[-1].get('clock', 0):.4f}" for name, s in steps.items()), flush=True)
    for worker in workers.values():
        worker.end()
    rates = steps.pop("ceilings")
    best = {what: max(rate[what] for rate in rates) for what in rates[0]}
    return steps, missing, best | workers["ceilings"].first


def agree(results: dict[str, list[float]], tolerance: float) -> None:
    """Refuse losses or gradients of the same mathematics that differ."""
    for name, values in results.items():
        first = next(iter(results))
        if not np.allclose(values, results[first], rtol=tolerance):
            raise SystemExit(f"{name} is not the same mathematics as {first}: {results}")


def multiplications(kind: str, n: Sizes) -> float:
    """Return the number of multiplications of a forward pass in matrix products.

    For graphdown's networks: products that are the same for all samples count once, nodes are
    projected before they are gathered, and linear messages are multiplied after the sum. For the
    others: on every edge and sample, as they are written.
    """
    kind, c, f = kind.partition("-")[0], n.channels, PREDICTORS + FORCINGS
    nodes = n.mesh * (f * c + (2 + 3 * n.rounds) * c * c)
    nodes += n.target * ((c + f + STATICS) * 2 * c + 2 * c * c + c * TARGETS)
    if kind in ("plain", "pyg", "anemoi"):
        edges = n.encode * (5 * c + 3 * c * c + PREDICTORS * c)
        edges += n.process * (4 * c + c * c + n.rounds * 4 * c * c)
        edges += n.decode * (4 * c + 4 * c * c + STATICS * c)
        return n.batch * (nodes + edges)
    nodes += n.source * PREDICTORS * c + n.mesh * c * c  # senders of the encoder and the decoder
    if kind == "mlp":
        once = (5 * n.encode + 4 * (n.process + n.decode)) * c
        once += (2 * n.encode + n.process + 2 * n.decode) * c * c + n.target * STATICS * c
        edges = n.encode + n.decode + 2 * n.rounds * n.process
        nodes += 2 * n.rounds * n.mesh * c * c
        return once + n.batch * (nodes + edges * c * c)
    once = (5 * n.encode + 4 * (n.rounds * n.process + n.decode) + STATICS * n.target) * c
    nodes += (3 * n.rounds * n.mesh + n.mesh + n.target) * c * c
    return once + n.batch * nodes


def moved(kind: str, n: Sizes) -> float:
    """Return the numbers that a step must read and write: states of nodes, and of lasting edges.

    Each is read and written in the forward pass, read again in the backward pass, and its gradient
    read and written. Values that could be computed anew from them are not counted.
    """
    states = (2 + 2 * n.rounds) * n.mesh + 2 * n.target
    if kind.partition("-")[0] != "linear":
        states += n.rounds * n.process
    return 5.0 * n.batch * n.channels * states


def write(
    options: argparse.Namespace,
    sizes: Sizes,
    measured: dict[str, list[dict[str, Any]]],
    missing: dict[str, str],
    ceilings: dict[str, Any],
) -> None:
    columns = {
        name: {key: np.asarray([step[key] for step in steps]) for key in steps[0]}
        for name, steps in measured.items()
    }
    head = (
        "implementation", "step [ms]", "times as fast as plain", "in processor time",
        "peak memory [GiB]", "of plain's", "GFLOP", "floor [ms]", "of the floor's speed",
    )  # fmt: skip
    remark = f", {ceilings['device']}; {ceilings_in_words(ceilings)} in the same run"
    lines = [
        *page_head("A training step", options, remark),
        *explanation(options, sizes),
        *markdown_table(head, table_rows(columns, sizes, ceilings)),
        "",
        *(f"Left out: {NAMES[name]} ({why})." for name, why in missing.items()),
    ]
    steps = {n: {k: v.tolist() for k, v in column.items()} for n, column in columns.items()}
    figures = {"sizes": asdict(sizes), "ceilings": ceilings, "missing": missing, "steps": steps}
    write_results(options, options.name, lines, figures)


def table_rows(
    columns: dict[str, dict[str, np.ndarray]], sizes: Sizes, ceilings: dict[str, Any]
) -> list[tuple[str, ...]]:
    base = columns["plain" if "plain" in columns else next(iter(columns))]
    rows = []
    for name, column in columns.items():
        flop, low = 6.0 * multiplications(name, sizes), is_low(name)
        size, rate = (2.0, "flops-bf16") if low else (4.0, "flops")
        floors = flop / ceilings[rate], size * moved(name, sizes) / ceilings["bytes"]
        floor = max(floors)
        seconds = float(np.median(column["clock"]))
        peak = column["peak"].max()
        rows.append(
            (
                NAMES[name],
                median_and_range(1e3 * column["clock"], 1),
                median_and_range(base["clock"] / column["clock"], 2),
                median_and_range(base["cpu"] / column["cpu"], 2),
                f"{peak / 2**30:.2f}",
                f"{peak / base['peak'].max():.2f}",
                f"{flop / 1e9:.0f}",
                f"{1e3 * floor:.2f}, {'products' if floor == floors[0] else 'memory'}",
                f"{100 * floor / seconds:.0f} %",
            )
        )
    return rows


def explanation(options: argparse.Namespace, sizes: Sizes) -> list[str]:
    return [
        f"{sizes.channels} channels, {sizes.rounds} rounds, batch {sizes.batch}, "
        f"{sizes.target:,} targets, {sizes.mesh:,} mesh nodes, {sizes.source:,} source points; "
        f"{sizes.encode:,} edges into the mesh, {sizes.process:,} in it, {sizes.decode:,} out of "
        "it; 32-bit unless noted. Loss and gradient, no optimiser; median and range of "
        f"{options.repeats} turns of {options.row} steps, each implementation in a process of its "
        "own, whose peak of memory is listed. The floor is the greater of the matrix products' "
        "time at the ceiling (the backward pass counts twice the forward one) and that of the "
        "states' way to memory and back; peers' products are counted as they are written. On "
        "accelerators all multiply 32-bit floats as the device does by default, in fewer bits.",
        "",
        "GraphCast's released code is in no package registry (the package named graphcast there "
        "is another project), so that its mathematics is written plainly on jraph: concatenate, "
        "perceptron, segment sum.",
        "",
    ]


def ceilings_in_words(ceilings: dict[str, Any]) -> str:
    low = f" ({ceilings['flops-bf16'] / 1e9:.0f} in 16 bits)" if "flops-bf16" in ceilings else ""
    rates = f"{ceilings['flops'] / 1e9:.0f} GFLOP/s{low} and {ceilings['bytes'] / 1e9:.0f} GB/s"
    return f"{rates} at best"


if __name__ == "__main__":
    main()
