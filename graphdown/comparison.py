"""Scores of a trained run beside the baselines on its test period, and the report."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import load_stored_experiment
from graphdown.config.learned_settings import (
    continued_settings,
    first_difference,
    learned_settings,
)
from graphdown.data.load import ExperimentData, load_data
from graphdown.data.reading.rules import log_notes
from graphdown.data.sample_store import store_folder
from graphdown.data.setting_notices import names_by_reason, setting_notices, unusable_baselines
from graphdown.data.time_windows import linear_in_time, unfolded
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.output.disk_space import check_room
from graphdown.runtime.atomic import atomic_file
from graphdown.runtime.scratch import Scratch, ScratchError
from graphdown.sharing.keep_evaluation import HeldOutErrors, held_out_errors, keep_evaluation
from graphdown.variables.names import variable_of
from graphdown.variables.time_steps import TimeSpec

if TYPE_CHECKING:
    import pandas as pd

    from graphdown.baselines import Baseline
    from graphdown.evaluation import Case

GNN = "graphdown"
log = logging.getLogger(__name__)

ADVICE = "make room there, or score fewer baselines with --baselines"
MAPS_SHOWN = ("bias", "rmse", "signal_prediction", "signal_truth")


@dataclass(frozen=True)
class Predict:
    """A method that downscales the days of one source.

    Attributes:
        parts: yields its predictions for a dataset, some days at a time.
    """

    parts: Callable[[xr.Dataset], Iterator[xr.Dataset]]

    def __call__(self, coarse: xr.Dataset) -> xr.Dataset:
        """Return the predictions for all days of a dataset."""
        parts = list(self.parts(coarse))
        return parts[0] if len(parts) == 1 else xr.concat(parts, "time", data_vars="minimal")


def evaluate_run(
    run: str | Path,
    data: ExperimentData | None = None,
    overrides: Sequence[str] = (),
    baselines: Sequence[str] = (),
    floors: bool = False,
) -> tuple["pd.DataFrame", Path]:
    """Score a run and the baselines on the test period, for seen and unseen sources.

    Methods bound to one source are fitted to each training source, the others to all of them
    together. On a source that was not trained on, all fits are applied, with predictors
    interpolated to the grid of their source. The climate-change signal is test minus validation
    period, both unseen by the optimiser.

    Predictions are made a few days at a time and lie in a file without a name in the run's folder
    while a source is scored: 4 bytes for each cell, day and target of each method.

    Args:
        run: the run's folder; `scores.csv` and `report/index.html` are written there.
        data: the experiment's fields, if they are loaded already.
        overrides: "key.sub=value" strings over the run's experiment, as for files that have moved.
        baselines: those to score, instead of the experiment's.
        floors: whether to add what a perfect emulator would score, as the columns `floor` and
            `above`.

    Returns:
        The tidy table of scores, and the path of the report.

    Raises:
        GraphdownError: the folder holds no finished run, or an override is of what it learned.
    """
    run = Path(run)
    # Read first: the emulator may need the experiment's extensions.
    experiment = scored_experiment(run, overrides)
    emulator = load(run)
    if experiment is None:
        raise GraphdownError(f"{str(run)!r} holds no experiment.yaml; give a run's folder.")
    experiment = with_baselines(experiment, baselines)
    known = emulator.normaliser.known_units
    data = data or load_data(experiment, store_folder(experiment, run), known)
    log_notes(setting_notices(experiment, "orog" in data.statics))
    with Scratch(run, ADVICE) as kept:
        fitted = fit_baselines(experiment, data, scratch=kept)
        with one_sentence_of(run):
            cases, scores, held_out = _scored(run, experiment, data, emulator, fitted, floors)
    with atomic_file(run / "scores.csv") as new:
        scores.to_csv(new, index=False, float_format="%.6g")
    keep_evaluation(run, emulator, experiment, scores, held_out)
    return scores, _report(run, experiment, data, fitted, cases, scores)


def _report(
    run: Path,
    experiment: Experiment,
    data: ExperimentData,
    fitted: "FittedBaselines",
    cases: list["Case"],
    scores: "pd.DataFrame",
) -> Path:
    """Path of the report, which is written here."""
    from graphdown.evaluation import write_report

    metrics = run / "metrics.csv"
    return write_report(
        run / "report",
        experiment.name,
        cases,
        scores,
        statics=data.statics if data.statics.data_vars else None,
        training=metrics if metrics.exists() else None,
        notes=_notes(experiment, data, fitted),
        lead=GNN,
    )


def scored_experiment(run: Path, overrides: Sequence[str] = ()) -> Experiment | None:
    """Experiment of a run to score it by, None if its folder has none.

    Args:
        run: the folder.
        overrides: of places of files, and of what is scored: other settings would be ignored.

    Raises:
        ExperimentError: an override is wrong, or of a setting that the run learned with.
    """
    stored = run / "experiment.yaml"
    if not stored.is_file():
        return None
    experiment = load_stored_experiment(stored, overrides)
    if overrides:
        begun = load_stored_experiment(stored)
        pairs = zip(*(_not_scored(one) for one in (begun, experiment)), strict=True)
        differing = next(filter(None, (first_difference(*pair) for pair in pairs)), None)
        if differing is not None:
            raise ExperimentError(
                f"--set gives another {differing!r} than the run {str(run)!r} was trained with, "
                "which scoring does not change; set places of files, and what is scored, such as "
                "'periods.test'."
            )
    return experiment


def _not_scored(experiment: Experiment) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of an experiment that scoring does not depend on, or only by what was learned."""
    further = {f"training.{key}": v for key, v in continued_settings(experiment).items()}
    return learned_settings(experiment), {**further, "output": experiment.output}


def with_baselines(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment with other baselines, its own for none.

    Raises:
        ExperimentError: there is no baseline of a name.
    """
    from graphdown.baselines import BASELINES

    for name in names:
        try:
            BASELINES[name]
        except ValueError as error:
            raise ExperimentError(f"--baselines: {error}") from None
    return replace(experiment, baselines=tuple(names)) if names else experiment


def _scored(
    run: Path,
    experiment: Experiment,
    data: ExperimentData,
    emulator: Emulator,
    fitted: "FittedBaselines",
    floors: bool,
) -> tuple[list["Case"], "pd.DataFrame", dict[str, HeldOutErrors]]:
    """Cases without their predictions, which are scored one source after the other.

    Returns:
        The cases, their scores, and the emulator's errors in the validation period by source.
    """
    from graphdown.evaluation import climate_floors, score_cases, with_floors

    cases: list[Case] = []
    held_out: dict[str, HeldOutErrors] = {}
    of_cases: dict[str, xr.Dataset] = {}
    for name in [*data.sources, *data.unseen]:
        with Scratch(run, ADVICE) as scratch:
            case = _case(experiment, data, emulator, fitted, name, scratch)
            case.settle()
            errors = held_out_errors(emulator, experiment, data, case)
            if floors:
                of_cases |= climate_floors({name: case.truth})
        cases.append(case)
        if errors is not None:
            held_out[name] = errors
    scores = score_cases(cases)
    return cases, with_floors(scores, of_cases) if floors else scores, held_out


def make_cases(
    experiment: Experiment,
    data: ExperimentData,
    emulator: Emulator,
    fitted: "FittedBaselines | None" = None,
) -> list["Case"]:
    """Return a case for each source: the predictions of every method for its test period.

    Args:
        experiment: names sources and periods.
        data: its fields.
        emulator: the trained network.
        fitted: the baselines; fitted here by default. Those that fail are left out of it.
    """
    fitted = fitted or fit_baselines(experiment, data)
    sources = [*data.sources, *data.unseen]
    return [_case(experiment, data, emulator, fitted, name) for name in sources]


def _case(
    experiment: Experiment,
    data: ExperimentData,
    emulator: Emulator,
    fitted: "FittedBaselines",
    source: str,
    scratch: Scratch | None = None,
) -> "Case":
    """Predictions of every method for the test period of a source, in memory or in a file."""
    from graphdown.evaluation import Case

    names = list(experiment.targets)
    coarse, truth = data.pair(experiment, source, "test")
    past_coarse, past_truth = data.pair(experiment, source, "validation")
    periods = coarse, past_coarse
    truths = [unfolded(fine, experiment.time, names) for fine in (truth, past_truth)]
    if scratch is not None:
        truths = [scratch.keep_lazy(fine) for fine in truths]
    methods = fitted.methods(source)
    if scratch is not None:
        check_room(scratch.path, _bytes(truths) * (len(methods) + 2))
    predictions: tuple[dict[str, xr.Dataset], ...] = ({}, {})

    def add(method: str, predict: Predict) -> None:
        made = [_predicted(predict, days, names, experiment.time, scratch) for days in periods]
        for of_period, prediction in zip(predictions, made, strict=True):
            of_period[method] = prediction

    for method, predict in methods.items():
        with fitted.left_out_if_failing(method):
            add(method, predict)
    add(GNN, downscaling(experiment, data, emulator, source))  # the last row of tables
    return Case(
        name=source,
        seen=source in data.sources,
        coarse=coarse,
        truth=truths[0],
        predictions=predictions[0],
        reference=(predictions[1], truths[1]),
        maps=None if scratch is None else MAPS_SHOWN,
    )


def _bytes(fields: Sequence[xr.Dataset]) -> int:
    """Size of the fields as float32."""
    return sum(4 * field.size for ds in fields for field in ds.data_vars.values())


def _predicted(
    predict: Predict,
    coarse: xr.Dataset,
    names: list[str],
    time: TimeSpec,
    scratch: Scratch | None,
) -> xr.Dataset:
    """Predictions of some variables for all days of a source."""
    if scratch is None:
        return predict(coarse)[names]
    parts = (part[names] for part in predict.parts(coarse))
    return scratch.keep(parts, coarse.sizes["time"] * time.substeps)


def downscaling(
    experiment: Experiment, data: ExperimentData, emulator: Emulator, source: str
) -> Predict:
    """Return the emulator's `downscale` for a source, with its climate where that is needed."""
    historical = None
    if emulator.normaliser.reference is not None:
        historical = data.history(experiment, source)[0]
    return Predict(lambda coarse: emulator.stream(coarse, historical=historical).parts)


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
        left_out: why baselines of the experiment are not among them, by name.
    """

    free: dict[str, "Baseline"]
    bound: dict[str, dict[str, "Baseline"]]
    time: TimeSpec
    left_out: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def left_out_if_failing(self, name: str) -> Iterator[None]:
        """Leave a method out, with a warning, if it refuses what it is given."""
        try:
            yield
        except ScratchError:
            raise
        except ValueError as error:
            self.left_out[name] = " ".join(str(error).split()).rstrip(".")
            log.warning("The baseline %r is left out: %s.", name, self.left_out[name])

    def methods(self, source: str) -> dict[str, Predict]:
        """Return the methods that can be applied to a source, by their names in tables."""
        return {name: self._in_time(method) for name, method in self._by_step(source).items()}

    def _in_time(self, method: "Baseline") -> Predict:
        return Predict(lambda coarse: parts_linear_in_time(method.parts(coarse), self.time))

    def _by_step(self, source: str) -> dict[str, "Baseline"]:
        if source in self.bound:
            return self.free | self.bound[source]
        names = list(dict.fromkeys(n for methods in self.bound.values() for n in methods))
        return self.free | {
            f"{name}, fit on {origin}": methods[name]
            for name in names
            for origin, methods in self.bound.items()
            if name in methods
        }


def parts_linear_in_time(parts: Iterator[xr.Dataset], time: TimeSpec) -> Iterator[xr.Dataset]:
    """Yield `linear_in_time` of fields by steps that come in parts, in parts as well."""
    if time.substeps == 1:
        yield from parts
        return
    last: xr.Dataset | None = None
    here = next(parts, None)
    while here is not None:
        following = next(parts, None)
        beside = [
            None if last is None else last.isel(time=[-1]),
            here,
            None if following is None else following.isel(time=[0]),
        ]
        window = xr.concat([part for part in beside if part is not None], "time")
        begin = 0 if last is None else time.substeps
        length = here.sizes["time"] * time.substeps
        yield linear_in_time(window, time).isel(time=slice(begin, begin + length))
        last, here = here, following


def fit_baselines(
    experiment: Experiment,
    data: ExperimentData,
    steps: int | None = None,
    scratch: Scratch | None = None,
) -> FittedBaselines:
    """Return the baselines, fitted to the training sources.

    Those that lack what they need, or fail, are left out.

    Args:
        experiment: names baselines, sources and periods.
        data: its fields.
        steps: of the networks, instead of each one's default.
        scratch: where what the baselines learned may lie, if it is much.
    """
    from graphdown.baselines import make_baselines

    left_out = unusable_baselines(experiment, "orog" in data.statics)
    fitted = FittedBaselines({}, {name: {} for name in data.sources}, experiment.time, left_out)
    usable = [name for name in experiment.baselines if name not in left_out]
    for is_bound, sources in [(False, list(data.sources)), *((True, [n]) for n in data.sources)]:
        methods = make_baselines(usable, data.statics, experiment.seed, steps)
        group = fitted.bound[sources[0]] if is_bound else fitted.free
        of_group = [method for method in methods if method.source_bound == is_bound]
        pairs, later = (
            [_learned(experiment, data, source, period) for source in sources if of_group]
            for period in ("train", "validation")
        )
        for method in of_group:
            with fitted.left_out_if_failing(method.name):
                group[method.name] = method.fit(pairs, data.statics, later, scratch)
    return fitted


def _learned(
    experiment: Experiment, data: ExperimentData, source: str, period: str
) -> tuple[xr.Dataset, xr.Dataset]:
    """Paired days of a source in a period, with the targets alone."""
    coarse, fine = data.pair(experiment, source, period)
    return coarse, fine[list(experiment.targets)]


@contextmanager
def one_sentence_of(run: Path) -> Iterator[None]:
    """Turn an error in scoring a run into one sentence."""
    try:
        yield
    except GraphdownError:
        raise
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise GraphdownError(f"{str(run)!r} cannot be scored: {reason}") from error


def _notes(experiment: Experiment, data: ExperimentData, fitted: FittedBaselines) -> list[str]:
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
    notices = setting_notices(experiment, "orog" in data.statics)
    notes += [f"{n.where}: {n.text}." for n in notices if n.rule == "periods-overlap"]
    for reason, names in names_by_reason(fitted.left_out).items():
        notes.append(f"Not scored: {names}; {reason}.")
    return notes
