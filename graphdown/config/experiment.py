"""One experiment as a frozen dataclass."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from graphdown.config.data import DataSpec, Periods
from graphdown.config.training import FinetuneSpec, PretrainedSpec, PretrainSpec, TrainingSpec
from graphdown.model.spec import ModelSpec
from graphdown.variables.time_steps import TimeSpec
from meshes import GraphSpec


@dataclass(frozen=True)
class Experiment:
    """All that defines a run.

    Attributes:
        name: title of the report.
        output: the run's folder.
        predictors, targets: CF/CMIP names.
        data, periods, graph, model, training, time: see their classes.
        baselines: names of the methods that are scored beside the network; those that are
            networks themselves ("DeepESD", "U-Net", "error-predicting CNN") take minutes.
        optional_predictors: predictors that a source may lack; the network sees their mean and a
            flag there.
        standardise: "shared" standardises all sources by the same statistics, biases included.
            "per-source" first gives each source's predictors the mean and standard deviation that
            the training sources have on average over the target and the training period, by its
            own statistics of that period; an unseen source's are those of fields of the same
            years that `downscale` is given beside the ones to downscale. Errors in mean and
            variance vanish, changes since then are scaled with the variance.
        standardised_variables: the predictors that "per-source" adjusts, by name, and how far, as
            a share above 0 and up to 1; all, wholly, if not given. The larger a variable's errors
            are against the differences between true climates, the larger a share suits it.
        finetune: the trained network to start from; random weights if not given.
        pretrained: the pretraining to start from, see `graphdown pretrain`; the decoder is new.
        pretrain: makes this the experiment of a pretraining, which has no use for `targets`.
        seed: of every random number in training.
    """

    name: str
    output: str
    predictors: tuple[str, ...]
    targets: tuple[str, ...]
    data: DataSpec
    periods: Periods
    graph: GraphSpec = field(default_factory=GraphSpec)
    model: ModelSpec = field(default_factory=ModelSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    baselines: tuple[str, ...] = (
        "nearest",
        "bilinear",
        "lapse rate",
        "mean bias",
        "quantile mapping",
        "scaled delta",
        "ridge",
    )
    optional_predictors: tuple[str, ...] = ()
    standardise: Literal["shared", "per-source"] = "shared"
    standardised_variables: dict[str, float] = field(default_factory=dict)
    finetune: FinetuneSpec | None = None
    pretrained: PretrainedSpec | None = None
    pretrain: PretrainSpec | None = None
    time: TimeSpec = field(default_factory=TimeSpec)
    seed: int = 0

    @property
    def by_steps(self) -> "Experiment":
        """The experiment with each step that the network sees or makes as variables of its own."""
        return dataclasses.replace(
            self,
            predictors=self.time.predictors(self.predictors),
            targets=self.time.targets(self.targets),
            optional_predictors=self.time.predictors(self.optional_predictors),
        )

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the predictors that every source must have."""
        return tuple(name for name in self.predictors if name not in self.optional_predictors)
