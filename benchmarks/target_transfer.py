"""Score emulators on targets that they were not trained on, beside those trained there.

No embedding, regression or EOFs bind the networks to their target. From one coarse source:
  another region     trained on one half of the domain, applied to the other half;
  coarser            trained on the fine target, applied to the means of 2 x 2 cells;
  finer              trained on those means, applied to the fine target;
  stations           trained on the fine target, applied to some of its land cells as points, if
                     the network makes no corrections by innovations, which need cells.
They are compared with graphdown trained on the target itself, with interpolation, and with methods
that learn from the target: a mean bias and a ridge regression per cell.

Example: python benchmarks/target_transfer.py configs/iberia.yaml configs/world_grids.yaml --seeds 3

Each run has a folder below runs/target_transfer and is resumed or reused if it exists. The table
and the figures are written to benchmarks/results/target_transfer.*.
"""

import argparse
import dataclasses
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
from graphdown.baselines import Bilinear, LapseRate, MeanBias, Ridge
from graphdown.config.experiment import Experiment
from graphdown.data import ExperimentData, load_data
from graphdown.data.load import upscaled
from graphdown.emulator.emulator import Emulator
from graphdown.model.spec import BINDING
from meshes import Grid, bilinear

RUNS = Path("runs/target_transfer")
FREE = tuple(f"model.{name}=0" for name in BINDING)
ONE_GRID = (  # of the embedded world: the same source in every step
    "data.sources=[{name: perfect, view: perfect, grids: {count: 1, spacing: [1.2, 1.2], "
    "kinds: [regular], seed: 11}}]"
)
TARGETS = ("west", "east", "fine", "means of 2 x 2")
TRANSFERS = {"west": ("east",), "east": ("west",), "fine": ("means of 2 x 2",)}
TRANSFERS |= {"means of 2 x 2": ("fine",)}
THERE = "graphdown, trained there"
STATIONS, ALONE = 60, 3
BASELINES = (Bilinear, LapseRate, MeanBias, Ridge)


@dataclasses.dataclass(frozen=True)
class Study:
    """An experiment, its data with each target, and where its runs go."""

    experiment: Experiment
    targets: dict[str, ExperimentData]
    folder: Path

    @property
    def scores(self) -> Path:
        return self.folder / "scores"

    @property
    def source(self) -> str:
        return self.experiment.data.sources[0].name

    def pair(self, target: str, period: str) -> tuple[xr.Dataset, xr.Dataset]:
        coarse, fine = self.targets[target].pair(self.experiment, self.source, period)
        return coarse, fine[list(self.experiment.targets)]

    def train(self, target: str, seed: int) -> Emulator:
        output = self.folder / f"{target.replace(' ', '-')}-seed{seed}"
        return graphdown.train(seeded(self.experiment, output, seed), self.targets[target])


def main() -> None:
    parser = benchmark_parser(__doc__, "experiments", seeds=3, steps=300, overrides=())
    parser.add_argument("--trained", nargs="+", choices=TARGETS, default=TARGETS)
    options = parse(parser)
    studies = [make_study(path, options) for path in options.experiments]
    for study in studies:
        score(study, "baselines", 0, baseline_rows(study))
    for seed in range(options.seeds):
        for study in studies:
            for trained in options.trained:
                score(study, trained, seed, network_rows(study, trained, seed))
    write(options, studies)


def make_study(path: Path, options: argparse.Namespace) -> Study:
    overrides = [*FREE, f"training.steps={options.steps}", "training.validate_every=100"]
    overrides += [ONE_GRID] if "world" in path.stem else []
    overrides += options.overrides
    experiment = graphdown.load_experiment(path, overrides)
    data = load_data(experiment)
    (source,) = data.sources
    coarse = data.sources[source]
    if source in data.banks:
        coarse = data.banks[source].upscale(coarse, 0)
    _, x = Grid.from_dataset(data.fine).dims
    half = data.fine.sizes[x] // 2
    west, east = slice(0, half), slice(half, 2 * half)
    shapes = {
        "west": lambda ds: ds.isel({x: west}),
        "east": lambda ds: ds.isel({x: east}),
        "fine": lambda ds: ds,
        "means of 2 x 2": lambda ds: upscaled(ds, 2),
    }
    names = list(experiment.targets)
    targets = {
        name: ExperimentData(shape(data.fine[names]), shape(data.statics), {source: coarse}, {})
        for name, shape in shapes.items()
    }
    return Study(experiment, targets, RUNS / f"{path.stem}-{options.steps}")


def score(study: Study, name: str, seed: int, rows: Iterator[dict]) -> None:
    """Write the rows of scores, unless that has been done."""
    path = study.scores / f"{name.replace(' ', '-')}-seed{seed}.json"
    experiment = study.experiment.name
    keep_rows(path, ({"experiment": experiment, **row, "seed": seed} for row in rows))


def baseline_rows(study: Study) -> Iterator[dict]:
    for target, data in study.targets.items():
        pairs, later = [study.pair(target, "train")], [study.pair(target, "validation")]
        coarse, truth = study.pair(target, "test")
        for kind in BASELINES:
            method = kind().fit(pairs, data.statics, validation=later)
            fitted = f"{method.name}, fitted there" if method.source_bound else method.name
            yield from rmse_rows(target, fitted, method.predict(coarse), truth)


def network_rows(study: Study, trained: str, seed: int) -> Iterator[dict]:
    emulator = study.train(trained, seed)
    coarse, truth = study.pair(trained, "test")
    fine = emulator.downscale(coarse)[list(truth.data_vars)]
    yield from rmse_rows(trained, THERE, fine, truth)
    for target in TRANSFERS[trained]:
        data, (_, truth) = study.targets[target], study.pair(target, "test")
        grid = Grid.from_dataset(data.fine)
        there = emulator.onto(grid, data.statics).downscale(coarse)
        yield from rmse_rows(target, f"graphdown, trained on {trained}", there, truth)
        if trained == "fine":
            averaged = upscaled(fine, 2)
            yield from rmse_rows(target, "the same, averaged from fine", averaged, truth)
            if not emulator.model.innovation_rounds:  # which need cells
                yield from station_rows(study, emulator, fine)
        if target == "fine":
            between = interpolated(fine, grid)
            yield from rmse_rows(target, "the same, interpolated from its means", between, truth)


def interpolated(ds: xr.Dataset, grid: Grid) -> xr.Dataset:
    source = Grid.from_dataset(ds)
    weights = bilinear(source, grid)
    return xr.Dataset(
        {
            name: grid.dataarray(
                weights.apply(source.values(field)), str(name), ("time",), {"time": ds["time"]}
            )
            for name, field in ds.data_vars.items()
        }
    )


def station_rows(study: Study, emulator: Emulator, fine: xr.Dataset) -> Iterator[dict]:
    """Score points at the centres of land cells, all at once and each alone, and those cells."""
    data, (coarse, truth) = study.targets["fine"], study.pair("fine", "test")
    grid = Grid.from_dataset(data.fine)
    land = np.flatnonzero(grid.values(data.statics["sftlf"]) > 0.5)
    cells = np.random.default_rng(5).permutation(land)[:STATIONS]
    points = xr.Dataset(
        {"orog": ("station", grid.values(data.statics["orog"])[cells], {"units": "m"})},
        coords={"lon": ("station", grid.lon[cells]), "lat": ("station", grid.lat[cells])},
    )
    together = emulator.onto(points, data.statics).downscale(coarse)
    alone = [
        emulator.onto(points.isel(station=[k]), data.statics).downscale(coarse)
        for k in range(ALONE)
    ]
    for name in truth.data_vars:
        true = grid.values(truth[name])[:, cells]
        of_grid = grid.values(fine[name])[:, cells]
        predictions = {
            "graphdown, trained on fine: those cells": of_grid,
            f"the {STATIONS} cells as stations": together[name].values,
            f"{ALONE} of those cells": of_grid[:, :ALONE],
            f"the {ALONE} as stations, each alone": np.concatenate(
                [a[name] for a in alone], axis=1
            ),
        }
        for method, values in predictions.items():
            rmse = float(np.sqrt(np.mean((values - true[:, : values.shape[1]]) ** 2)))
            apart = float(np.sqrt(np.mean((values - of_grid[:, : values.shape[1]]) ** 2)))
            row = {"target": "stations", "method": method, "variable": str(name)}
            yield {**row, "rmse": rmse, "apart": apart}


def rmse_rows(target: str, method: str, fine: xr.Dataset, truth: xr.Dataset) -> Iterator[dict]:
    scores = graphdown.evaluate(fine[list(truth.data_vars)], truth)
    for name in truth.data_vars:
        value = float(scores["rmse_total"].sel(variable=name))
        yield {"target": target, "method": method, "variable": str(name), "rmse": value}


def write(options: argparse.Namespace, studies: list[Study]) -> None:
    """Write the table of all finished scores."""
    rows = kept_rows(study.scores for study in studies)
    scores = pd.DataFrame(rows)
    lines = [
        *page_head("Targets that training did not see", options),
        "RMSE over all cells and days of the test period; of graphdown mean ± standard deviation "
        "over the finished seeds. Every target is downscaled from the same source. Methods fitted "
        "there have learned from the target itself; those from elsewhere never saw a day of it: "
        "only its height, slopes and coast.",
    ]
    for study in studies:
        part = scores[scores["experiment"] == study.experiment.name]
        lines += ["", f"## {study.experiment.name}", "", f"{spacings(study)}."]
        for target, of_target in part.groupby("target", sort=False):
            lines += ["", f"### On {target}", "", *table(of_target), "", *reading(of_target)]
    write_results(options, "target_transfer", lines, {"scores": rows})


def spacings(study: Study) -> str:
    data = study.targets
    grids = {"source": Grid.from_dataset(next(iter(data["fine"].sources.values())))}
    grids |= {name: Grid.from_dataset(one.fine) for name, one in data.items()}
    return "Spacing: " + ", ".join(f"{name} {g.spacing_km:.0f} km" for name, g in grids.items())


def table(part: pd.DataFrame) -> list[str]:
    variables = list(dict.fromkeys(part["variable"]))
    rows = []
    for method, scores in part.groupby("method", sort=False):
        cells = []
        for variable in variables:
            of_variable = scores[scores["variable"] == variable].sort_values("seed")
            apart = of_variable["apart"].mean() if "apart" in of_variable else np.nan
            beside = f" ({apart:.3f} from the cells)" if apart > 0 else ""
            cells.append(mean_and_spread(of_variable["rmse"].to_numpy()) + beside)
        rows.append([str(method), str(scores["seed"].nunique()), *cells])
    units = {"tas": "K", "pr": "mm/day"}
    return markdown_table(["method", "seeds", *(f"{v} [{units[v]}]" for v in variables)], rows)


def reading(part: pd.DataFrame) -> list[str]:
    """Return sentences on the skill of an emulator from elsewhere."""
    lines = []
    for variable, scores in part.groupby("variable", sort=False):
        mean = scores.groupby("method")["rmse"].mean()
        away = [m for m in mean.index if m.startswith("graphdown, trained on ") and ":" not in m]
        if not away or THERE not in mean.index:
            continue
        far, near, plain = mean[away[0]], mean[THERE], mean["bilinear"]
        lines.append(
            f"{variable}: {away[0]} has {(plain - far) / (plain - near):.0%} of the gain over "
            f"bilinear that training there has; its RMSE is {far / near:.2f} times that of "
            f"{THERE}, {far / mean['mean bias, fitted there']:.2f} times that of a mean bias and "
            f"{far / mean['ridge, fitted there']:.2f} times that of a ridge fitted there."
        )
        lines.append("")
    return lines[:-1]


if __name__ == "__main__":
    main()
