"""Sections of an experiment about training from scratch, fine-tuning and pretraining."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from graphdown.ranges import check_ranges

Kelvin = Annotated[float, Interval(ge=-100, le=100)]


@dataclass(frozen=True)
class TrainingSpec:
    """How the network is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: days per step, over all devices.
        learning_rate: peak rate, reached after the warm-up and followed by cosine decay to zero.
        warmup_steps: steps of linear warm-up.
        weight_decay: decoupled weight decay (AdamW).
        clip_norm: largest global norm of the gradient.
        ema_decay: decay of the moving average of the weights; the averaged weights are used.
        validate_every: steps between validations, checkpoints and rows of metrics.csv.
        patience: validations without improvement before stopping early; 0 never stops early.
        most_skipped: consecutive steps without a finite loss or gradient, each of which is skipped,
            after which training stops and lists their days in the run's stopped.json.
        warming_offset: augmentation: bounds [low, high] in kelvin of a uniformly drawn offset that
            is added to all air temperatures of a day, in source and target.
        spacing_jitter: augmentation: half-width of the uniform offset that is added, per step, to
            the logarithm of the source spacing that the network sees, so that it cannot recognise
            a source by its spacing.
        losses: loss of a target, by its name: "mse" (the default) or "mae"; for precipitation also
            "censored", the squared error of values cut at 0, or "gamma-weighted" (Doury et al.
            2024); for a model with `noise` "crps", the fair score of an ensemble; or one that an
            extension registers. A head with a distribution has its likelihood as loss. Weights are
            selected by validation RMSE, or by the fair CRPS for a model that makes members.
        members: ensemble members of each day in a step, for a model with `noise`.
        multiscale_km: radii of neighbourhoods; losses of ensembles, such as "crps", then include
            those of means over them, which gives members the texture of the truth.
        sample_storage: where the training days are kept: in "memory", or on "disk" in the run's
            folder, which needs little memory for periods of any length. Parameters are the same
            bit for bit.
        smoothing_km: augmentation: in each step, a uniformly drawn share in [0, 1] of the source
            fields is replaced by their mean within this distance; 0 turns it off.
        mean_shift: augmentation: largest shift of a predictor's mean, in its standard deviations,
            drawn uniformly for each step and predictor; precipitation is multiplied by exp(shift).
        variance_shift: augmentation: largest logarithm of the factor of a predictor's deviations
            from its mean, drawn in the same way; precipitation is multiplied by the factor.
        shifted_variables: names of the predictors that `mean_shift` and `variance_shift` change;
            all by default. Leaving out a predictor with much smaller errors than the others helps.
        noise: augmentation: standard deviation of independent noise at each node, day and
            predictor, in the predictor's standard deviations; for precipitation, a lognormal
            factor of mean 1.
        variable_dropout: augmentation: probability, for each day, that one of the experiment's
            `optional_predictors` is missing.
        ensemble: networks of different random weights that are trained side by side, each on days
            in its own order, and used as one emulator: their mean is the prediction, and each of
            them makes members (`downscale --members`).
        folds: blocks of whole years, or seasons, of `periods.train` and `periods.validation`
            together, for cross-validation where years are few: each network of the ensemble leaves
            one block out, in turns, with its `model.target_regression`. The days left out choose
            steps and penalties, and no year is lost for training. 0 validates on
            `periods.validation` alone.
        backend: JAX transformation that maps the step over the devices.
        devices: local devices to use; 0 means all.
        target_shards: number of devices among which the target's nodes and the edges to them are
            divided, for targets that are too large for one device; it needs the backend
            "shard_map" and must divide the number of devices. Days are divided among the groups.
    """

    steps: Annotated[int, Interval(gt=0, le=2**31 - 1)] = 2000
    batch_size: Annotated[int, Interval(gt=0, le=2**16)] = 16
    learning_rate: Annotated[float, Gt(0)] = 2e-3
    warmup_steps: Annotated[int, Ge(0)] = 100
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    clip_norm: Annotated[float, Gt(0)] = 1.0
    ema_decay: Annotated[float, Interval(ge=0, lt=1)] = 0.995
    validate_every: Annotated[int, Gt(0)] = 250
    patience: Annotated[int, Ge(0)] = 0
    most_skipped: Annotated[int, Gt(0)] = 20
    warming_offset: tuple[Kelvin, Kelvin] = (0.0, 0.0)
    spacing_jitter: Annotated[float, Interval(ge=0, le=10)] = 0.5
    smoothing_km: Annotated[float, Ge(0)] = 0.0
    mean_shift: Annotated[float, Ge(0)] = 0.0
    variance_shift: Annotated[float, Ge(0)] = 0.0
    shifted_variables: tuple[str, ...] = ()
    noise: Annotated[float, Ge(0)] = 0.0
    variable_dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    losses: dict[str, str] = field(default_factory=dict)
    members: Annotated[int, Interval(ge=1, le=2**10)] = 2
    multiscale_km: tuple[Annotated[float, Gt(0)], ...] = ()
    sample_storage: Literal["memory", "disk"] = "memory"
    ensemble: Annotated[int, Interval(ge=1, le=2**10)] = 1
    folds: Annotated[int, Interval(ge=0, le=2**10)] = 0
    backend: Literal["pmap", "shard_map"] = "pmap"
    devices: Annotated[int, Ge(0)] = 0
    target_shards: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        """Refuse numbers outside their ranges."""
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """How far fine-tuning may move the network from where it starts.

    Attributes:
        trainable: parameters that are trained: "all"; the "head" (last layer and each target node's
            own readout); the "norm" layers; the "encoder" (source to mesh); or "adapters", low-rank
            matrices beside every kernel (LoRA, Hu et al. 2021, arXiv 2106.09685), which are added
            to the kernels when the emulator is saved. Closed-form parts (`model.target_regression`,
            `model.eofs`) are never trained.
        rank: rank of the adapters.
        l2_sp: weight a of the penalty a/2 |w - w0|^2 on the distance of the network's weights w
            from their initial values w0 (L2-SP, Li et al. 2018, arXiv 1802.01483).
        layerwise_decay: factor of the learning rate from each stage to the one before it, counted
            from the target: head, target update, decoder, rounds of message passing, encoder.
        years: number of years to train on, the last ones of `periods.train`; the whole period by
            default; 0 leaves all weights unchanged.
        validation_share: share of the days of each month of those years, at its end, that is held
            out to choose when to stop; 0 leaves that to `periods.validation`.
        replay: share of the steps that use the sources and the years that the run itself was
            trained on, against forgetting them (experience replay, Rolnick et al. 2019, arXiv
            1811.11682); they have the same share in choosing when to stop. 0, or between 0.05
            and 0.95.
    """

    trainable: Literal["all", "head", "norm", "encoder", "adapters"] = "all"
    rank: Annotated[int, Ge(1)] = 4
    l2_sp: Annotated[float, Ge(0)] = 0.0
    layerwise_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0
    years: Annotated[int, Ge(0)] | None = None
    validation_share: Annotated[float, Interval(ge=0, lt=1)] = 0.2
    replay: Annotated[float, Interval(ge=0, le=0.95)] = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers outside their ranges."""
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class FinetuneSpec(FinetuneOptions):
    """The trained network that a run starts from instead of random weights.

    The experiment has the same variables, statistics, model and graph.

    Attributes:
        run: folder of the run that trained it.
        sha256: hash of its weights and statistics, filled in when the fine-tuning starts.
        replayed: names of the experiment's sources that are replayed.
    """

    run: str
    sha256: str | None = None
    replayed: tuple[str, ...] = ()


@dataclass(frozen=True)
class PretrainSpec:
    """Pretraining on the sources' fields alone, by reconstructing hidden source nodes.

    Attributes:
        hidden: share of the source nodes that are hidden in each step.
        scattered: share of the hidden nodes that are single nodes; the others form patches.
        patch_km: radius of the patches.
        region: degrees [west, south, east, north]; the target's region by default.
    """

    hidden: Annotated[float, Interval(gt=0, lt=1)] = 0.4
    scattered: Annotated[float, Interval(ge=0, le=1)] = 0.3
    patch_km: Annotated[float, Ge(0)] = 300.0
    region: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers outside their ranges."""
        check_ranges(self)


@dataclass(frozen=True)
class PretrainedSpec:
    """The pretraining whose encoder, rounds of message passing and statistics a run starts from.

    Attributes:
        run: folder of the pretraining.
        sha256: hash of its weights and statistics, filled in when the training starts.
    """

    run: str
    sha256: str | None = None
