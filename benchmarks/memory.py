"""Measure the memory that a training step takes, beside the bytes that it cannot do without.

Example: python benchmarks/memory.py

The network of configs/demo.yaml with one size changed at a time, each case in a process of its
own. On a CPU the memory is the process's peak in the steps after the first, minus its memory
between steps, and beside it that in the first, which compiles; on an accelerator the device's peak.
The floor: parameters with their gradient, both moments and the average; the batch; and the states
of nodes that the backward pass needs, in and between the rounds.
The table is written to benchmarks/results/memory.md, the figures to memory.json.
"""

import argparse
import ctypes
import json
from pathlib import Path
from typing import Any

from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

STEPS = 3
COPIES = 5  # of the parameters: themselves, gradient, two moments, average
CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "64 x 64": {"side": 64},
    "256 x 256": {"side": 256},
    "batch 2": {"batch": 2},
    "batch 32": {"batch": 32},
    "12 rounds": {"rounds": 12},
    "mlp": {"messages": "mlp"},
    "mlp, 12 rounds": {"messages": "mlp", "rounds": 12},
    "bfloat16": {"precision": "bfloat16"},
}


def main() -> None:
    parser = benchmark_parser(__doc__, side=128)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    options = parse(parser)
    if options.measure:
        name, side = options.measure
        print(json.dumps(measure(**{"side": int(side)} | CASES[name])))
        return
    rows = []
    for name in options.only:
        rows.append({"case": name, **measure_in_child(__file__, name, options.side)})
        print(rows[-1], flush=True)
    write(options, rows)


def measure(side: int, batch: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the bytes that the steps took and those of the floor."""
    import dataclasses

    import jax
    from training_case import TrainingCase

    case = TrainingCase(side, **changes)
    if batch:
        case.spec = dataclasses.replace(case.spec, batch_size=batch)
    mapped, state, constants = case.mapped("shard_map", 1)
    days = mapped.split(case.batch(0, slice(None)))
    jax.block_until_ready((state, constants, days))
    before = forget_peak()
    state, _ = mapped(state, days, constants)
    jax.block_until_ready(state)
    first, between = process_peak() - before, forget_peak()
    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(state.params))
    fields = sum(leaf.nbytes for leaf in jax.tree.leaves((days.source, days.fine)))
    for _ in range(STEPS):
        state, _ = mapped(state, days, constants)
    jax.block_until_ready(state)
    stats = jax.local_devices()[0].memory_stats() or {}
    model, size = case.model, case.spec.batch_size
    states = (2 + 2 * model.rounds) * case.mesh * model.channels
    states += 2 * case.nodes[1] * (model.target_channels or model.channels)
    if model.messages == "mlp":
        states += model.rounds * case.edges * model.channels
    width = 2 if model.precision == "bfloat16" else 4
    return {
        "device": jax.local_devices()[0].device_kind,
        "targets": case.nodes[1],
        "batch": size,
        "taken": stats.get("peak_bytes_in_use") or process_peak() - between,
        "compiling": first,
        "floor": COPIES * parameters + fields + width * size * states,
    }


def forget_peak() -> int:
    """Reset the process's peak of memory; return its present memory in bytes."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return process_peak()


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    gib = 2.0**30
    first = rows[0]["taken"]
    table = [
        [
            row["case"],
            f"{row['targets']:,}",
            f"{row['batch']}",
            f"{row['taken'] / gib:.2f}",
            f"{row['taken'] / first:.2f}",
            f"{row['compiling'] / gib:.2f}",
            f"{row['floor'] / gib:.3f}",
            f"{100 * row['floor'] / row['taken']:.0f} %",
            f"{row['taken'] / row['batch'] / row['targets'] / 1e3:.1f}",
        ]
        for row in rows
    ]
    head = (
        "case",
        "targets",
        "batch",
        "taken [GiB]",
        "of the first",
        "first step [GiB]",
        "floor [GiB]",
    )
    head += ("floor of taken", "kB a target and day")
    lines = [
        *page_head("The memory of a training step", options, f", {rows[0]['device']}"),
        f"The network of configs/demo.yaml, {options.side} x {options.side} target cells and a "
        f"batch of 8 unless noted; the largest over {STEPS} steps beyond the process's memory "
        "between them (graph, batch, state), and in the first step, which compiles. The floor "
        "counts parameters with gradient, moments and average, the batch, and the states of nodes "
        "and edges that the backward pass needs.",
        "",
        *markdown_table(head, table),
    ]
    write_results(options, "memory", lines, {"scores": rows})


if __name__ == "__main__":
    main()
