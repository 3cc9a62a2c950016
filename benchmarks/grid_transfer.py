"""Score emulators on source grids that they never saw, beside specialists for each grid.

Same days, same truth, many source grids. Methods:
  random       graphdown trained on random grids;
  specialist   graphdown trained on the grid that it is applied to;
  random-plain random without EOFs: the network alone, which corrects an interpolation;
  random-bare, specialist-bare, plain-bare   these without corrections by innovations;
  single       random-bare trained on one grid (regular, 1.5 degrees);
  single-plain the same without EOFs;
  graphcast    single-plain with GraphCast's encoder (sums, lengths in the longest edge);
  unet         U-Net on predictors regridded to its box, trained on the one grid;
  unet-random  the same, trained on random grids;
  ridge        ridge regression per target cell, fitted on the grid that it is applied to;
  eofs         the estimate that graphdown corrects, no network;
  bilinear     interpolation.

Example: python benchmarks/grid_transfer.py configs/iberia_grids.yaml --seeds 3

Each run has a folder below runs/grid_transfer and is resumed or reused if it exists. The table, the
figures and a picture are written to benchmarks/results/grid_transfer_<name>.*.
"""

import argparse
import dataclasses
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
from graphdown.baselines import Bilinear, Ridge, UNet
from graphdown.config.experiment import Experiment
from graphdown.data import ExperimentData, load_data
from graphdown.data.grid_bank import GridBank, make_bank
from meshes import RandomGrids

RUNS = Path("runs/grid_transfer")
SINGLE = RandomGrids(1, (1.5, 1.5), ("regular",), seed=11)
TESTS = {
    "rotated 0.8": RandomGrids(1, (0.8, 0.8), ("rotated",), seed=101),
    "regular 1.2": RandomGrids(1, (1.2, 1.2), ("regular",), seed=102),
    "icosahedral 1.8": RandomGrids(1, (1.8, 1.8), ("icosahedral",), seed=103),
    "gaussian 2.6": RandomGrids(1, (2.6, 2.6), ("gaussian",), seed=104),
}
PLAIN = ("random-plain", "plain-bare", "single-plain", "graphcast")
SPECIALISTS = ("specialist", "specialist-bare")
BARE = ("random-bare", "specialist-bare", "plain-bare", "single", "single-plain", "graphcast")
SEEDED = ("random", "random-bare", "single", *SPECIALISTS, *PLAIN, "unet", "unet-random")
METHODS = (*SEEDED, "ridge", "eofs", "bilinear")
RIVALS = ("single", "graphcast", "unet", "unet-random", "ridge", "eofs")
MEAN, WORST = 1.03, 1.08  # goals of RMSE over the specialists'
UNET_GRIDS = 12

Predict = Callable[[xr.Dataset], xr.Dataset]
Pair = tuple[xr.Dataset, xr.Dataset]


@dataclasses.dataclass(frozen=True)
class Study:
    """An experiment, its fields, and where its runs go."""

    experiment: Experiment
    data: ExperimentData
    folder: Path

    @property
    def scores(self) -> Path:
        return self.folder / "scores"

    @property
    def source(self) -> str:
        return next(iter(self.data.sources))

    def bank(self, spec: RandomGrids) -> GridBank:
        return make_bank(self.data.sources[self.source], spec, "the source")

    def pair(self, bank: GridBank, period: str, grid: int = 0) -> Pair:
        coarse, fine = self.data.fields(self.experiment, self.source, period)
        return bank.upscale(coarse, grid), fine[list(self.experiment.targets)]

    def train(
        self, name: str, seed: int, grids: RandomGrids | None = None, **changes: dict
    ) -> Predict:
        """Return a trained emulator's `downscale`; the run is reused if it exists."""
        experiment, data = self.experiment, self.data
        if grids is not None:
            sources = (dataclasses.replace(experiment.data.sources[0], grids=grids),)
            spec = dataclasses.replace(experiment.data, sources=sources)
            experiment = dataclasses.replace(experiment, data=spec)
            data = dataclasses.replace(data, banks={self.source: self.bank(grids)})
        output = self.folder / f"{name.replace(' ', '-')}-seed{seed}"
        return graphdown.train(seeded(experiment, output, seed, **changes), data).downscale

    def unet(self, seed: int, banks: list[tuple[GridBank, int]]) -> Predict:
        pairs = [self.pair(bank, "train", grid) for bank, grid in banks]
        validation = [self.pair(bank, "validation", grid) for bank, grid in banks]
        return UNet(seed=seed).fit(pairs, validation=validation).predict


def main() -> None:
    parser = benchmark_parser(
        __doc__, "experiment", seeds=3, steps=None, methods=METHODS, overrides=()
    )
    options = parse(parser)
    steps = [f"training.steps={options.steps}"] if options.steps else []
    experiment = graphdown.load_experiment(options.experiment, [*options.overrides, *steps])
    folder = RUNS / f"{options.experiment.stem}-{experiment.training.steps}"
    study = Study(experiment, load_data(experiment), folder)
    for method in options.methods:
        for seed in range(options.seeds if method in SEEDED else 1):
            path = study.scores / f"{method}-seed{seed}.json"
            keep_rows(path, score_rows(study, method, seed))
    write(options, study)


def score_rows(study: Study, method: str, seed: int) -> Iterator[dict]:
    """Yield the scores of one method on every test grid."""
    for grid, predict in predictions(study, method, seed):
        coarse, truth = study.pair(study.bank(TESTS[grid]), "test")
        scores = graphdown.evaluate(predict(coarse)[list(truth.data_vars)], truth)
        for variable in truth.data_vars:
            value = float(scores["rmse"].sel(variable=variable))
            row = {"method": method, "seed": seed, "grid": grid, "variable": str(variable)}
            yield {**row, "rmse": value}


def predictions(study: Study, method: str, seed: int) -> Iterator[tuple[str, Predict]]:
    """Yield each test grid and the method that is applied to it."""
    if method in (*SPECIALISTS, "ridge"):
        for grid, spec in TESTS.items():
            if method in SPECIALISTS:
                yield grid, study.train(f"{method} {grid}", seed, spec, model=model(method))
            else:
                bank = study.bank(spec)
                later = [study.pair(bank, "validation")]
                yield grid, Ridge().fit([study.pair(bank, "train")], validation=later).predict
        return
    predict = shared(study, method, seed)
    for grid in TESTS:
        yield grid, predict


def model(method: str) -> dict[str, int]:
    """Return what a method changes of the model."""
    bare = {"innovation_rounds": 0} if method in BARE else {}
    return bare | ({"eofs": 0} if method in PLAIN else {})


def shared(study: Study, method: str, seed: int) -> Predict:
    """Return a method that is the same for all grids."""
    if method in ("random", "random-bare", "single", *PLAIN):
        grids = SINGLE if method in ("single", "single-plain", "graphcast") else None
        encoder = {"encoder": "graphcast"} if method == "graphcast" else {}
        return study.train(method, seed, grids, graph=encoder, model=model(method))
    if method == "eofs":
        return study.train("eofs", seed, training={"steps": 1, "learning_rate": 1e-12})
    single = study.bank(SINGLE)
    if method == "unet":
        return study.unet(seed, [(single, 0)])
    if method == "unet-random":
        bank = study.data.banks[study.source]
        return study.unet(seed, [(bank, k) for k in range(UNET_GRIDS)])
    return Bilinear().fit([study.pair(single, "train")]).predict


def write(options: argparse.Namespace, study: Study) -> None:
    """Write the table and the picture of all finished scores."""
    rows = kept_rows([study.scores])
    scores = pd.DataFrame(rows)
    lines = [
        *page_head(f"Unseen source grids: {study.experiment.name}", options),
        f"RMSE on the test period ({' to '.join(study.experiment.periods.test)}); mean ± standard "
        "deviation over the finished seeds. No method but the specialists and the ridge saw any of "
        "these grids. Spacings in degrees.",
    ]
    for variable, part in scores.groupby("variable", sort=False):
        lines += ["", f"## {variable}", "", *table(part), "", *reading(part)]
    name = f"grid_transfer_{options.experiment.stem}"
    write_results(options, name, lines, {"scores": rows})
    picture(scores, options.output / f"{name}.png")


def table(part: pd.DataFrame) -> list[str]:
    rows = []
    present = set(part["method"])
    trained_there = next((name for name in SPECIALISTS if name in present), "")
    specialists = part[part["method"] == trained_there].groupby("grid")["rmse"].mean()
    for method in [m for m in METHODS if m in present]:
        scores = part[part["method"] == method]
        by_grid = scores.groupby("grid")["rmse"]
        cells = [mean_and_spread(by_grid.get_group(grid).to_numpy()) for grid in TESTS]
        ratio = (by_grid.mean() / specialists).reindex(list(TESTS))
        shown = f"{ratio.mean():.3f}, worst {ratio.max():.3f}" if len(specialists) else "–"
        rows.append([method, str(scores["seed"].nunique()), *cells, shown])
    return markdown_table(["method", "seeds", *TESTS, "to specialist"], rows)


def reading(part: pd.DataFrame) -> list[str]:
    """Return sentences on the goals that emulators of random grids reach or miss."""
    by = part.groupby(["method", "grid"])["rmse"].mean().unstack()[list(TESTS)]
    if "random" not in by.index:
        return []
    lines = []
    if "specialist" in by.index:
        ratio = by.loc["random"] / by.loc["specialist"]
        for what, value, goal in (("mean", ratio.mean(), MEAN), ("worst", ratio.max(), WORST)):
            verdict = "reached" if value <= goal else "missed"
            lines.append(
                f"- random over specialist, {what}: {value:.3f}, goal at most {goal}: {verdict}."
            )
    for rival in [m for m in RIVALS if m in by.index]:
        behind = by.columns[by.loc["random"] >= by.loc[rival]]
        verdict = f"not on {', '.join(behind)}" if len(behind) else "on every grid"
        lines.append(f"- random better than {rival}: {verdict}.")
    return lines


def picture(scores: pd.DataFrame, path: Path) -> None:
    """Draw RMSE against source spacing, one line for each method."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    spacing = [spec.spacing[0] for spec in TESTS.values()]
    units = {"tas": "K", "pr": "mm day$^{-1}$"}
    variables, colours = list(dict.fromkeys(scores["variable"])), plt.get_cmap("tab20")
    figure, axes = plt.subplots(1, len(variables), figsize=(1.5 + 5.5 * len(variables), 4.2))
    for axis, variable in zip(np.atleast_1d(axes), variables, strict=True):
        part = scores[scores["variable"] == variable]
        for number, method in enumerate(METHODS):
            mean = part[part["method"] == method].groupby("grid")["rmse"].mean()
            if len(mean):
                values = mean.reindex(list(TESTS))
                style = "--" if method in (*SPECIALISTS, "ridge") else "-"
                axis.plot(spacing, values, style, marker="o", label=method, color=colours(number))
        axis.set(title=variable, xlabel="source spacing [degrees]", yscale="log")
        axis.set_ylabel(f"RMSE [{units.get(variable, '1')}]")
        axis.grid(alpha=0.3, which="both")
    np.atleast_1d(axes)[-1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
