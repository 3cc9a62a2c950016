"""Train an experiment with several seeds and tabulate the test scores of every method.

Example: python benchmarks/seeds.py configs/iberia.yaml --seeds 3

Runs are written to <output>-seed<k> and are resumed or reused if they exist. The tables and the
figures are written to benchmarks/results/<experiment file's name>.md and .json. A second table
lists each method's difference from graphdown on the same days, with intervals over months (or
years, where there are ten) and seeds.
"""

import argparse
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, mean_and_spread, page_head, write_results

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
    parser = benchmark_parser(__doc__, "experiment", seeds=3, overrides=())
    parser.add_argument(
        "--networks", action="store_true", help="also the baselines that take minutes"
    )
    options = parse(parser)
    output = graphdown.load_experiment(options.experiment, options.overrides).output
    parts, seconds, drawn = [], [], []
    for seed in range(options.seeds):
        overrides = [*options.overrides, f"seed={seed}", f"output={output}-seed{seed}"]
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
    compared = scores[scores["measure"].isin(COMPARED)]

    def values(case: str, variable: str, measure: str, method: str) -> Values:
        rows = compared.query(
            "case == @case and variable == @variable and measure == @measure and method == @method"
        )
        resampled = [of[case, method][measure].sel(variable=variable).values for of in drawn]
        return Values(rows.sort_values("seed")["value"].to_numpy(), np.stack(resampled))

    others = compared[compared["method"] != GNN]
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
    times = ". Seconds of training per seed: " + ", ".join(f"{s:.0f}" for s in seconds)
    lines = [
        *page_head(f"{options.experiment.name}: {options.seeds} seeds", options, times),
        f"Test period. {GNN}, and baselines that are networks, are mean ± standard deviation over "
        "the seeds; the other baselines have none.",
    ]
    kept = scores[scores["measure"].isin(MEASURES)]
    for (case, variable), part in kept.groupby(["case", "variable"], sort=False):
        lines += ["", f"## {case}, {variable}", "", *table(part)]
        differences = beside[(beside["case"] == case) & (beside["variable"] == variable)]
        lines += [
            "",
            f"The same, minus {GNN}, on the same days, with 95 % intervals over months (years, "
            "where there are ten) and seeds:",
            "",
            *table_beside(differences),
            "",
            *(
                f"- {measure}: {comparison(rows, rows['method'], GNN)}."
                for measure, rows in differences.groupby("measure", sort=False)
            ),
        ]
    tables = {"scores": kept, "beside": beside}
    rows = {name: json.loads(part.to_json(orient="records")) for name, part in tables.items()}
    write_results(options, options.experiment.stem, lines, {"seconds": seconds, **rows})


def table(part: pd.DataFrame) -> list[str]:
    measures = [m for m in MEASURES if m in set(part["measure"])]
    units = part.drop_duplicates("measure").set_index("measure")["units"]
    head = ["method", *(f"{m} [{units[m]}]" for m in measures)]
    rows = []
    for method, scores in part.groupby("method", sort=False):
        values = (scores[scores["measure"] == m]["value"].to_numpy() for m in measures)
        cells = map(mean_and_spread, values)
        rows.append([str(method), *cells])
    return markdown_table(head, rows)


def table_beside(part: pd.DataFrame) -> list[str]:
    units = part.drop_duplicates("measure").set_index("measure")["units"]
    rows = []
    for method, scores in part.groupby("method", sort=False):
        ends = scores.set_index("measure")[["difference", "difference_low", "difference_high"]]
        rows.append([str(method), *(interval_text(*ends.loc[m]) for m in units.index)])
    return markdown_table(["method", *(f"{m} [{u}]" for m, u in units.items())], rows)


if __name__ == "__main__":
    main()
