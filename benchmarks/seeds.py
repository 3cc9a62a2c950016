"""Train an experiment with several seeds and tabulate the test scores of every method.

Example: python benchmarks/seeds.py configs/iberia.yaml --seeds 3

Runs go to <output>-seed<k> and are continued or reused if they exist. The table and the figures go
to benchmarks/results/<experiment file's name>.md and .json.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import yaml
from results_table import machine, markdown_table, mean_and_spread, write_text

import graphdown
from graphdown.baselines import NETWORKS, QUICK
from graphdown.data import load_data
from graphdown.study import GNN, evaluate_run

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
    parser.add_argument(
        "--networks", action="store_true", help="also the baselines that take minutes"
    )
    options = parser.parse_args()
    output = yaml.safe_load(options.experiment.read_text(encoding="utf-8"))["output"]
    parts, seconds = [], []
    for seed in range(options.seeds):
        overrides = [f"seed={seed}", f"output={output}-seed{seed}"]
        if options.networks:
            overrides.append(f"baselines={json.dumps([*QUICK, *NETWORKS])}")
        experiment = graphdown.load_experiment(options.experiment, overrides)
        data = load_data(experiment)
        graphdown.train(experiment, data)
        scores, _ = evaluate_run(experiment.output, data)
        parts.append(scores.assign(seed=seed))
        seconds.append(float(pd.read_csv(f"{experiment.output}/metrics.csv")["seconds"].max()))
    write(options, pd.concat(parts), seconds)


def write(options: argparse.Namespace, scores: pd.DataFrame, seconds: list[float]) -> None:
    command = f"python benchmarks/seeds.py {options.experiment} --seeds {options.seeds}"
    command += " --networks" if options.networks else ""
    lines = [
        f"# {options.experiment.name}: {options.seeds} seeds",
        "",
        f"Command: `{command}`. Machine: {machine()}. Seconds of training per seed: "
        f"{', '.join(f'{s:.0f}' for s in seconds)}.",
        "",
        f"Test period. {GNN}, and baselines that are networks, are mean ± standard deviation over "
        "the seeds; the other baselines have none.",
    ]
    kept = scores[scores["measure"].isin(MEASURES)]
    for (case, variable), part in kept.groupby(["case", "variable"], sort=False):
        lines += ["", f"## {case}, {variable}", "", *table(part)]
    name = options.experiment.stem
    write_text(f"{name}.md", lines)
    rows = json.loads(kept.to_json(orient="records"))
    record = {"command": command, "machine": machine(), "seconds": seconds, "scores": rows}
    write_text(f"{name}.json", [json.dumps(record, indent=1)])
    print("\n".join(lines))


def table(part: pd.DataFrame) -> list[str]:
    measures = [m for m in MEASURES if m in set(part["measure"])]
    units = part.drop_duplicates("measure").set_index("measure")["units"]
    head = ["method", *(f"{m} [{units[m]}]" for m in measures)]
    rows = []
    for method, own in part.groupby("method", sort=False):
        cells = [mean_and_spread(own[own["measure"] == m]["value"].to_numpy()) for m in measures]
        rows.append([str(method), *cells])
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
