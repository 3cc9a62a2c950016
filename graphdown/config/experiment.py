"""One experiment as frozen dataclasses, read from one YAML file."""

import contextlib
import dataclasses
import datetime
import difflib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from zlib import crc32

from graphdown.config.packaged import find_config
from graphdown.config.synthetic import WorldSpec
from graphdown.errors import ExperimentError
from graphdown.model.spec import ModelSpec
from graphdown.runtime.atomic import write_durably
from graphdown.variables.names import DAILY_EXTREMES, NON_NEGATIVE, check_names
from graphdown.variables.time_steps import TimeSpec
from meshes import GraphSpec, RandomGrids

DEEPEST, MOST_VALUES = 50, 100_000  # of the values in a YAML file
MOST_WARMING = 100.0  # kelvin
MOST = {"batch_size": 2**16, "members": 2**10, "spacing_jitter": 10, "steps": 2**31 - 1}
Daily = Literal["mean", "max", "min", "sum"]
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Static:
    """A field without time, from a file on any grid; it is interpolated to the target grid.

    Attributes:
        file: netCDF file.
        variable: its name there.
    """

    file: str
    variable: str


@dataclass(frozen=True)
class Target:
    """The regional model's or observations' fields that the network learns to make.

    Attributes:
        files: netCDF, zarr or GRIB paths or globs, joined along time and by variable.
        units: units of variables that carry none or wrong ones.
        rename: name in the file: CF/CMIP name.
        daily: how sub-daily values become daily ones; tasmax and tasmin always become maximum and
            minimum.
        select: index to take of a dimension beside time and space, as in {member: 0}.
        accumulated: variables whose totals run up from 00 UTC of each day.
        cut: dimension: [first, end) index, to use a part of the grid.
        statics: orog (m) and sftlf (1) of the target, where they are not in the files.
    """

    files: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    daily: Daily | None = None
    select: dict[str, int] = field(default_factory=dict)
    accumulated: tuple[str, ...] = ()
    cut: dict[str, tuple[int, int]] = field(default_factory=dict)
    statics: dict[Literal["orog", "sftlf"], Static] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Predictors on their own grid, from exactly one of files, a view of the world, an upscaling.

    Attributes:
        name: how tables call it.
        files: netCDF, zarr or GRIB paths or globs, joined along time and by variable; a variable
            on another grid than the first predictor is interpolated to its grid, bilinearly.
        units, rename, daily, select, accumulated: as for the target.
        view: name of a view of the embedded world.
        upscale: perfect framework: block means of this many cells along each dimension; 1 with
            `grids`.
        grids: upscale the fields conservatively to random grids, another one in each step of
            training; validation and evaluation use further ones.
        target_files: the target's files that go with this source's days, if others than those of
            `data.target`: the same regional model, driven by this GCM. They hold the same grid;
            units, names and all else are as for `data.target`.
    """

    name: str
    files: tuple[str, ...] = ()
    units: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    daily: Daily | None = None
    select: dict[str, int] = field(default_factory=dict)
    accumulated: tuple[str, ...] = ()
    view: str | None = None
    upscale: int | None = None
    grids: RandomGrids | None = None
    target_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSpec:
    """Where the fields come from: files, or the embedded world.

    Attributes:
        target: files of the target; pretraining in a `region` needs none.
        world: the embedded world, instead of a target in files.
        sources: sources to train on.
        unseen: sources that are only evaluated on.
    """

    sources: tuple[Source, ...]
    target: Target | None = None
    world: WorldSpec | None = None
    unseen: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Periods:
    """First and last day or month of each part, inclusive, as in ["1982-12", "2000-02"].

    Attributes:
        train: learned from.
        validation: chooses the stopping point and the baselines' settings.
        test: opened once, at the end.
    """

    train: tuple[str, str]
    validation: tuple[str, str]
    test: tuple[str, str]


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
            2024), or "crps", the fair score of an ensemble, for a model with `noise`; a head
            "bernoulli-gamma" has its likelihood. Weights are chosen by validation RMSE, of a model
            that makes members by their fair CRPS.
        members: of each day in a step, for a model with `noise`.
        multiscale_km: adds to the loss "crps" that of means over neighbourhoods of these radii, so
            that members have the truth's texture.
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
    losses: dict[str, Literal["mse", "mae", "censored", "gamma-weighted", "crps"]] = field(
        default_factory=dict
    )
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


def load_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: the file; `${NAME}` in a value is replaced by the environment variable.
        overrides: "key.sub=value" strings, values in YAML, applied over the file.

    Raises:
        ExperimentError: the file, a key or a value is wrong; the message names it.
    """
    return parse_experiment(apply_overrides(read_yaml(path), overrides), str(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    Raises:
        ExperimentError: there is no such file, or it holds something else.
    """
    path = find_config(path)
    if not path.is_file():
        raise ExperimentError(f"The experiment file {str(path)!r} does not exist; check the path.")
    try:
        raw = _yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ExperimentError(f"{path} is not valid YAML: {error}.") from None
    if not isinstance(raw, dict):
        raise ExperimentError(f"{path} must hold 'key: value' lines such as 'name: my run'.")
    return raw


def _yaml(text: str) -> Any:
    """Return the plain values of a YAML text; a `ValueError` if it is none, or a trap.

    A few aliases in each other stand for more values than any memory holds.
    """
    import yaml

    try:
        value = yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())[:500].rstrip(".")) from None
    waiting, seen = [(value, 0)], 0
    while waiting:
        own, depth = waiting.pop()
        inner = list(own.values()) if isinstance(own, dict) else own
        if isinstance(inner, list):
            waiting += [(v, depth + 1) for v in inner]
        seen += 1
        if depth > DEEPEST or seen + len(waiting) > MOST_VALUES:
            raise ValueError("its aliases or nesting make too many values")
    return value


def parse_experiment(raw: Mapping[str, Any], where: str) -> Experiment:
    """Turn a nested mapping into an Experiment.

    Args:
        raw: the experiment's keys and values.
        where: what to call the mapping in messages.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    experiment = parse_as(Experiment, _expand(raw, where, ()), where)
    _check(experiment, where)
    return experiment


def parse_as(kind: type[Kind], raw: Mapping[str, Any], where: str) -> Kind:
    """Turn a nested mapping into a dataclass.

    Args:
        kind: the dataclass.
        raw: keys and values.
        where: what to call the mapping in messages.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    from pydantic import ConfigDict, ValidationError, create_model

    # Unlike a TypeAdapter's, a model's configuration reaches the dataclasses within.
    reader = create_model("Reader", __config__=ConfigDict(extra="forbid"), parsed=(kind, ...))
    try:
        return reader(parsed=raw).parsed  # type: ignore[attr-defined]
    except ValidationError as error:
        raise ExperimentError(f"{where}: {_sentence(dict(error.errors()[0]), kind)}") from None


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as nested dicts and lists, as its YAML file would hold it."""
    return _plain(dataclasses.asdict(experiment))


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Write the resolved experiment as YAML, with its checksum as a comment at the end."""
    import yaml

    text = yaml.safe_dump(experiment_to_dict(experiment), sort_keys=False, allow_unicode=True)
    write_durably(path, text + _sum_line(text))


def as_written(path: Path) -> bool:
    """Tell whether a file is as `write_experiment` wrote it."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return bool(lines) and lines[-1] == _sum_line("".join(lines[:-1]))


def _sum_line(text: str) -> str:
    return f"# The checksum (CRC-32) of the lines above: {crc32(text.encode()):08x}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Put "key.sub=value" strings, values in YAML, into nested dicts, and return these.

    Raises:
        ExperimentError: an override is no such string, or goes into a plain value.
    """
    for override in overrides:
        _apply_override(raw, override)
    return raw


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ExperimentError(f"{override!r} is no override; write it as key.sub=value.")
    try:
        value = _yaml(text)
    except ValueError:
        raise ExperimentError(
            f"The value in the override {override!r} is not valid YAML; put it in quotes."
        ) from None
    put(raw, key, value, f"The override {override!r}")


def put(raw: dict[str, Any], key: str, value: Any, what: str) -> None:
    """Put a value under "key.sub" into nested dicts.

    Raises:
        ExperimentError: the key goes into a plain value; the message begins with `what`.
    """
    *parents, last = key.split(".")
    node: Any = raw
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ExperimentError(f"{what} goes into {parent!r}, a plain value.")
    node[last] = value


def _expand(value: Any, where: str, keys: tuple[str, ...]) -> Any:
    """Replace ${NAME} by environment variables, everywhere."""
    if isinstance(value, Mapping):
        return {k: _expand(v, where, (*keys, str(k))) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_expand(v, where, (*keys, str(i))) for i, v in enumerate(value)]
    if isinstance(value, datetime.date) or (keys[:1] == ("periods",) and isinstance(value, int)):
        return str(value)  # YAML reads 1990-01-01 as a date and 1990 as a number
    if not isinstance(value, str):
        return value
    for name in re.findall(r"\$\{(\w+)\}", value):
        if name not in os.environ:
            raise ExperimentError(
                f"{where}: '{'.'.join(keys)}' uses the environment variable {name}, which is not "
                f"set; run 'export {name}=...' first."
            )
        value = value.replace("${" + name + "}", os.environ[name])
    return value


def _sentence(error: dict[str, Any], kind: type) -> str:
    """Say one validation error in a sentence that names the key and the cure."""
    places = error["loc"][1:]
    location = [str(part) for part in places]
    key = ".".join(location)
    problem = error["type"]
    if problem in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys_at(kind, places[:-1])
        close = difflib.get_close_matches(location[-1], known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}."
        return f"unknown key {key!r}; {cure}"
    if problem == "missing" and isinstance(places[-1], int):
        return f"{'.'.join(location[:-1])!r} has too few entries; write [first, last]."
    if problem in ("missing", "missing_argument"):
        return f"the key {key!r} is missing; add it."
    if problem == "value_error":
        return f"{key!r}: {str(error['ctx']['error']).rstrip('.')}."
    given = error.get("input")
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{key!r} is {given!r}, but {message.replace('input should be', 'it must be')}."


def _keys_at(kind: Any, location: Sequence[Any]) -> list[str]:
    """Return the keys that the dataclass at a location of another one knows."""
    for part in location:
        if isinstance(part, int):
            kind = get_args(kind)[0]
            continue
        if dataclasses.is_dataclass(kind):
            kinds = {f.name: f.type for f in dataclasses.fields(kind)}
            kind = kinds.get(str(part), kind)
        else:
            arguments = get_args(kind)
            kind = arguments[-1] if arguments else kind
        options = [a for a in get_args(kind) if dataclasses.is_dataclass(a)]
        if options and type(None) in get_args(kind):
            kind = options[0]
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def _check(experiment: Experiment, where: str) -> None:
    """Refuse values that have the right type and make no sense."""
    pretrain = experiment.pretrain
    alone = pretrain is not None and pretrain.region is not None
    needless = ("targets",) if pretrain is not None and experiment.data.target is None else ()
    for key in ("predictors", "targets"):
        if not getattr(experiment, key) and key not in needless:
            raise ExperimentError(f"{where}: {key!r} is empty; name at least one variable.")
        try:
            check_names(getattr(experiment, key))
        except ValueError as error:
            raise ExperimentError(f"{where}: {key!r}: {error}; correct it.") from None
    _check_data(experiment.data, alone, where)
    _check_baselines(experiment.baselines, where)
    for name in ("train", "validation", "test"):
        _check_period(getattr(experiment.periods, name), f"{where}: 'periods.{name}'")
    positive = (
        "steps",
        "batch_size",
        "learning_rate",
        "validate_every",
        "clip_norm",
        "most_skipped",
    )
    for key in positive:
        if not getattr(experiment.training, key) > 0:
            raise ExperimentError(f"{where}: 'training.{key}' must be greater than 0.")
    if not 0 <= experiment.training.ema_decay < 1:
        raise ExperimentError(f"{where}: 'training.ema_decay' must lie in [0, 1).")
    for key in ("smoothing_km", "mean_shift", "variance_shift", "noise", "variable_dropout"):
        if not getattr(experiment.training, key) >= 0:
            raise ExperimentError(f"{where}: 'training.{key}' must not be negative.")
    for key, most in MOST.items():
        if not getattr(experiment.training, key) <= most:
            raise ExperimentError(f"{where}: 'training.{key}' must be at most {most:,}.")
    if not all(abs(kelvin) <= MOST_WARMING for kelvin in experiment.training.warming_offset):
        raise ExperimentError(
            f"{where}: 'training.warming_offset' must lie within {MOST_WARMING:g} K of 0."
        )
    _check_names(experiment, where)
    _check_may_lack(experiment, where)
    _check_heads(experiment, where)
    _check_time(experiment, where)
    if experiment.finetune is not None:
        _check_finetune(experiment.finetune, where)
    if experiment.finetune is not None and experiment.pretrained is not None:
        raise ExperimentError(
            f"{where}: 'finetune' and 'pretrained' both say what to start from; drop one."
        )
    if pretrain is not None:
        _check_pretrain(pretrain, experiment, where)


def _check_names(experiment: Experiment, where: str) -> None:
    """Check that settings by variable name known ones, and that those they refine are in use."""
    model, training = experiment.model, experiment.training
    of_targets: dict[str, Collection[str]] = {
        "model.heads": model.heads,
        "model.transforms": model.transforms,
        "training.losses": training.losses,
        "model.regression_targets": model.regression_targets,
    }
    of_predictors: dict[str, Collection[str]] = {
        "optional_predictors": experiment.optional_predictors,
        "training.shifted_variables": training.shifted_variables,
        "standardised_variables": experiment.standardised_variables,
    }
    for kind, known, settings in (
        ("target", experiment.targets, of_targets),
        ("predictor", experiment.predictors, of_predictors),
    ):
        for key, names in settings.items():
            for name in names:
                if name not in known:
                    raise ExperimentError(
                        f"{where}: {key!r} names {name!r}, which is no {kind}; drop it there."
                    )
    refined = (
        (
            "model.regression_targets",
            model.target_regression,
            "'model.target_regression', which is 0; set that, or drop the targets.",
        ),
        (
            "training.shifted_variables",
            training.mean_shift or training.variance_shift,
            "'training.mean_shift' and 'training.variance_shift', which are 0; set one of them, or "
            "drop the variables.",
        ),
        (
            "standardised_variables",
            experiment.standardise == "per-source",
            "'standardise: per-source'; set that, or drop the variables.",
        ),
    )
    for name, share in experiment.standardised_variables.items():
        if not 0.0 < share <= 1.0:
            raise ExperimentError(
                f"{where}: 'standardised_variables' gives {name!r} the share {share:g}; it must "
                "be above 0 and at most 1."
            )
    for key, used, cure in refined:
        if (of_targets | of_predictors)[key] and not used:
            raise ExperimentError(f"{where}: {key!r} is for {cure}")


def _check_may_lack(experiment: Experiment, where: str) -> None:
    names, model = experiment.optional_predictors, experiment.model
    for name in names:
        if name in experiment.targets:
            raise ExperimentError(
                f"{where}: 'optional_predictors' names {name!r}, a target, whose prediction starts "
                "from the source's own; drop it there."
            )
    if names and (model.eofs or model.target_regression):
        raise ExperimentError(
            f"{where}: 'optional_predictors' does not go with 'model.eofs' and "
            "'model.target_regression', which need every predictor; set these to 0."
        )
    dropout = experiment.training.variable_dropout
    if dropout >= 1 or (dropout and not names):
        raise ExperimentError(
            f"{where}: 'training.variable_dropout' is {dropout:g}, but must be less than 1, and "
            "'optional_predictors' must name what is dropped."
        )


def _check_heads(experiment: Experiment, where: str) -> None:
    """Check heads, transforms and losses, and that they go together."""
    model, training = experiment.model, experiment.training
    rain = {name for name, head in model.heads.items() if head == "bernoulli-gamma"}
    weighted = {name for name, loss in training.losses.items() if loss == "gamma-weighted"}
    scored = {name for name, loss in training.losses.items() if loss == "crps"}
    censored = {name for name, loss in training.losses.items() if loss == "censored"}
    for key, kind, chosen in (
        ("model.heads", "bernoulli-gamma", rain),
        ("training.losses", "gamma-weighted", weighted),
        ("training.losses", "censored", censored),
    ):
        for name in sorted(chosen):
            if name not in NON_NEGATIVE:
                raise ExperimentError(
                    f"{where}: {key!r} gives {name!r} {kind!r}, which is for amounts that are "
                    f"never negative: {', '.join(NON_NEGATIVE)}."
                )
            if name in model.transforms and kind != "censored":
                raise ExperimentError(
                    f"{where}: {name!r} has {kind!r}, which takes it in mm/day, and a transform; "
                    "drop that in 'model.transforms'."
                )
    for name in sorted(rain & set(training.losses)):
        raise ExperimentError(
            f"{where}: 'training.losses' names {name!r}, whose head 'bernoulli-gamma' has its "
            "likelihood as loss; drop it there."
        )
    if bool(scored) != bool(model.noise):
        raise ExperimentError(
            f"{where}: the loss 'crps' and 'model.noise' belong together; give a target that loss "
            "and the model some noise, as in 'noise: 16', or neither."
        )
    if scored and training.members < 2:
        raise ExperimentError(
            f"{where}: 'training.members' is {training.members}, but the loss 'crps' needs 2 or "
            "more."
        )
    if training.multiscale_km and (not scored or min(training.multiscale_km) <= 0):
        raise ExperimentError(
            f"{where}: 'training.multiscale_km' holds radii greater than 0, and adds to the loss "
            "'crps' only; leave it empty without one."
        )


def _check_time(experiment: Experiment, where: str) -> None:
    """Check steps in time, and what does not go with them."""
    time, model = experiment.time, experiment.model
    others = {
        "model.eofs": bool(model.eofs),
        "pretrain": experiment.pretrain is not None,
        "pretrained": experiment.pretrained is not None,
    }
    for key, is_given in others.items():
        if is_given and time != TimeSpec():
            raise ExperimentError(
                f"{where}: {key!r} knows single days only and does not go with 'time'; drop one."
            )
    if experiment.data.world is not None and (not time.is_daily or time.substeps > 1):
        raise ExperimentError(
            f"{where}: the embedded world is daily; leave out 'time.step_hours' and "
            "'time.substeps'."
        )
    extremes = [name for name in experiment.targets if name in DAILY_EXTREMES]
    if time.substeps > 1 and extremes:
        raise ExperimentError(
            f"{where}: 'targets' names {extremes[0]!r}, an extreme of a day, which has no "
            "sub-steps; take 'tas'."
        )
    if not model.conserve_mean:
        return
    if time.substeps == 1:
        raise ExperimentError(
            f"{where}: 'model.conserve_mean' is about the sub-steps of a step; set "
            "'time.substeps' or drop it."
        )
    if model.heads or model.transforms:
        raise ExperimentError(
            f"{where}: 'model.conserve_mean' does not go with 'model.heads' and "
            "'model.transforms', in which means are other ones; drop it or them."
        )


def _check_finetune(spec: FinetuneSpec, where: str) -> None:
    right = {
        "rank": (spec.rank >= 1, "be at least 1"),
        "l2_sp": (spec.l2_sp >= 0, "not be negative"),
        "layerwise_decay": (0 < spec.layerwise_decay <= 1, "be greater than 0 and at most 1"),
        "years": (spec.years is None or spec.years >= 0, "not be negative"),
        "validation_share": (0 <= spec.validation_share < 1, "lie in [0, 1)"),
        "replay": (0.05 <= spec.replay <= 0.95 or not spec.replay, "be 0 or lie in [0.05, 0.95]"),
    }
    _demand(right, spec, "finetune", where)
    if bool(spec.replay) != bool(spec.replayed):
        raise ExperimentError(
            f"{where}: 'finetune.replay' and 'finetune.replayed', the sources, belong together; "
            "'graphdown finetune --replay' names the sources of the run."
        )


def _check_pretrain(spec: PretrainSpec, experiment: Experiment, where: str) -> None:
    west, south, east, north = spec.region or (0.0, 0.0, 1.0, 1.0)
    inside = west < east <= west + 360 and -90 <= south < north <= 90
    right = {
        "hidden": (0 < spec.hidden < 1, "lie in (0, 1)"),
        "scattered": (0 <= spec.scattered <= 1, "lie in [0, 1]"),
        "patch_km": (spec.patch_km >= 0, "not be negative"),
        "region": (inside, "hold degrees [west, south, east, north]"),
    }
    _demand(right, spec, "pretrain", where)
    for source in experiment.data.sources:
        if source.grids is not None or (source.upscale and experiment.data.target is None):
            key = "grids" if source.grids is not None else "upscale"
            raise ExperimentError(
                f"{where}: pretraining takes the source {source.name!r} as it is; drop its {key!r}."
            )
    for key in ("finetune", "pretrained"):
        if getattr(experiment, key) is not None:
            raise ExperimentError(f"{where}: pretraining starts from nothing; drop {key!r}.")


def _demand(right: Mapping[str, tuple[bool, str]], spec: Any, section: str, where: str) -> None:
    """Refuse the first key of a section that is not right."""
    for key, (is_right, demand) in right.items():
        if not is_right:
            raise ExperimentError(
                f"{where}: '{section}.{key}' is {getattr(spec, key)}, but must {demand}."
            )


def _check_baselines(names: Sequence[str], where: str) -> None:
    from graphdown.baselines import NETWORKS, QUICK

    known = (*QUICK, *NETWORKS)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
            raise ExperimentError(f"{where}: 'baselines' names {name!r}, no baseline; {cure}")
        if list(names).count(name) > 1:
            raise ExperimentError(f"{where}: 'baselines' names {name!r} twice; drop one.")


def _check_data(data: DataSpec, alone: bool, where: str) -> None:
    """Check sources and target; sources alone may go without a target."""
    missing = data.target is None and data.world is None
    if (missing and not alone) or (data.target is not None and data.world is not None):
        raise ExperimentError(
            f"{where}: 'data' needs either 'target' (files) or 'world' (the embedded world)."
        )
    if data.target is not None and not data.target.files:
        raise ExperimentError(f"{where}: 'data.target.files' is empty; name the target's files.")
    if not data.sources:
        raise ExperimentError(f"{where}: 'data.sources' is empty; name a source to train on.")
    every = [*data.sources, *data.unseen]
    names = [source.name for source in every]
    for name in names:
        if names.count(name) > 1:
            raise ExperimentError(f"{where}: two sources are called {name!r}; rename one.")
        # Files and folders are called after it.
        if not re.fullmatch(r"[^/\\\x00-\x1f]{1,100}", name) or name in (".", ".."):
            raise ExperimentError(
                f"{where}: a source is called {name!r}; call it by 1 to 100 characters without "
                "slashes."
            )
    for source in every:
        given = [bool(source.files), source.view is not None, source.upscale is not None]
        if sum(given) != 1:
            raise ExperimentError(
                f"{where}: the source {source.name!r} needs exactly one of 'files', 'view' and "
                "'upscale'."
            )
        if source.view is not None and data.world is None:
            raise ExperimentError(
                f"{where}: the source {source.name!r} is a view, but 'data.world' is not given."
            )
        if source.target_files and data.target is None:
            raise ExperimentError(
                f"{where}: the source {source.name!r} has 'target_files', but there is no "
                "'data.target', which says how to read them; give that, with files of its own."
            )
        least = 1 if source.grids else 2
        if source.upscale is not None and source.upscale < least:
            raise ExperimentError(
                f"{where}: 'upscale' of the source {source.name!r} must be at least {least}."
            )


def _check_period(period: tuple[str, str], where: str) -> None:
    import pandas as pd

    ends = []
    for text in period:
        end: pd.Period | None = None
        with contextlib.suppress(ValueError):
            end = pd.Period(text)
        if not isinstance(end, pd.Period):
            raise ExperimentError(
                f"{where} holds {text!r}, which is no date; write YYYY, YYYY-MM or YYYY-MM-DD."
            )
        ends.append(end)
    if ends[0].start_time > ends[1].end_time:
        raise ExperimentError(
            f"{where} is empty: it ends ({period[1]}) before it begins ({period[0]}); swap them."
        )
