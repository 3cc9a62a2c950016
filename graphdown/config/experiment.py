"""Everything that defines a run."""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval

from graphdown.config.data import DataSpec, Periods
from graphdown.config.member_settings import MemberSpec
from graphdown.config.training import FinetuneSpec, PretrainedSpec, PretrainSpec, TrainingSpec
from graphdown.model.spec import ModelSpec
from graphdown.ranges import check_ranges
from graphdown.variables.time_steps import TimeSpec
from meshes import GraphSpec

Share = Annotated[float, Interval(gt=0, le=1)]


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a run.

    Attributes:
        name: title of the report.
        output: folder of the run.
        predictors, targets: CF/CMIP names.
        data, periods, graph, model, training, members, time: see their classes.
        baselines: names of the methods that are scored beside the network; those that are
            networks themselves ("DeepESD", "U-Net", "error-predicting CNN") take minutes.
        optional_predictors: predictors that a source may lack; the network then gets their mean
            and a flag.
        predictor_transforms: transform by which a predictor enters the network once more, beside
            itself, by its name: "log1p", "cube-root", "none" or one that an extension registers;
            by default "log1p" for precipitation and snow.
        standardise: "shared" standardises all sources by the same statistics, biases included.
            "per-source" first adjusts each source's predictors to the mean and standard deviation
            that the training sources have on average over the target and the training period, by
            the source's own statistics of that period; for an unseen source, `downscale` takes
            them from fields of the same years (--historical). This removes errors in mean and
            variance, and scales later changes with the variance.
        standardised_variables: predictors that "per-source" adjusts, each with a share of the
            adjustment above 0 and up to 1; all of them fully by default. A larger share suits a
            variable whose errors are large against the differences between true climates.
        finetune: the trained network to start from; random weights by default.
        pretrained: the pretraining to start from, see `graphdown pretrain`; the decoder is new.
        pretrain: settings that make this a pretraining, which does not use `targets`.
        extensions: modules with further losses, heads, baselines and so on, which are imported
            before the experiment's other keys are checked: names of importable modules, or paths
            of .py files. A relative path starts at the experiment file's folder or else, as those
            of data files do, at the working directory.
        seed: seed of all random numbers in training.
        licence, contact, citation: under which terms the emulator may be used, whom to ask, and
            what to cite; they go into its passport and into every output.
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
    members: MemberSpec = field(default_factory=MemberSpec)
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
    predictor_transforms: dict[str, str] = field(default_factory=dict)
    standardise: Literal["shared", "per-source"] = "shared"
    standardised_variables: dict[str, Share] = field(default_factory=dict)
    finetune: FinetuneSpec | None = None
    pretrained: PretrainedSpec | None = None
    pretrain: PretrainSpec | None = None
    time: TimeSpec = field(default_factory=TimeSpec)
    extensions: tuple[str, ...] = ()
    seed: int = 0
    licence: str = ""
    contact: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers outside their ranges."""
        check_ranges(self)

    @property
    def by_steps(self) -> "Experiment":
        """The experiment with each time step of predictors and targets as variables of its own."""
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
