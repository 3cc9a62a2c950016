"""Train the three kinds of messages at equal parameters, for equal steps and for equal time.

Example: python benchmarks/messages.py configs/demo.yaml configs/iberia.yaml --steps 1000

Of "attention" the channels on the mesh are those, a multiple of its heads, with which it comes
closest to the number of weights of the experiment's "linear", apart from what the target's nodes
have for themselves; of the two others those with which they come closest to attention's. The cost
of a step is measured first, the three taking turns, in processor time: the machine may be shared.
At equal time each has as many steps as cost what `--steps` of linear do, compilation aside, at
equal steps those that the dearest has at equal time; each training has a warm-up and a decay to
zero of its own. The weights that are scored are those that do best in validation, on the test
period once for each training.

Each run goes to a folder of its own below runs/messages and is continued or reused if it exists, as
are the measured costs. The tables and the figures go to benchmarks/results/messages.*.
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
from flax import nnx
from results_table import (
    keep_rows,
    kept_rows,
    machine,
    markdown_table,
    mean_and_spread,
    seeded,
    write_study,
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
BINDING = ("own", "regression")  # what the target's nodes have for themselves
MOST_CHANNELS, EVEN = 256, 2
ROW = 4  # steps with each source in a turn
WARM_UP, VALIDATIONS = 10, 8  # shares of the steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiments", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400, help="of linear")
    parser.add_argument("--sources", type=int, help="the first so many of the experiment's")
    parser.add_argument("--repeats", type=int, default=5, help="turns of measured steps")
    options = parser.parse_args()
    keep_freed_memory()
    for path in options.experiments:
        experiment = graphdown.load_experiment(path)
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
    made: list[Any] = []

    def fitted(*given: Any) -> Any:
        if not made:
            made.append(fit_target_regression(*given))
        return made[0]

    with mock.patch.object(initial_network, "fit_target_regression", fitted):
        yield


class Seconds(NamedTuple):
    """Of the processor, all threads together, and of the clock."""

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
            given = self.mapped.split(batch), self.constants[source]
            self.state, _ = self.mapped(self.state, *given)
        jax.block_until_ready(self.state)
        return Seconds.now().since(start, len(batches))


def weights_of(params: Any) -> int:
    """Return the number of weights but for what the target's nodes have for themselves."""
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
        linear = Trainer(
            prepare_training(self._made("linear", usual, 2, 0), self.data), self.folder
        )
        shared = self._channels("attention", linear, weights_of(linear.params))
        budget = self._weights("attention", shared, linear)
        timed = {}
        for kind in KINDS:
            channels = self._channels(kind, linear, budget)
            timed[kind] = Timed(
                Trainer(prepare_training(self._made(kind, channels, 2, 0), self.data), self.folder)
            )
        every: dict[str, list[Seconds]] = {kind: [] for kind in KINDS}
        for repeat in range(repeats):
            row = ROW * timed["linear"].sources
            numbers = range(repeat * row, (repeat + 1) * row)
            for kind in np.roll(KINDS, repeat):
                every[kind].append(timed[kind].steps(numbers))
        for kind, one in timed.items():
            yield {
                "messages": kind,
                "channels": one.trainer.experiment.model.channels,
                "weights": weights_of(one.trainer.params),
                "compilation": one.compilation._asdict(),
                "cpu": [step.cpu for step in every[kind]],
                "clock": [step.clock for step in every[kind]],
            }

    def _channels(self, kind: str, known: Trainer, budget: int) -> int:
        """Return the channels on the mesh with which a kind has about a number of weights."""
        every = self.experiment.model.attention_heads if kind == "attention" else EVEN
        some = every * np.arange(1, 4)
        square = np.polyfit(some, [self._weights(kind, int(c), known) for c in some], 2)
        choices = every * np.arange(1, MOST_CHANNELS // every)
        return int(choices[np.argmin(np.abs(np.polyval(square, choices) - budget))])

    def _weights(self, kind: str, channels: int, known: Trainer) -> int:
        spec = dataclasses.replace(self.experiment.model, messages=kind, channels=channels)
        given = spec, known.domain, known.normaliser, 0
        return weights_of(nnx.state(nnx.eval_shape(lambda: new_network(*given))))

    def _made(self, kind: str, channels: int, steps: int, seed: int) -> Experiment:
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
        experiment = self._made(kind, channels, steps, seed)
        emulator = graphdown.train(experiment, self.data)
        metrics = pd.read_csv(Path(experiment.output) / "metrics.csv")
        best = metrics.loc[metrics["validation_score"].idxmin()]
        for source in [*self.data.sources, *self.data.unseen]:
            coarse, truth = self.data.pair(experiment, source, "test")
            made = downscaling(experiment, self.data, emulator, source)(coarse)
            grid = Grid.from_dataset(truth)
            for name in experiment.targets:
                values = (grid.values(ds[name])[:, grid.mask] for ds in (made, truth))
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
    """Return each kind's steps at the time of so many of linear, and at equal steps."""
    cost = costs["cpu"].map(np.median)
    by_time = {kind: max(1, round(steps * cost["linear"] / cost[kind])) for kind in KINDS}
    return by_time, dict.fromkeys(KINDS, min(by_time.values()))


def write(options: argparse.Namespace) -> None:
    """Write the tables of all experiments there are scores of."""
    names = " ".join(map(str, options.experiments))
    command = f"python benchmarks/messages.py {names} --seeds {options.seeds}"
    command += f" --steps {options.steps}"
    command += f" --sources {options.sources}" if options.sources else ""
    lines = [
        "# Three kinds of messages at equal parameters",
        "",
        f"Command: `{command}`. Machine: {machine()}, shared with other work.",
        "",
        "Weights: without those that each node of the target has for itself; `channels` are those "
        "on the mesh. A step's cost: median and range of turns that the three took one after the "
        "other, processor seconds of all threads and seconds of the clock. RMSE over all days and "
        "cells, tas in K, pr in mm/day, mean ± standard deviation over the seeds there are; "
        "validation and test are means over the sources trained on.",
    ]
    every = {}
    for path in options.experiments:
        folder = folder_of(path, options)
        if not (folder / "scores").is_dir():
            continue
        costs, rows = kept_costs(folder), kept_rows([folder / "scores"])
        every[path.stem] = {"costs": costs.reset_index().to_dict("records"), "scores": rows}
        name = graphdown.load_experiment(path).name
        lines += ["", f"## {name} (`{path}`)", "", *cost_table(costs)]
        lines += ["", *score_table(costs, pd.DataFrame(rows), options.steps)]
    write_study("messages", lines, command, [every])
    print("\n".join(lines))


def cost_table(costs: pd.DataFrame) -> list[str]:
    head = ["messages", "channels", "weights", "compilation [s, processor]"]
    head += ["step [ms, processor]", "to linear", "step [ms, clock]"]
    rows = []
    for kind, own in costs.iterrows():
        cpu, clock, base = (1e3 * np.asarray(v) for v in (own.cpu, own.clock, costs.cpu["linear"]))
        more = 100.0 * (own.weights / costs.weights["linear"] - 1.0)
        rows.append(
            [
                str(kind),
                str(own.channels),
                f"{own.weights:,} ({more:+.1f} %)",
                f"{own.compilation['cpu']:.1f}",
                spread(cpu, 0),
                spread(cpu / base, 2),
                spread(clock, 0),
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
            own = scores[(scores.messages == kind) & (scores.steps == count)]
            seconds = count * np.median(costs.cpu[kind])
            cells = [equal, kind, str(count), f"{seconds:.0f}", str(own.seed.nunique())]
            for what, seen in columns:
                part = own[own.seen == seen]
                for name in variables:
                    each = part[part.variable == name].groupby("seed")[what].mean()
                    cells.append(mean_and_spread(each.to_numpy()))
            rows.append(cells)
    return markdown_table(head, rows)


def spread(values: np.ndarray, digits: int) -> str:
    low, high = values.min(), values.max()
    return f"{np.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
