"""Hold emulators that learned from few years against a ridge that is tuned and fitted again.

Example: python benchmarks/little_data.py configs/iberia_observed.yaml --seeds 3

The ridge takes all coarse values of all predictors (of precipitation the logarithm) on the day, or
on the days around it as well; penalty and window have the least error on the validation period,
and then it is fitted to training and validation together. Rows of graphdown: its regression alone,
the network alone, both. All are scored on the test period, on the same days and on the cells that
have all of them, weighted by area; intervals (95 %) of the difference are of blocks of ten days,
drawn with each seed in turn. Runs are written to <output>-<row>-seed<k>, and are resumed or reused
if they exist; --rows chooses some of the rows. The tables are written to
benchmarks/results/little_data_<experiment file's name>.md, the figures to .json beside it.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, mean_and_spread, page_head, write_results

import graphdown
from graphdown.config.experiment import Experiment
from graphdown.data import load_data
from graphdown.data.load import ExperimentData
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.variables.catalogue import describe

NOTHING_LEARNED = ("training.steps=1", "training.learning_rate=1e-12", "training.warmup_steps=0")
ROWS: Mapping[str, tuple[str, ...]] = {
    "regression alone": NOTHING_LEARNED,
    "network alone": ("model.target_regression=0",),
    "both": (),
}
WINDOWS = ((0,), (-1, 0, 1), (-2, -1, 0, 1, 2))
PENALTIES = 10.0 ** np.arange(0, 5.01, 0.25)
BLOCK, DRAWS = 10, 2000
Predict = Callable[[np.ndarray], np.ndarray]  # of some days


class Truth(NamedTuple):
    """A target variable on cells that have all days.

    Attributes:
        values: [time, cell].
        days: dates [time].
        cells: which of all these are.
        weight: of each cell, with sum 1.
    """

    values: np.ndarray
    days: pd.DatetimeIndex
    cells: np.ndarray
    weight: np.ndarray


def main() -> None:
    parser = benchmark_parser(__doc__, "experiment", seeds=3, overrides=())
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    options = parse(parser)
    experiment = graphdown.load_experiment(options.experiment, options.overrides)
    data = load_data(experiment)
    errors = {
        "ridge": [{name: ridge_errors(experiment, data, name) for name in experiment.targets}]
    }
    for row in options.rows:
        seeds = 1 if row == "regression alone" else options.seeds  # nothing in it is random
        errors[row] = [run_errors(options, row, seed) for seed in range(seeds)]
    write(options, experiment.targets, errors)


def truth_of(experiment: Experiment, data: ExperimentData, name: str) -> Truth:
    """The variable on the days of all periods."""
    parts = [pair(experiment, data, period)[1][name] for period in ("train", "validation", "test")]
    joined = xr.concat(parts, "time").transpose("time", ...)
    values = joined.values.reshape(joined.sizes["time"], -1).astype(np.float64)
    cells = np.isfinite(values).all(axis=0)
    area = horizontal_grid(data.fine, experiment.targets, "the target").area[cells]
    return Truth(values[:, cells], dates(joined), cells, area / area.sum())


def pair(
    experiment: Experiment, data: ExperimentData, period: str
) -> tuple[xr.Dataset, xr.Dataset]:
    """Paired days of the first source."""
    return data.pair(experiment, next(iter(data.sources)), period)


def dates(field: xr.DataArray | xr.Dataset) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(field["time"].dt.strftime("%Y-%m-%d").values)


def squared_errors(truth: Truth, predicted: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Area-weighted mean squared error of each day."""
    return (predicted - truth.values[days]) ** 2 @ truth.weight


def ridge_errors(experiment: Experiment, data: ExperimentData, name: str) -> np.ndarray:
    """Squared errors of the ridge on the days of the test."""
    truth = truth_of(experiment, data, name)
    part = {
        period: truth.days.isin(dates(pair(experiment, data, period)[1]))
        for period in ("train", "validation", "test")
    }
    least = describe(name).bounds[0]

    def tried(window: Sequence[int], rows: np.ndarray) -> Callable[[float], Predict]:
        table = predictors(experiment, data, window)
        mean, spread = table[rows].mean(axis=0), table[rows].std(axis=0) + 1e-9
        u, s, v = np.linalg.svd((table[rows] - mean) / spread, full_matrices=False)
        level = truth.values[rows].mean(axis=0)
        projected = u.T @ (truth.values[rows] - level)

        def fitted(penalty: float) -> Predict:
            slopes = v.T @ ((s / (s**2 + penalty))[:, None] * projected)
            return lambda days: np.maximum((table[days] - mean) / spread @ slopes + level, least)

        return fitted

    scores = {}
    for window in WINDOWS:
        fitted = tried(window, part["train"])
        for penalty in PENALTIES:
            made = fitted(penalty)(part["validation"])
            scores[window, penalty] = squared_errors(truth, made, part["validation"]).mean()
    window, penalty = min(scores, key=scores.__getitem__)
    both = part["train"] | part["validation"]
    return squared_errors(truth, tried(window, both)(penalty)(part["test"]), part["test"])


def predictors(experiment: Experiment, data: ExperimentData, window: Sequence[int]) -> np.ndarray:
    """Coarse values of a window of days [time, columns]; in gaps those of the day itself."""
    periods = ("train", "validation", "test")
    coarse = xr.concat([pair(experiment, data, p)[0] for p in periods], "time")
    number = dates(coarse).values.astype("datetime64[D]").astype(int)
    columns = []
    for name in experiment.predictors:
        field = coarse[name].transpose("time", ...).values
        values = field.reshape(len(field), -1).astype(np.float64)
        if describe(name).transform == "log1p":
            values = np.log1p(np.maximum(values, 0.0))
        for lag in window:
            row = np.searchsorted(number, number + lag).clip(max=len(number) - 1)
            there = number[row] == number + lag
            columns.append(np.where(there[:, None], values[row], values))
    return np.concatenate(columns, axis=1)


def run_errors(options: argparse.Namespace, row: str, seed: int) -> dict[str, np.ndarray]:
    """Squared errors of a run of graphdown on the days of the test, by variable."""
    base = graphdown.load_experiment(options.experiment, options.overrides)
    output = f"{base.output}-{row.replace(' ', '_')}-seed{seed}"
    overrides = [*options.overrides, *ROWS[row], f"seed={seed}", f"output={output}"]
    experiment = graphdown.load_experiment(options.experiment, overrides)
    data = load_data(experiment)
    emulator = graphdown.train(experiment, data)
    made = emulator.downscale(pair(experiment, data, "test")[0])
    errors = {}
    for name in experiment.targets:
        truth = truth_of(experiment, data, name)
        field = made[name].transpose("time", ...).values
        values = field.reshape(len(field), -1)[:, truth.cells]
        days = np.searchsorted(truth.days, dates(made))
        errors[name] = squared_errors(truth, values, days)
    return errors


def interval(errors: Sequence[np.ndarray], of_ridge: np.ndarray) -> np.ndarray:
    """Bounds of the RMSE's difference from the ridge's, in per cent."""
    random, days = np.random.default_rng(0), len(of_ridge)
    drawn = []
    for draw in range(DRAWS):
        starts = random.integers(0, days - BLOCK + 1, -(-days // BLOCK))
        rows = (starts[:, None] + np.arange(BLOCK)).ravel()
        own = errors[draw % len(errors)][rows].mean()
        drawn.append(100 * (np.sqrt(own / of_ridge[rows].mean()) - 1))
    return np.percentile(drawn, [2.5, 97.5])


def write(
    options: argparse.Namespace,
    targets: Sequence[str],
    errors: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
) -> None:
    """Write the table of each variable, and the figures."""
    lines = page_head("Emulators from few years against a tuned ridge", options)
    figures: dict[str, dict] = {}
    for name in targets:
        of_ridge, table = errors["ridge"][0][name], []
        for row, runs in errors.items():
            each = [run[name] for run in runs]
            rmse = np.sqrt([e.mean() for e in each])
            low, high = interval(each, of_ridge) if row != "ridge" else (0.0, 0.0)
            change = 100 * (rmse.mean() / np.sqrt(of_ridge.mean()) - 1)
            text = "" if row == "ridge" else f"{change:.1f} ({low:.1f} to {high:.1f})"
            table.append((row, str(len(each)), mean_and_spread(rmse), text))
            figures.setdefault(name, {})[row] = {
                "rmse": rmse.tolist(),
                "change": change,
                "interval": [low, high],
            }
        head = ("method", "seeds", f"RMSE of {name} [{describe(name).units}]", "of ridge [%]")
        lines += [f"## {name}", "", *markdown_table(head, table), ""]
    write_results(options, f"little_data_{options.experiment.stem}", lines, {"scores": figures})


if __name__ == "__main__":
    main()
