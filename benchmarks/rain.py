"""Rain by least squares, beside the losses, distributions and ensembles that are made for it.

Same days, same truth, same network but for its head and loss. Methods:
  mse              least squares;
  mae              least absolute error;
  censored         least squares of what is cut at 0;
  cube-root        least squares of the cube root of rain;
  gamma-weighted   the asymmetric loss of Doury et al. 2024;
  bernoulli-gamma  a distribution for each cell and day (DeepESD), members by correlated ranks;
  crps             members by noise, trained with the fair CRPS;
  crps-multiscale  the same, with the CRPS of means over neighbourhoods added;
  ridge, bilinear  baselines.

Example: python benchmarks/rain.py configs/iberia.yaml --seeds 3

Each run goes to a folder of its own below runs/rain and is continued or reused if it exists. The
table and the figures go to benchmarks/results/rain_<name>.*.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from results_table import (
    command_of,
    keep_rows,
    kept_rows,
    machine,
    markdown_table,
    mean_and_spread,
    seeded,
    write_study,
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="instead of the experiment's")
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", dest="overrides")
    options = parser.parse_args()
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
            made = trained(experiment, data, folder, method, seed)
            if method in ENSEMBLES:
                scores = ensemble(made(source)(coarse, members=members, seed=1), truth)
            else:
                scores = single(made(source)(coarse), truth)
        yield {"method": method, "seed": seed, "source": source, **scores}


def trained(
    experiment: Experiment, data: ExperimentData, folder: Path, method: str, seed: int
) -> Callable[[str], Callable[..., xr.Dataset]]:
    """Return what gives the `downscale` of a method for a source; its run is reused if there."""
    experiment = seeded(experiment, folder / f"{method}-seed{seed}", seed, **CHANGES[method])
    emulator = graphdown.train(experiment, data)
    return lambda source: downscaling(experiment, data, emulator, source)


def single(made: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """Return the scores of one field a day, whose CRPS is its mean absolute error."""
    scores = graphdown.evaluate(made, truth).isel(variable=0)
    grid = Grid.from_dataset(truth)
    size = np.abs(grid.values(made[RAIN]) - grid.values(truth[RAIN]))
    error = np.nanmean(size[:, grid.mask], axis=0)
    area = grid.area[grid.mask] * np.isfinite(error)
    crps = float(np.nansum(error * area) / area.sum())
    return {"crps": crps, **{k: float(scores[k]) for k in ("rmse", *TEXTURE)}}


def ensemble(made: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """Return the scores of an ensemble: RMSE of its mean, texture of single members."""
    together = evaluate_ensemble(made, truth).isel(variable=0)
    with xr.set_options(keep_attrs=True):
        mean = made.mean("realization")
    each = [single(made.isel(realization=m, drop=True), truth) for m in range(SCORED)]
    names = ("crps", "energy_score", "spread_skill")
    return {
        "rmse": float(graphdown.evaluate(mean, truth).isel(variable=0)["rmse"]),
        **{name: float(together[name]) for name in names},
        **{name: float(np.mean([own[name] for own in each])) for name in TEXTURE},
        "rank_histogram": [round(float(v), 4) for v in together["rank_histogram"]],
    }


def write(options: argparse.Namespace, experiment: Experiment, folder: Path) -> None:
    """Write the table of all scores there are."""
    rows = kept_rows([folder / "scores"])
    scores = pd.DataFrame(rows)
    command = command_of("rain.py", options, METHODS)
    command += f" --members {options.members}" if options.members != 10 else ""
    command += f" --set {' '.join(options.overrides)}" if options.overrides else ""
    lines = [
        f"# Rain: {experiment.name}",
        "",
        f"Command: `{command}`. Machine: {machine()}.",
        "",
        f"Test period ({' to '.join(experiment.periods.test)}), {experiment.training.steps} steps, "
        "mean ± standard deviation over the seeds there are, mm/day if not said. Of ensembles of "
        f"{options.members}: RMSE of the mean; fair CRPS; biases and RALSD of single members, mean "
        f"of {SCORED}. The CRPS of one field is its mean absolute error. Biases are area means of "
        "|bias| per cell.",
    ]
    for source, part in scores.groupby("source", sort=False):
        lines += ["", f"## {source}", "", *table(part)]
    write_study(f"rain_{options.experiment.stem}", lines, command, rows)
    print("\n".join(lines))


def table(part: pd.DataFrame) -> list[str]:
    rows = []
    for method in [m for m in METHODS if m in set(part["method"])]:
        mine = part[part["method"] == method]
        held = (mine[c].dropna().to_numpy() if c in mine else np.zeros(0) for c in COLUMNS)
        rows.append([method, str(mine["seed"].nunique()), *map(mean_and_spread, held)])
    return markdown_table(["method", "seeds", *COLUMNS.values()], rows)


if __name__ == "__main__":
    main()
