"""Scores of a trained run beside the baselines on its test period, and the report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import load_stored_experiment
from graphdown.data.load import ExperimentData, load_data
from graphdown.data.sample_store import store_folder
from graphdown.data.time_windows import linear_in_time, unfolded
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load
from graphdown.errors import GraphdownError
from graphdown.runtime.atomic import atomic_file
from graphdown.variables.names import variable_of, variables_of
from graphdown.variables.time_steps import TimeSpec

if TYPE_CHECKING:
    import pandas as pd

    from graphdown.baselines import Baseline
    from graphdown.evaluation import Case

GNN = "graphdown"

Predict = Callable[[xr.Dataset], xr.Dataset]


def evaluate_run(
    run: str | Path, data: ExperimentData | None = None
) -> tuple["pd.DataFrame", Path]:
    """Score a run and the baselines on the test period, for seen and unseen sources.

    Methods bound to one source are fitted to each training source, the others to all of them
    together. On a source that was not trained on, all fits are applied, with predictors
    interpolated to the grid of their source. The climate-change signal is test minus validation
    period, both unseen by the optimiser.

    Args:
        run: the run's folder; `scores.csv` and `report/index.html` are written there.
        data: the experiment's fields, if they are loaded already.

    Returns:
        The tidy table of scores, and the path of the report.

    Raises:
        GraphdownError: the folder holds no finished run.
    """
    from graphdown.evaluation import score_cases, write_report

    run = Path(run)
    stored = run / "experiment.yaml"
    # Read first: the emulator may need the experiment's extensions.
    experiment = load_stored_experiment(stored) if stored.is_file() else None
    emulator = load(run)
    if experiment is None:
        raise GraphdownError(f"{str(run)!r} holds no experiment.yaml; give a run's folder.")
    known = emulator.normaliser.known_units
    data = data or load_data(experiment, store_folder(experiment, run), known)
    cases = make_cases(experiment, data, emulator)
    scores = score_cases(cases)
    with atomic_file(run / "scores.csv") as new:
        scores.to_csv(new, index=False, float_format="%.6g")
    metrics = run / "metrics.csv"
    page = write_report(
        run / "report",
        experiment.name,
        cases,
        scores,
        statics=data.statics if data.statics.data_vars else None,
        training=metrics if metrics.exists() else None,
        notes=_notes(experiment, data),
        lead=GNN,
    )
    return scores, page


def make_cases(experiment: Experiment, data: ExperimentData, emulator: Emulator) -> list["Case"]:
    """Return a case for each source: the predictions of every method for its test period."""
    from graphdown.evaluation import Case

    fitted = fit_baselines(experiment, data)
    names = list(experiment.targets)
    cases = []
    for name in [*data.sources, *data.unseen]:
        methods = fitted.methods(name) | {GNN: downscaling(experiment, data, emulator, name)}
        coarse, truth = data.pair(experiment, name, "test")
        past_coarse, past_truth = data.pair(experiment, name, "validation")
        cases.append(
            Case(
                name=name,
                seen=name in data.sources,
                coarse=coarse,
                truth=unfolded(truth, experiment.time, names),
                predictions={m: predict(coarse)[names] for m, predict in methods.items()},
                reference=(
                    {m: predict(past_coarse)[names] for m, predict in methods.items()},
                    unfolded(past_truth, experiment.time, names),
                ),
            )
        )
    return cases


def downscaling(
    experiment: Experiment, data: ExperimentData, emulator: Emulator, source: str
) -> Predict:
    """Return the emulator's `downscale` for a source, with its climate where that is needed."""
    if emulator.normaliser.reference is None:
        return emulator.downscale
    return partial(emulator.downscale, historical=data.history(experiment, source)[0])


def write_inputs(run: str | Path, experiment: Experiment, data: ExperimentData) -> list[Path]:
    """Write the test period of each unseen source to a netCDF file, as input for `downscale`.

    Returns:
        The files, `inputs/<source>.nc` below the run's folder; `inputs/truth.nc` beside them holds
        the target on the days of the first one.
    """
    from graphdown.output.writer import write

    folder = Path(run) / "inputs"
    folder.mkdir(exist_ok=True)
    paths = []
    for name in data.unseen:
        coarse, fine = data.pair(experiment, name, "test")
        coarse = coarse[[n for n in coarse.data_vars if variable_of(str(n)) == n]]
        fine = unfolded(fine, experiment.time, experiment.targets)
        paths.append(folder / f"{name}.nc")
        write(coarse, paths[-1], f"graphdown: the source {name}")
        if len(paths) == 1:
            write(fine, folder / "truth.nc", "graphdown: the target")
    return paths


@dataclass(frozen=True)
class FittedBaselines:
    """Fitted baselines.

    Attributes:
        free: those fitted to all training sources together, by name.
        bound: those fitted to one source, by training source, then by name.
        time: the steps of their predictions; sub-steps are interpolated between them.
    """

    free: dict[str, "Baseline"]
    bound: dict[str, dict[str, "Baseline"]]
    time: TimeSpec

    def methods(self, source: str) -> dict[str, Predict]:
        """Return the methods that can be applied to a source, by their names in tables."""
        return {name: self._in_time(predict) for name, predict in self._by_step(source).items()}

    def _in_time(self, predict: Predict) -> Predict:
        return lambda coarse: linear_in_time(predict(coarse), self.time)

    def _by_step(self, source: str) -> dict[str, Predict]:
        free: dict[str, Predict] = {name: method.predict for name, method in self.free.items()}
        if source in self.bound:
            return free | {name: m.predict for name, m in self.bound[source].items()}
        names = next(iter(self.bound.values()))
        return free | {
            f"{name}, fit on {origin}": methods[name].predict
            for name in names
            for origin, methods in self.bound.items()
        }


def fit_baselines(
    experiment: Experiment, data: ExperimentData, steps: int | None = None
) -> FittedBaselines:
    """Return the baselines, fitted to the training sources; `steps` is for those with networks."""
    from graphdown.baselines import make_baselines

    names = list(experiment.targets)
    targets_are_predictors = set(variables_of(names)) <= set(variables_of(experiment.predictors))
    options = data.statics, experiment.seed, steps, targets_are_predictors

    def pair(source: str, period: str) -> tuple[xr.Dataset, xr.Dataset]:
        coarse, fine = data.pair(experiment, source, period)
        return coarse, fine[names]

    def fitted(bound: bool, sources: Sequence[str]) -> dict[str, "Baseline"]:
        pairs = [pair(source, "train") for source in sources]
        later = [pair(source, "validation") for source in sources]
        return {
            method.name: method.fit(pairs, data.statics, validation=later)
            for method in make_baselines(experiment.baselines, *options)
            if method.source_bound == bound
        }

    sources = list(data.sources)
    bound = {name: fitted(True, [name]) for name in sources}
    return FittedBaselines(fitted(False, sources), bound, experiment.time)


def _notes(experiment: Experiment, data: ExperimentData) -> list[str]:
    periods = experiment.periods
    notes = [
        f"Trained on {' to '.join(periods.train)}, stopped and tuned on "
        f"{' to '.join(periods.validation)}, scored on {' to '.join(periods.test)}; the change "
        "signal is scored period minus tuning period.",
        f"The network was trained on {', '.join(data.sources)}.",
    ]
    if data.unseen:
        notes.append(
            f"It never saw {', '.join(data.unseen)}. There, methods bound to a source grid are "
            "those fitted on each training source, predictors interpolated to its grid."
        )
    return notes
