"""Train the three kinds of messages at equal parameters, for equal steps and for equal time.

Example: python benchmarks/messages.py configs/demo.yaml configs/iberia.yaml --steps 1000

The channels of "attention" on the mesh are the multiple of its heads that comes closest to the
number of weights of the experiment's "linear", apart from those of the target's nodes; those of the
two others come closest to the number of attention's. The cost of a step is measured first, the
three taking turns, in processor time, as the machine may be shared. At equal time each kind has the
steps that cost as much as `--steps` of linear, compilation aside; at equal steps each has those of
the most expensive kind at equal time. Each training has a warm-up and a decay to zero. The scored
weights are the best in validation, on the test period once for each training.

Each run has a folder below runs/messages and is resumed or reused if it exists, as are the measured
costs. The tables and the figures are written to benchmarks/results/messages.*.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np
import pandas as pd
from common_arguments import benchmark_parser, parse
from flax import nnx
from results_table import (
    keep_rows,
    kept_rows,
    markdown_table,
    mean_and_spread,
    median_and_range,
    page_head,
    seeded,
    write_results,
)

import graphdown
from graphdown.comparison import downscaling
from graphdown.config.experiment import Experiment
from graphdown.data import ExperimentData, load_data
from graphdown.emulator.build_network import new_network
from graphdown.evaluation.error import rmse_total
from graphdown.model.parameters import path_name
from graphdown.runtime.malloc import keep_freed_memory
from graphdown.training import Trainer, initial_network, prepare_training
from graphdown.training.parallel import DataParallel
from graphdown.training.step import initial_state
from graphdown.training.target_regression import fit_target_regression
from meshes import Grid

RUNS = Path("runs/messages")
KINDS = ("linear", "mlp", "attention")
BINDING = ("node_embedding", "regression")  # parameters of the target's nodes
MOST_CHANNELS, EVEN = 256, 2
ROW = 4  # steps with each source in a turn
WARM_UP, VALIDATIONS = 10, 8  # shares of the steps


def main() -> None:
    parser = benchmark_parser(__doc__, "experiments", seeds=1, steps=400, repeats=5, overrides=())
    parser.add_argument("--sources", type=int, help="number of the experiment's sources to use")
    options = parse(parser)
    keep_freed_memory()
    for path in options.experiments:
        experiment = graphdown.load_experiment(path, options.overrides)
        sources = experiment.data.sources[: options.sources]
        fields = dataclasses.replace(experiment.data, sources=sources)
        experiment = dataclasses.replace(experiment, data=fields)
        study = Study(experiment, load_data(experiment), folder_of(path, options))
        with regression_fitted_once():
            keep_rows(study.costs, study.cost_rows(options.repeats))
            for seed in range(options.seeds):
                for kind, steps in study.trainings(options.steps):
                    scores = study.folder / "scores" / f"{kind}-{steps}-seed{seed}.json"
                    keep_rows(scores, study.score_rows(kind, steps, seed))
        write(options)


def folder_of(experiment: Path, options: argparse.Namespace) -> Path:
    return RUNS / f"{experiment.stem}-{options.steps}"


@contextmanager
def regression_fitted_once() -> Iterator[None]:
    """Let trainings share the regression of the target's nodes, which is the same for all."""
    regressions: list[Any] = []

    def fit_once(*arguments: Any) -> Any:
        if not regressions:
            regressions.append(fit_target_regression(*arguments))
        return regressions[0]

    with mock.patch.object(initial_network, "fit_target_regression", fit_once):
        yield


class Seconds(NamedTuple):
    """Seconds of the processor, all threads together, and of the clock."""

    cpu: float
    clock: float

    @classmethod
    def now(cls) -> "Seconds":
        return cls(time.process_time(), time.perf_counter())

    def since(self, start: "Seconds", times: int = 1) -> "Seconds":
        return Seconds(*((b - a) / times for a, b in zip(start, self, strict=True)))


class Timed:
    """The training step of an experiment, compiled.

    Attributes:
        compilation: seconds of the first step less those of the second.
    """

    def __init__(self, trainer: Trainer) -> None:
        spec = trainer.experiment.training
        parts = spec.backend, spec.devices, spec.target_shards, trainer.specs
        self.mapped = DataParallel(trainer.device_step(), *parts)
        self.constants = trainer.replicated(self.mapped)
        self.state = self.mapped.replicate(initial_state(trainer.params, trainer.optimiser))
        self.trainer, self.sources = trainer, len(self.constants)
        first, second = (self.steps([0]) for _ in range(2))
        self.compilation = first.since(second)
        self.steps(range(self.sources))  # grids of other sizes

    def steps(self, numbers: Iterable[int]) -> Seconds:
        """Return the seconds of a step, the mean of those with some numbers."""
        batches = [self.trainer.batch(number) for number in numbers]
        start = Seconds.now()
        for batch, source in batches:
            split = self.mapped.split(batch)
            self.state, _ = self.mapped(self.state, split, self.constants[source])
        jax.block_until_ready(self.state)
        return Seconds.now().since(start, len(batches))


def weights_of(params: Any) -> int:
    """Return the number of weights, except those of the target's nodes."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return sum(v.size for path, v in leaves if path_name(path).split(".")[0] not in BINDING)


@dataclasses.dataclass(frozen=True)
class Study:
    """An experiment, its fields, and where its runs go."""

    experiment: Experiment
    data: ExperimentData
    folder: Path

    @property
    def costs(self) -> Path:
        return self.folder / "costs.json"

    def cost_rows(self, repeats: int) -> Iterator[dict]:
        """Yield sizes, compilation and the steps' seconds of each kind; the kinds take turns."""
        usual = self.experiment.model.channels
        linear = self._trainer("linear", usual)
        shared = self._channels("attention", linear, weights_of(linear.params))
        budget = self._weights("attention", shared, linear)
        timed = {}
        for kind in KINDS:
            channels = self._channels(kind, linear, budget)
            timed[kind] = Timed(self._trainer(kind, channels))
        seconds: dict[str, list[Seconds]] = {kind: [] for kind in KINDS}
        for repeat in range(repeats):
            row = ROW * timed["linear"].sources
            numbers = range(repeat * row, (repeat + 1) * row)
            for kind in np.roll(KINDS, repeat):
                seconds[kind].append(timed[kind].steps(numbers))
        for kind, one in timed.items():
            yield {
                "messages": kind,
                "channels": one.trainer.experiment.model.channels,
                "weights": weights_of(one.trainer.params),
                "compilation": one.compilation._asdict(),
                "cpu": [step.cpu for step in seconds[kind]],
                "clock": [step.clock for step in seconds[kind]],
            }

    def _trainer(self, kind: str, channels: int) -> Trainer:
        experiment = self._experiment(kind, channels, steps=2, seed=0)
        return Trainer(prepare_training(experiment, self.data), self.folder)

    def _channels(self, kind: str, known: Trainer, budget: int) -> int:
        """Return the channels on the mesh that give a kind about `budget` weights."""
        unit = self.experiment.model.attention_heads if kind == "attention" else EVEN
        few = unit * np.arange(1, 4)
        square = np.polyfit(few, [self._weights(kind, int(c), known) for c in few], 2)
        choices = unit * np.arange(1, MOST_CHANNELS // unit)
        return int(choices[np.argmin(np.abs(np.polyval(square, choices) - budget))])

    def _weights(self, kind: str, channels: int, known: Trainer) -> int:
        spec = dataclasses.replace(self.experiment.model, messages=kind, channels=channels)
        parts = spec, known.domain, known.normaliser, 0
        return weights_of(nnx.state(nnx.eval_shape(lambda: new_network(*parts))))

    def _experiment(self, kind: str, channels: int, steps: int, seed: int) -> Experiment:
        """Return the experiment of a training."""
        model = {"messages": kind, "channels": channels}
        training = {
            "steps": steps,
            "warmup_steps": steps // WARM_UP,
            "validate_every": max(1, steps // VALIDATIONS),
        }
        output = self.folder / f"{kind}-{steps}-seed{seed}"
        return seeded(self.experiment, output, seed, model=model, training=training)

    def trainings(self, steps: int) -> list[tuple[str, int]]:
        """Return kinds and numbers of steps, those of equal time first."""
        by_time, by_steps = numbers_of_steps(kept_costs(self.folder), steps)
        return list(dict.fromkeys([*by_time.items(), *by_steps.items()]))

    def score_rows(self, kind: str, steps: int, seed: int) -> Iterator[dict]:
        """Yield the scores of a training, by source and variable."""
        channels = int(kept_costs(self.folder).loc[kind, "channels"])
        experiment = self._experiment(kind, channels, steps, seed)
        emulator = graphdown.train(experiment, self.data)
        metrics = pd.read_csv(Path(experiment.output) / "metrics.csv")
        best = metrics.loc[metrics["validation_score"].idxmin()]
        for source in [*self.data.sources, *self.data.unseen]:
            coarse, truth = self.data.pair(experiment, source, "test")
            fine = downscaling(experiment, self.data, emulator, source)(coarse)
            grid = Grid.from_dataset(truth)
            for name in experiment.targets:
                values = (grid.values(ds[name])[:, grid.mask] for ds in (fine, truth))
                yield {
                    "messages": kind,
                    "steps": steps,
                    "seed": seed,
                    "source": source,
                    "seen": source in self.data.sources,
                    "variable": name,
                    "validation": float(best[f"rmse_{name}"]),
                    "test": rmse_total(*values, grid.area[grid.mask]),
                }


def kept_costs(folder: Path) -> pd.DataFrame:
    """Return the measured costs by kind."""
    return pd.DataFrame(kept_rows([folder])).set_index("messages")


def numbers_of_steps(costs: pd.DataFrame, steps: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return each kind's steps at the time of `steps` of linear, and at equal steps."""
    cost = costs["cpu"].map(np.median)
    by_time = {kind: max(1, round(steps * cost["linear"] / cost[kind])) for kind in KINDS}
    return by_time, dict.fromkeys(KINDS, min(by_time.values()))


def write(options: argparse.Namespace) -> None:
    """Write the tables of all experiments with scores."""
    title = "Three kinds of messages at equal parameters"
    lines = [
        *page_head(title, options, ", shared with other work"),
        "Weights: without those of the target's nodes; `channels` are those on the mesh. A step's "
        "cost: median and range of turns that the three took one after the other, processor "
        "seconds of all threads and seconds of the clock. RMSE over all days and cells, tas in K, "
        "pr in mm/day, mean ± standard deviation over the finished seeds; validation and test are "
        "means over the sources trained on.",
    ]
    figures = {}
    for path in options.experiments:
        folder = folder_of(path, options)
        if not (folder / "scores").is_dir():
            continue
        costs, rows = kept_costs(folder), kept_rows([folder / "scores"])
        figures[path.stem] = {"costs": costs.reset_index().to_dict("records"), "scores": rows}
        name = graphdown.load_experiment(path, options.overrides).name
        lines += ["", f"## {name} (`{path}`)", "", *cost_table(costs)]
        lines += ["", *score_table(costs, pd.DataFrame(rows), options.steps)]
    write_results(options, "messages", lines, {"scores": [figures]})


def cost_table(costs: pd.DataFrame) -> list[str]:
    head = ["messages", "channels", "weights", "compilation [s, processor]"]
    head += ["step [ms, processor]", "to linear", "step [ms, clock]"]
    rows = []
    for kind, cost in costs.iterrows():
        seconds = cost.cpu, cost.clock, costs.cpu["linear"]
        cpu, clock, base = (1e3 * np.asarray(values) for values in seconds)
        more = 100.0 * (cost.weights / costs.weights["linear"] - 1.0)
        rows.append(
            [
                str(kind),
                str(cost.channels),
                f"{cost.weights:,} ({more:+.1f} %)",
                f"{cost.compilation['cpu']:.1f}",
                median_and_range(cpu, 0),
                median_and_range(cpu / base, 2),
                median_and_range(clock, 0),
            ]
        )
    return markdown_table(head, rows)


def score_table(costs: pd.DataFrame, scores: pd.DataFrame, steps: int) -> list[str]:
    variables = list(dict.fromkeys(scores.variable))
    columns = [("validation", True), ("test", True)]
    columns += [("test", False)] if not scores.seen.all() else []
    head = ["equal", "messages", "steps", "they cost [s, processor]", "seeds"]
    for what, seen in columns:
        head += [f"{what}{'' if seen else ', unseen source'}: {name}" for name in variables]
    rows = []
    for equal, numbers in zip(("time", "steps"), numbers_of_steps(costs, steps), strict=True):
        for kind, count in numbers.items():
            chosen = scores[(scores.messages == kind) & (scores.steps == count)]
            seconds = count * np.median(costs.cpu[kind])
            cells = [equal, kind, str(count), f"{seconds:.0f}", str(chosen.seed.nunique())]
            for what, seen in columns:
                part = chosen[chosen.seen == seen]
                for name in variables:
                    each = part[part.variable == name].groupby("seed")[what].mean()
                    cells.append(mean_and_spread(each.to_numpy()))
            rows.append(cells)
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
