"""Estimate of how long the runs of a study will take."""

from collections.abc import Sequence

import xarray as xr

from graphdown.transfer.plan import Task
from graphdown.transfer.spec import Study
from graphdown.transfer.study_run import StudyRun

# Seconds on a slow core, for a first guess; finished runs replace it.
GUESS_NETWORK, GUESS_STEP = 8.0, 0.045
GUESS_BASELINE = {"ridge": 25.0, "DeepESD": 60.0, "U-Net": 120.0, "error-predicting CNN": 90.0}
GUESS_OTHER, GUESS_SCORING = 3.0, 2.5


class RunTimes:
    """Durations of runs: the mean of finished runs of the same strategy, or a guess."""

    def __init__(self, study: Study, jobs: int) -> None:
        self._study = study
        self._jobs = jobs
        self._learning: dict[str, list[float]] = {}
        self._scoring: list[float] = []

    def add(self, task: Task, scores: xr.Dataset) -> None:
        """Record the duration of a finished run."""
        self._learning.setdefault(task.strategy, []).append(scores.attrs["learning_seconds"])
        self._scoring.append(scores.attrs["scoring_seconds"] / scores.sizes["source"])

    def estimate(self, left: Sequence[StudyRun], tasks: dict[Task, list[str]]) -> str:
        """Time that all processes together need for the runs that are left, in words."""
        scoring = sum(self._scoring) / len(self._scoring) if self._scoring else GUESS_SCORING
        seconds = sum(self._seconds(run.task) + scoring * len(tasks[run.task]) for run in left)
        return f"{seconds / 60 / self._jobs:.0f} min"

    def _seconds(self, task: Task) -> float:
        known = self._learning.get(task.strategy)
        if known:
            return sum(known) / len(known)
        baseline = self._study.strategies[task.strategy].baseline
        if baseline is not None:
            return GUESS_BASELINE.get(baseline, GUESS_OTHER)
        steps = self._study.experiment_of(task.strategy).training.steps
        return GUESS_NETWORK + GUESS_STEP * steps
