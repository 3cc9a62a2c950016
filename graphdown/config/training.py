"""The sections of an experiment on training: from scratch, fine-tuning, pretraining."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class TrainingSpec:
    """How the network is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: days per step, over all devices.
        learning_rate: peak rate, reached after the warm-up; cosine decay to zero follows.
        warmup_steps: steps of linear warm-up.
        weight_decay: decoupled weight decay (AdamW).
        clip_norm: largest global norm of the gradient.
        ema_decay: decay of the moving average of the weights, which is what is used.
        validate_every: steps between validations, checkpoints and rows of metrics.csv.
        patience: validations without improvement before stopping early; 0 never stops early.
        most_skipped: steps in a row that may be skipped because their loss or gradient was not
            finite before training stops, and names their days in the run's stopped.json.
        warming_offset: augmentation: the same uniformly drawn number of kelvin [low, high] is
            added to all air temperatures of a day, source and target.
        spacing_jitter: augmentation: half-width of the uniform offset that is added, per step, to
            the logarithm of the source spacing as the network sees it; else the spacing of a
            training grid would serve to recognise its source, and that of another mislead.
        losses: loss of a target, by its name: "mse" if not given, "mae", for precipitation
            "censored", the squared error of what is cut at 0, or "gamma-weighted" (Doury et al.
            2024), or "crps", the fair score of an ensemble, for a model with `noise`, or one that
            an extension registers; a head with a distribution has its likelihood. Weights are
            chosen by validation RMSE, of a model that makes members by their fair CRPS.
        members: of each day in a step, for a model with `noise`.
        multiscale_km: adds to losses of ensembles, such as "crps", those of means over
            neighbourhoods of these radii, so that members have the truth's texture.
        sample_storage: where the days to learn from are kept: in "memory", or on "disk", in the
            run's folder, which takes little memory however long the periods are. Parameters are the
            same bit for bit. `model.target_regression` and `model.eofs` are fitted in memory all
            the same.
        smoothing_km: augmentation: in each step, a uniformly drawn share in [0, 1] of the source
            fields is replaced by their mean within this distance; 0 leaves them as they are.
        mean_shift: augmentation: largest shift of a predictor's mean, in its standard deviations,
            drawn uniformly for each step and predictor; precipitation is multiplied by exp(shift).
        variance_shift: augmentation: largest logarithm of the factor of a predictor's deviations
            from its mean, drawn likewise; precipitation is multiplied by the factor.
        shifted_variables: the predictors that `mean_shift` and `variance_shift` change, by name;
            all if not given. It pays to leave out one whose errors are much smaller than others'.
        noise: augmentation: size of independent noise at each node, day and predictor, in standard
            deviations; for precipitation a lognormal factor of mean 1.
        variable_dropout: augmentation: probability, for each day, that one of the experiment's
            `optional_predictors` is missing.
        backend: how the step is mapped over the devices.
        devices: local devices to use; 0 means all.
        target_shards: devices that share the target's nodes and the edges to them between them,
            for targets that are too large for one; needs the backend "shard_map". The others share
            the days. It must divide the number of devices.
    """

    steps: int = 2000
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    ema_decay: float = 0.995
    validate_every: int = 250
    patience: int = 0
    most_skipped: int = 20
    warming_offset: tuple[float, float] = (0.0, 0.0)
    spacing_jitter: float = 0.5
    smoothing_km: float = 0.0
    mean_shift: float = 0.0
    variance_shift: float = 0.0
    shifted_variables: tuple[str, ...] = ()
    noise: float = 0.0
    variable_dropout: float = 0.0
    losses: dict[str, str] = field(default_factory=dict)
    members: int = 2
    multiscale_km: tuple[float, ...] = ()
    sample_storage: Literal["memory", "disk"] = "memory"
    backend: Literal["pmap", "shard_map"] = "pmap"
    devices: int = 0
    target_shards: int = 1


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """How far fine-tuning may lead away from the network that it starts from.

    Attributes:
        trainable: which parameters move: "all"; the "head" (last layer and each target node's own
            readout); the "norm" layers; the "encoder" (source to mesh); or "adapters", low-rank
            matrices beside every kernel (LoRA, Hu et al. 2021, arXiv 2106.09685), which are added
            to the kernels when the emulator is saved. Closed-form parts (`model.target_regression`,
            `model.eofs`) never move.
        rank: of the adapters.
        l2_sp: weight a of the penalty a/2 |w - w0|^2 on the distance of the network's weights from
            those that it started with (L2-SP, Li et al. 2018, arXiv 1802.01483).
        layerwise_decay: factor of the learning rate from each stage to the one before it, counted
            from the target: head, target update, decoder, rounds of message passing, encoder.
        years: use the last so many years of `periods.train`; 0 leaves all weights unchanged; if
            not given, the whole period.
        validation_share: share of the days of each month of those years, at its end, that is not
            learned from but chooses when to stop; 0 lets `periods.validation` choose.
        replay: share of the steps that go on with the sources, and the years, that the run itself
            learned from, against forgetting them (experience replay, Rolnick et al. 2019, arXiv
            1811.11682); they have the same share in choosing when to stop.
    """

    trainable: Literal["all", "head", "norm", "encoder", "adapters"] = "all"
    rank: int = 4
    l2_sp: float = 0.0
    layerwise_decay: float = 1.0
    years: int | None = None
    validation_share: float = 0.2
    replay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FinetuneSpec(FinetuneOptions):
    """The network that a run starts from, instead of random weights, and how it moves from there.

    Its variables, statistics, model and graph are those of the experiment.

    Attributes:
        run: folder of the run that trained it.
        sha256: hash of its weights and statistics; filled in when the fine-tuning starts.
        replayed: names of the experiment's sources that are replayed.
    """

    run: str
    sha256: str | None = None
    replayed: tuple[str, ...] = ()


@dataclass(frozen=True)
class PretrainSpec:
    """Learning from the sources' fields alone: hidden source nodes are to be reconstructed.

    Attributes:
        hidden: share of the source nodes that are hidden in each step, in (0, 1).
        scattered: share of these that are single nodes; the others form patches.
        patch_km: radius of the patches.
        region: degrees [west, south, east, north]; that of the target if not given.
    """

    hidden: float = 0.4
    scattered: float = 0.3
    patch_km: float = 300.0
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class PretrainedSpec:
    """The pretraining whose encoder, rounds of message passing and statistics a run starts from.

    Attributes:
        run: folder of the pretraining.
        sha256: hash of its weights and statistics; filled in when the training starts.
    """

    run: str
    sha256: str | None = None
