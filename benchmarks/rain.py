"""Rain by least squares, beside losses, distributions and ensembles for rain.

Same days, same truth, same network but for its head and loss. Methods:
  mse              least squares;
  mae              least absolute error;
  censored         least squares of values cut off at 0;
  cube-root        least squares of the cube root of rain;
  gamma-weighted   the asymmetric loss of Doury et al. 2024;
  bernoulli-gamma  a distribution for each cell and day (DeepESD), members by correlated ranks;
  crps             members by noise, trained with the fair CRPS;
  crps-multiscale  the same, with the CRPS of means over neighbourhoods added;
  ridge, bilinear  baselines.

Example: python benchmarks/rain.py configs/iberia.yaml --seeds 3

Each run has a folder below runs/rain and is resumed or reused if it exists. The table and the
figures are written to benchmarks/results/rain_<name>.*.
"""

import argparse
from collections.abc import Callable, Iterator
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
from graphdown.comparison import downscaling
from graphdown.config.experiment import Experiment
from graphdown.data import ExperimentData, load_data
from graphdown.evaluation import evaluate_ensemble
from meshes import Grid

RUNS = Path("runs/rain")
RAIN = "pr"
NOISE = {"noise": 16}
SCALES_KM = (100.0, 300.0)
CHANGES: dict[str, dict[str, dict]] = {
    "mse": {},
    "mae": {"training": {"losses": {RAIN: "mae"}}},
    "censored": {"training": {"losses": {RAIN: "censored"}}},
    "cube-root": {"model": {"transforms": {RAIN: "cube-root"}}},
    "gamma-weighted": {"training": {"losses": {RAIN: "gamma-weighted"}}},
    "bernoulli-gamma": {"model": {"heads": {RAIN: "bernoulli-gamma"}}},
    "crps": {"model": NOISE, "training": {"losses": {RAIN: "crps"}}},
    "crps-multiscale": {
        "model": NOISE,
        "training": {"losses": {RAIN: "crps"}, "multiscale_km": SCALES_KM},
    },
}
ENSEMBLES = ("bernoulli-gamma", "crps", "crps-multiscale")
BASELINES = {"ridge": Ridge, "bilinear": Bilinear}
METHODS = (*CHANGES, *BASELINES)
TEXTURE = ("p98_bias", "p99_bias", "r01_bias", "sdii_bias", "ralsd")
COLUMNS = {
    "rmse": "RMSE",
    "crps": "CRPS",
    "p98_bias": "P98 bias",
    "p99_bias": "P99 bias",
    "r01_bias": "R01 bias [%]",
    "sdii_bias": "SDII bias",
    "ralsd": "RALSD [dB]",
    "energy_score": "energy score",
    "spread_skill": "spread/skill",
}
SCORED = 3  # members whose texture is measured


def main() -> None:
    parser = benchmark_parser(
        __doc__, "experiment", seeds=3, steps=None, methods=METHODS, overrides=()
    )
    parser.add_argument("--members", type=int, default=10)
    options = parse(parser)
    overrides = [f"targets=[{RAIN}]", *options.overrides]
    overrides += [f"training.steps={options.steps}"] if options.steps else []
    experiment = graphdown.load_experiment(options.experiment, overrides)
    data = load_data(experiment)
    folder = RUNS / f"{options.experiment.stem}-{experiment.training.steps}"
    for method in options.methods:
        for seed in range(options.seeds if method in CHANGES else 1):
            path = folder / "scores" / f"{method}-seed{seed}.json"
            keep_rows(path, score_rows(experiment, data, folder, method, seed, options.members))
    write(options, experiment, folder)


def score_rows(
    experiment: Experiment,
    data: ExperimentData,
    folder: Path,
    method: str,
    seed: int,
    members: int,
) -> Iterator[dict]:
    """Yield the scores of a method on the test period of each source that it was trained on."""
    for source in data.sources:
        coarse, truth = data.pair(experiment, source, "test")
        truth = truth[[RAIN]]
        if method in BASELINES:
            pairs = [(c, f[[RAIN]]) for c, f in [data.pair(experiment, source, "train")]]
            later = [(c, f[[RAIN]]) for c, f in [data.pair(experiment, source, "validation")]]
            fitted = BASELINES[method]().fit(pairs, validation=later)
            scores = single(fitted.predict(coarse)[[RAIN]], truth)
        else:
            downscale = trained(experiment, data, folder, method, seed)(source)
            if method in ENSEMBLES:
                scores = ensemble(downscale(coarse, members=members, seed=1), truth)
            else:
                scores = single(downscale(coarse), truth)
        yield {"method": method, "seed": seed, "source": source, **scores}


def trained(
    experiment: Experiment, data: ExperimentData, folder: Path, method: str, seed: int
) -> Callable[[str], Callable[..., xr.Dataset]]:
    """Return a function from a source to a method's `downscale`; an existing run is reused."""
    experiment = seeded(experiment, folder / f"{method}-seed{seed}", seed, **CHANGES[method])
    emulator = graphdown.train(experiment, data)
    return lambda source: downscaling(experiment, data, emulator, source)


def single(fine: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """Return the scores of one field a day, whose CRPS is its mean absolute error."""
    scores = graphdown.evaluate(fine, truth).isel(variable=0)
    grid = Grid.from_dataset(truth)
    size = np.abs(grid.values(fine[RAIN]) - grid.values(truth[RAIN]))
    error = np.nanmean(size[:, grid.mask], axis=0)
    area = grid.area[grid.mask] * np.isfinite(error)
    crps = float(np.nansum(error * area) / area.sum())
    return {"crps": crps, **{k: float(scores[k]) for k in ("rmse", *TEXTURE)}}


def ensemble(fine: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """Return the scores of an ensemble: RMSE of its mean, texture of single members."""
    together = evaluate_ensemble(fine, truth).isel(variable=0)
    with xr.set_options(keep_attrs=True):
        mean = fine.mean("realization")
    each = [single(fine.isel(realization=m, drop=True), truth) for m in range(SCORED)]
    names = ("crps", "energy_score", "spread_skill")
    return {
        "rmse": float(graphdown.evaluate(mean, truth).isel(variable=0)["rmse"]),
        **{name: float(together[name]) for name in names},
        **{name: float(np.mean([scores[name] for scores in each])) for name in TEXTURE},
        "rank_histogram": [round(float(v), 4) for v in together["rank_histogram"]],
    }


def write(options: argparse.Namespace, experiment: Experiment, folder: Path) -> None:
    """Write the table of all finished scores."""
    rows = kept_rows([folder / "scores"])
    scores = pd.DataFrame(rows)
    lines = [
        *page_head(f"Rain: {experiment.name}", options),
        f"Test period ({' to '.join(experiment.periods.test)}), {experiment.training.steps} steps, "
        "mean ± standard deviation over the finished seeds, mm/day if not noted. Ensembles of "
        f"{options.members}: RMSE of the mean; fair CRPS; biases and RALSD of single members, mean "
        f"of {SCORED}. The CRPS of one field is its mean absolute error. Biases are area means of "
        "|bias| per cell.",
    ]
    for source, part in scores.groupby("source", sort=False):
        lines += ["", f"## {source}", "", *table(part)]
    write_results(options, f"rain_{options.experiment.stem}", lines, {"scores": rows})


def table(part: pd.DataFrame) -> list[str]:
    rows = []
    for method in [m for m in METHODS if m in set(part["method"])]:
        scores = part[part["method"] == method]
        values = (scores[c].dropna().to_numpy() if c in scores else np.zeros(0) for c in COLUMNS)
        rows.append([method, str(scores["seed"].nunique()), *map(mean_and_spread, values)])
    return markdown_table(["method", "seeds", *COLUMNS.values()], rows)


if __name__ == "__main__":
    main()
