"""One run of a study: learn, apply, score; scores that are stored already are read."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import and_
from pathlib import Path
from zlib import crc32

import xarray as xr

from graphdown.comparison import Predict, downscaling, fit_baselines
from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import experiment_to_dict
from graphdown.config.learned_settings import without_paths
from graphdown.data.load import ExperimentData
from graphdown.data.pairing import within
from graphdown.data.reading.horizontal import ever_present
from graphdown.data.time_windows import unfolded
from graphdown.errors import ExperimentError
from graphdown.evaluation import evaluate
from graphdown.evaluation.bootstrap import bootstrap
from graphdown.evaluation.compared import Compared
from graphdown.evaluation.measures import MEASURES
from graphdown.runtime.atomic import atomic_file
from graphdown.training.periods import last_years
from graphdown.transfer.plan import Task, with_sources
from graphdown.transfer.spec import Study

SCORES = "scores.nc"
MAPS = ("bias_map", "signal_prediction_map", "signal_truth_map")
DRAWS = "_draws"


@dataclass(frozen=True)
class StudyRun:
    """A task with a seed.

    Attributes:
        study: the study that it belongs to.
        task: the task.
        seed: of its random numbers.
    """

    study: Study
    task: Task
    seed: int

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.study.output) / "runs" / self.task.folder / f"seed{self.seed}"

    @property
    def experiment(self) -> Experiment:
        """Experiment of the run; that of the fine-tuning, if it is fine-tuned."""
        whole = self.study.experiment_of(self.task.strategy, self.seed, str(self.folder))
        strategy = self.study.strategies[self.task.strategy]
        experiment = with_sources(whole, self.task.tune or strategy.learned(self.task.train))
        if self.task.years and not self._tuned:
            return replace(experiment, periods=last_years(experiment.periods, self.task.years))
        return experiment

    @property
    def definition(self) -> str:
        """All settings that its scores depend on, as JSON; fields are known by their checksums."""
        strategy = self.study.strategies[self.task.strategy]
        start = None if self.start is None else self.start.definition
        experiment = {**without_paths(experiment_to_dict(self.experiment)), "output": ""}
        return json.dumps(
            {
                "experiment": experiment,
                "steps": strategy.steps,
                "finetune": asdict(strategy.finetune) if self._tuned else None,
                "years": self.task.years,
                "start": start or strategy.run,
                "draws": self.study.draws,
            },
            sort_keys=True,
        )

    @property
    def _tuned(self) -> bool:
        return self.study.is_fine_tuned(self.task.strategy)

    @property
    def key(self) -> tuple[Task, int]:
        """Identifier among the study's runs."""
        return self.task, self.seed

    @property
    def start(self) -> "StudyRun | None":
        """The run of the study that it starts from, None for none."""
        start = self.study.strategies[self.task.strategy].start
        if start is None:
            return None
        return StudyRun(self.study, Task(start, self.task.train), self.seed)

    def stored(self, sources: list[str]) -> xr.Dataset | None:
        """Return the stored scores on sources, None if one is missing.

        Raises:
            ExperimentError: the folder holds scores of another run.
        """
        path = self.folder / SCORES
        if not path.is_file():
            return None
        with xr.open_dataset(path, engine="netcdf4") as ds:
            scores = ds.load()
        if scores.attrs["definition"] != self.definition:
            raise ExperimentError(
                f"{str(self.folder)!r} holds scores of another study; choose another 'output'."
            )
        stored = {str(name) for name in scores["source"].values}
        return scores.sel(source=sources) if set(sources) <= stored else None

    def scores(
        self, sources: list[str], data: ExperimentData, checksums: Mapping[str, str]
    ) -> xr.Dataset:
        """Learn, apply, and return and store the scores on sources.

        Args:
            sources: to apply to.
            data: the fields.
            checksums: of the fields.
        """
        started = time.monotonic()
        methods = self._learned(data)
        learned = time.monotonic() - started
        whole = self.study.experiment_of(self.task.strategy)
        masks = learnable(data, whole)
        parts = [self._scored(source, methods(source), data, masks) for source in sources]
        scores = xr.concat(parts, "source", join="exact", coords="minimal", compat="override")
        scores = scores.assign_coords(source=sources)
        scores.attrs = {
            "definition": self.definition,
            "fields": json.dumps(checksums),
            "learning_seconds": learned,
            "scoring_seconds": time.monotonic() - started - learned,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(self.folder / SCORES) as new:
            scores.to_netcdf(new, engine="netcdf4")
        return scores

    def _learned(self, data: ExperimentData) -> Callable[[str], list[Predict]]:
        """Learn; return a function from a source to the methods to score, which are averaged."""
        experiment = self.experiment
        strategy = self.study.strategies[self.task.strategy]
        if strategy.baseline is not None:
            fitted = fit_baselines(experiment, _of_sources(data, experiment), strategy.steps)
            for name, reason in fitted.left_out.items():
                raise ExperimentError(
                    f"The strategy {self.task.strategy!r} needs the baseline {name!r}, which "
                    f"cannot be used here: {reason}."
                )
            return lambda source: list(fitted.methods(source).values())
        from graphdown.training import finetune_experiment, train

        if self._tuned:
            run = str(self.start.folder) if self.start else strategy.run
            assert run is not None
            options = {**asdict(strategy.finetune), "years": self.task.years}
            # What all strategies share is for those that start from nothing.
            stated = strategy.set
            experiment = finetune_experiment(run, experiment, self.folder, (), stated, **options)
        emulator = train(experiment, _of_sources(data, experiment))
        whole = self.study.experiment_of(self.task.strategy)
        return lambda source: [downscaling(whole, data, emulator, source)]

    def _scored(
        self, source: str, methods: list[Predict], data: ExperimentData, masks: xr.Dataset
    ) -> xr.Dataset:
        """Return measures and resampled measures on a source, means over methods.

        All are on the values that the methods and the truth have, where any strategy can learn.
        """
        experiment = self.study.experiment_of(self.task.strategy)

        def compared(period: str) -> Compared:
            coarse, truth = data.pair(experiment, source, period)
            truth = unfolded(truth, experiment.time, list(experiment.targets)).where(masks)
            predictions = {str(n): predict(coarse)[[*truth]] for n, predict in enumerate(methods)}
            return Compared.of(predictions, truth)

        now, past = compared("test"), compared("validation")
        parts = []
        for method, prediction in now.predictions.items():
            pair = prediction, now.truth
            reference = past.predictions[method], past.truth
            measures = evaluate(*pair, reference)
            # Other sources have other weather: their draws are independent.
            seed = crc32(source.encode())
            draws = bootstrap(*pair, reference, self.study.draws, seed)
            kept = [name for name in (*MEASURES, *MAPS) if name in measures]
            draws = draws.rename({name: f"{name}{DRAWS}" for name in draws})
            parts.append(xr.merge([measures[kept], draws], compat="override", join="exact"))
        return _mean_over(parts)


def learnable(data: ExperimentData, experiment: Experiment) -> xr.Dataset:
    """Cells at which targets have values in the training period of every source, as booleans.

    Elsewhere some strategies have no value, depending on what they learned from.
    """
    fines = {id(fine): fine for fine in (data.fines.get(n, data.fine) for n in data.sources)}
    learned = [within(fine, [experiment.periods.train]) for fine in fines.values()]
    masks = [xr.Dataset({n: ever_present(ds[n]) for n in experiment.targets}) for ds in learned]
    return reduce(and_, masks)


def _mean_over(parts: list[xr.Dataset]) -> xr.Dataset:
    if len(parts) == 1:
        return parts[0]
    joined = xr.concat(parts, "method", join="exact", coords="minimal", compat="override")
    return joined.mean("method", keep_attrs=True)


def _of_sources(data: ExperimentData, experiment: Experiment) -> ExperimentData:
    """Return the fields of the sources that an experiment learns from."""
    names = [source.name for source in experiment.data.sources]
    fields = {name: data.sources[name] for name in names}
    fine = data.fines.get(names[0], data.fine)
    return replace(data, sources=fields, unseen={}, fine=fine)
