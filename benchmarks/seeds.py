"""Train an experiment with several seeds and tabulate the test scores of every method.

Example: python benchmarks/seeds.py configs/iberia.yaml --seeds 3

Runs go to <output>-seed<k> and are continued or reused if they exist. The tables and the figures
go to benchmarks/results/<experiment file's name>.md and .json. A second table tells how far each
method is from graphdown on the same days, with intervals over months (or years, where there are
ten) and seeds.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from results_table import machine, markdown_table, mean_and_spread, write_text

import graphdown
from graphdown.baselines import NETWORKS, QUICK
from graphdown.comparison import GNN, make_cases
from graphdown.data import load_data
from graphdown.evaluation import Case, score_cases
from graphdown.evaluation.bootstrap import DRAWN, bootstrap
from graphdown.transfer.findings import comparison
from graphdown.transfer.report.score_tables import interval_text
from graphdown.transfer.seed_scores import Values

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
KEYS = ("case", "variable", "measure", "method")
COMPARED = tuple(m for m in DRAWN if m != "mean_bias")  # a signed one is not lower where better
DRAWS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--networks", action="store_true", help="also the baselines that take minutes"
    )
    options = parser.parse_args()
    output = yaml.safe_load(options.experiment.read_text(encoding="utf-8"))["output"]
    parts, seconds, drawn = [], [], []
    for seed in range(options.seeds):
        overrides = [f"seed={seed}", f"output={output}-seed{seed}"]
        if options.networks:
            overrides.append(f"baselines={json.dumps([*QUICK, *NETWORKS])}")
        experiment = graphdown.load_experiment(options.experiment, overrides)
        data = load_data(experiment)
        graphdown.train(experiment, data)
        cases = make_cases(experiment, data, graphdown.load(experiment.output))
        parts.append(score_cases(cases).assign(seed=seed))
        drawn.append({(case.name, m): draws(case, m) for case in cases for m in case.predictions})
        seconds.append(float(pd.read_csv(f"{experiment.output}/metrics.csv")["seconds"].max()))
    scores = pd.concat(parts)
    write(options, scores, differences(scores, drawn), seconds)


def draws(case: Case, method: str) -> xr.Dataset:
    reference = case.reference and (case.reference[0][method], case.reference[1])
    return bootstrap(case.predictions[method], case.truth, reference, DRAWS)


def differences(
    scores: pd.DataFrame, drawn: Sequence[Mapping[tuple[str, str], xr.Dataset]]
) -> pd.DataFrame:
    """Return each method's measures minus graphdown's, seed by seed and draw by draw."""
    wanted = scores[scores["measure"].isin(COMPARED)]

    def values(case: str, variable: str, measure: str, method: str) -> Values:
        own = wanted.query(
            "case == @case and variable == @variable and measure == @measure and method == @method"
        )
        resampled = [of[case, method][measure].sel(variable=variable).values for of in drawn]
        return Values(own.sort_values("seed")["value"].to_numpy(), np.stack(resampled))

    others = wanted[wanted["method"] != GNN]
    rows = []
    for row in others[[*KEYS, "units"]].drop_duplicates().to_dict("records"):
        place = [row[key] for key in KEYS]
        difference = values(*place) - values(*place[:-1], GNN)
        rows.append(row | difference.columns("difference"))
    return pd.DataFrame(rows)


def write(
    options: argparse.Namespace,
    scores: pd.DataFrame,
    beside: pd.DataFrame,
    seconds: list[float],
) -> None:
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
        own = beside[(beside["case"] == case) & (beside["variable"] == variable)]
        lines += [
            "",
            f"The same, minus {GNN}, on the same days, with 95 % intervals over months (years, "
            "where there are ten) and seeds:",
            "",
            *table_beside(own),
            "",
            *(
                f"- {measure}: {comparison(rows, rows['method'], GNN)}."
                for measure, rows in own.groupby("measure", sort=False)
            ),
        ]
    name = options.experiment.stem
    write_text(f"{name}.md", lines)
    rows = json.loads(kept.to_json(orient="records"))
    record = {"command": command, "machine": machine(), "seconds": seconds, "scores": rows}
    record["beside"] = json.loads(beside.to_json(orient="records"))
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


def table_beside(part: pd.DataFrame) -> list[str]:
    units = part.drop_duplicates("measure").set_index("measure")["units"]
    rows = []
    for method, own in part.groupby("method", sort=False):
        found = own.set_index("measure")[["difference", "difference_low", "difference_high"]]
        rows.append([str(method), *(interval_text(*found.loc[m]) for m in units.index)])
    return markdown_table(["method", *(f"{m} [{u}]" for m, u in units.items())], rows)


if __name__ == "__main__":
    main()
