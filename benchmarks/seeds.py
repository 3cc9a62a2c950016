"""Train an experiment with several seeds and tabulate the test scores of every method.

Example: python benchmarks/seeds.py configs/iberia.yaml --seeds 3

Runs go to <output>-seed<k> and are continued or reused if they exist. The table and the figures go
to benchmarks/results/<experiment file's name>.md and .json.
"""

import argparse
import json
import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import graphdown
from graphdown.data import load_data
from graphdown.study import GNN, evaluate_run

RESULTS = Path(__file__).resolve().parent / "results"
MEASURES = (
    "rmse",
    "rmse_total",
    "bias",
    "mean_bias",
    "p98_bias",
    "wasserstein1",
    "signal_mean_bias",
    "signal_rmse",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    output = yaml.safe_load(options.experiment.read_text(encoding="utf-8"))["output"]
    parts, seconds = [], []
    for seed in range(options.seeds):
        overrides = [f"seed={seed}", f"output={output}-seed{seed}"]
        experiment = graphdown.load_experiment(options.experiment, overrides)
        data = load_data(experiment)
        graphdown.train(experiment, data)
        scores, _ = evaluate_run(experiment.output, data)
        parts.append(scores.assign(seed=seed))
        seconds.append(float(pd.read_csv(f"{experiment.output}/metrics.csv")["seconds"].max()))
    write(options, pd.concat(parts), seconds)


def write(options: argparse.Namespace, scores: pd.DataFrame, seconds: list[float]) -> None:
    command = f"python benchmarks/seeds.py {options.experiment} --seeds {options.seeds}"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        f"# {options.experiment.name}: {options.seeds} seeds",
        "",
        f"Command: `{command}`. Machine: {machine}. Seconds of training per seed: "
        f"{', '.join(f'{s:.0f}' for s in seconds)}.",
        "",
        f"Test period. {GNN}, and baselines that are networks, are mean ± standard deviation over "
        "the seeds; the other baselines have none.",
    ]
    kept = scores[scores["measure"].isin(MEASURES)]
    for (case, variable), part in kept.groupby(["case", "variable"], sort=False):
        lines += ["", f"## {case}, {variable}", "", *table(part)]
    RESULTS.mkdir(exist_ok=True)
    name = RESULTS / options.experiment.stem
    name.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = json.loads(kept.to_json(orient="records"))
    record = {"command": command, "machine": machine, "seconds": seconds, "scores": rows}
    name.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))


def table(part: pd.DataFrame) -> list[str]:
    measures = [m for m in MEASURES if m in set(part["measure"])]
    units = part.drop_duplicates("measure").set_index("measure")["units"]
    head = " | ".join(f"{m} [{units[m]}]" for m in measures)
    lines = [f"| method | {head} |", "|---" * (len(measures) + 1) + "|"]
    for method, own in part.groupby("method", sort=False):
        cells = [cell(own[own["measure"] == m]["value"].to_numpy()) for m in measures]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def cell(values: np.ndarray) -> str:
    if len(values) == 0:
        return "–"
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 and values.std() > 0 else ""
    return f"{values.mean():.3f}{spread}"


if __name__ == "__main__":
    main()
