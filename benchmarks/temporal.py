"""Downscaling in time: sub-steps of coarse steps by one network, beside interpolation in time.

Same steps, same truth. Methods:
  bilinear         the step's mean by bilinear interpolation, then straight lines in time;
  ridge            the step's mean by a ridge per cell, then straight lines in time;
  window           the same, the ridge on all steps of the network's window;
  by sub-step      bilinear, corrected in each sub-step by a ridge per cell on the window;
  regression       the start of the network: its regression on the mesh nodes around each cell;
  network          the experiment without `model.conserve_mean`;
  conserved        the same with `model.conserve_mean`.

Example: python benchmarks/temporal.py configs/era5_uk_hourly.yaml configs/ncep_6hourly.yaml

Each run has a folder below runs/temporal and is resumed or reused if it exists. The table and the
figures are written to benchmarks/results/temporal.md and .json.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import (
    keep_rows,
    kept_rows,
    markdown_table,
    mean_and_spread,
    page_head,
    seeded,
    write_results,
)

import graphdown
from graphdown.baselines import Bilinear, Ridge
from graphdown.config.experiment import Experiment
from graphdown.data import ExperimentData, load_data
from graphdown.data.reading.rules import Notes
from graphdown.data.time_windows import folded, linear_in_time, unfolded
from graphdown.variables.names import variables_of
from meshes import Grid

RUNS = Path("runs/temporal")
SPATIAL = {"bilinear": Bilinear, "ridge": Ridge}
CHANGES: dict[str, dict[str, dict]] = {
    "regression": {
        "model": {"conserve_mean": False},
        "training": {"steps": 1, "learning_rate": 1e-9},
    },
    "network": {"model": {"conserve_mean": False}},
    "conserved": {"model": {"conserve_mean": True}},
}
SEEDED = ("network", "conserved")
METHODS = (*SPATIAL, "window", "by sub-step", *CHANGES)
COLUMNS = {
    "rmse_total": "RMSE",
    "relative": "relative to the best line",
    "diurnal_cycle_rmse": "diurnal cycle RMSE",
    "mean_rmse": "RMSE of step means",
    "conservation": "conservation error",
}


def main() -> None:
    parser = benchmark_parser(__doc__, "experiments", seeds=3, methods=METHODS, overrides=())
    parser.add_argument("--tune", action="store_true", help="score the validation period alone")
    options = parse(parser)
    periods = ("validation",) if options.tune else ("validation", "test")
    studies = {}
    for path in options.experiments:
        experiment = graphdown.load_experiment(path, options.overrides)
        data = load_data(experiment)
        folder = RUNS / path.stem
        methods = options.methods
        runs = [(m, s) for m in methods for s in range(options.seeds if m in SEEDED else 1)]
        for period in periods:
            for method, seed in runs:
                kept = scores_of(path.stem, period) / f"{method}-seed{seed}.json"
                keep_rows(kept, score_rows(experiment, data, folder, method, seed, period))
        studies[path.stem] = experiment, kept_rows([scores_of(path.stem, periods[-1])])
    if not options.tune:
        write(options, studies)


def scores_of(stem: str, period: str) -> Path:
    return RUNS / stem / f"scores_{period}"


def score_rows(
    experiment: Experiment,
    data: ExperimentData,
    folder: Path,
    method: str,
    seed: int,
    period: str,
) -> Iterator[dict]:
    """Yield the scores of a method in a period for each source."""
    names, spec = list(experiment.targets), experiment.time
    for source in data.sources:
        coarse, steps = paired(data, experiment, source, period)
        truth = unfolded(steps, spec, names)
        if method in CHANGES:
            output = folder / f"{method}-seed{seed}"
            run = seeded(experiment, output, seed, **CHANGES[method])
            emulator = graphdown.train(run, data)
            fine, means = emulator.downscale(coarse), emulator.means().downscale(coarse)
            means = means.assign_coords(time=steps.time)
        else:
            fine, means = baseline(experiment, data, source, method, coarse)
        for name in names:
            scores = graphdown.evaluate(fine[[name]], truth[[name]]).isel(variable=0)
            row = {k: float(scores[k]) for k in ("rmse_total", "diurnal_cycle_rmse")}
            row |= of_means(fine[name], means, steps, name)
            yield {"method": method, "seed": seed, "source": source, "variable": name, **row}


def paired(
    data: ExperimentData, experiment: Experiment, source: str, period: str
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the days of a source and of the target, both with the target's stamps."""
    coarse, steps = data.pair(experiment, source, period)
    return coarse.assign_coords(time=steps.time), steps


def baseline(
    experiment: Experiment, data: ExperimentData, source: str, method: str, coarse: xr.Dataset
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Return the sub-steps by a method without a network, and the step means behind them."""
    names, spec = list(experiment.targets), experiment.time
    predictors = list(experiment.by_steps.predictors)
    predictors = list(variables_of(predictors)) if method in SPATIAL else predictors
    train, later = (paired(data, experiment, source, p) for p in ("train", "validation"))
    if method == "by sub-step":
        line = Bilinear().fit([(train[0], train[1][names])])

        def lines(coarse: xr.Dataset) -> xr.Dataset:
            fine = linear_in_time(line.predict(coarse), spec)
            fine = folded(fine, spec, names, method, Notes()).drop_vars(names)
            return fine.assign_coords(time=coarse.time)

        train, later = ((x, y - lines(x)) for x, y in (train, later))
        ridge = Ridge().fit([train], validation=[later])
        return unfolded(ridge.predict(coarse) + lines(coarse), spec, names), None
    pairs = [(x[predictors], y[names]) for x, y in (train, later)]
    fitted = SPATIAL.get(method, Ridge)().fit(pairs[:1], validation=pairs[1:])
    predicted = fitted.predict(coarse[predictors])
    return linear_in_time(predicted, spec), predicted


def of_means(
    fine: xr.DataArray, means: xr.Dataset | None, steps: xr.Dataset, name: str
) -> dict[str, float]:
    """Return the RMSE of a method's step means, and of its sub-steps' means from these."""
    if means is None:
        return {}
    grid = Grid.from_dataset(steps[[name]])
    weight = grid.area * grid.mask

    def rms(difference: np.ndarray) -> float:
        square = np.nan_to_num(difference.astype(np.float64)) ** 2
        return float(np.sqrt(np.average(square.mean(axis=0), weights=weight)))

    mean, true = grid.values(means[name]), grid.values(steps[name])
    substeps = grid.values(fine).astype(np.float64)
    by_step = substeps.reshape(len(mean), -1, grid.size).mean(axis=1)
    return {"mean_rmse": rms(mean - true), "conservation": rms(by_step - mean)}


def write(options: argparse.Namespace, studies: dict[str, tuple[Experiment, list[dict]]]) -> None:
    """Write the tables of all finished scores."""
    lines = [
        *page_head("Downscaling in time", options, ", shared with other work"),
        "Test periods, mean ± standard deviation over the finished seeds; RMSE over cells and "
        "times, in K. The best line is the better, in validation, of bilinear and ridge, "
        "interpolated linearly in time. The conservation error is the root mean square difference "
        "of the mean over a step's sub-steps from the method's own field of that step.",
    ]
    scores = []
    for stem, (experiment, rows) in studies.items():
        lines += ["", f"## {experiment.name}", "", *about(experiment), ""]
        lines += table(pd.DataFrame(rows), best_line(stem))
        scores += [{"experiment": stem, **row} for row in rows]
    write_results(options, "temporal", lines, {"scores": scores})


def about(experiment: Experiment) -> list[str]:
    time, periods = experiment.time, experiment.periods
    return [
        f"{time.substeps} sub-steps of steps of {time.step_hours} hours, window "
        f"{list(time.window)}. Trained on {' to '.join(periods.train)}, tuned on "
        f"{' to '.join(periods.validation)}, tested on {' to '.join(periods.test)}."
    ]


def best_line(stem: str) -> str:
    """Return the spatial baseline that did best in validation."""
    rows = pd.DataFrame(kept_rows([scores_of(stem, "validation")]))
    lines = rows[rows["method"].isin(SPATIAL)]
    return str(lines.loc[lines["rmse_total"].idxmin(), "method"])


def table(scores: pd.DataFrame, best: str) -> list[str]:
    line = float(scores.loc[scores["method"] == best, "rmse_total"].iloc[0])
    scores = scores.assign(relative=scores["rmse_total"] / line)
    rows = []
    for method in [m for m in METHODS if m in set(scores["method"])]:
        part = scores[scores["method"] == method]
        cells = [mean_and_spread(part[c].dropna().to_numpy()) for c in COLUMNS]
        cells[-1] = small(part["conservation"].dropna().to_numpy())
        rows.append([method, str(part["seed"].nunique()), *cells])
    return markdown_table(["method", "seeds", *COLUMNS.values()], rows)


def small(values: np.ndarray) -> str:
    return f"{values.mean():.1e}" if len(values) else "–"


if __name__ == "__main__":
    main()
