"""Statistics that scale variables to the order of one, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graphdown.errors import DataError
from graphdown.model.channels import Channels, predictor_transforms
from graphdown.variables.catalogue import describe
from graphdown.variables.time_steps import start_of
from graphdown.variables.winds import corrected_winds

FLOATS = ("mean", "std", "base", "scale")
FLAT = 1e-6  # of a variable's size: spread that is rounding alone


@dataclass(frozen=True)
class Climate:
    """Statistics of a source's predictors over the target and a period.

    Attributes:
        mean, std: over days and over the source's nodes, weighted by their share in an
            interpolation to the target. So two grids with the same fields have the same climate,
            however far they extend beyond the target.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def is_flat(self, index: int) -> bool:
        """Whether a predictor is always and everywhere the same."""
        return bool(flat(np.asarray(self.mean[index]), np.asarray(self.std[index]) ** 2))


@dataclass(frozen=True)
class Normaliser:
    """Statistics of the training data; none has a dimension that depends on a grid.

    Attributes:
        predictors, targets: names.
        mean, std: of each of the network's input channels, see `inputs`.
        base: constant to add for a target that is no predictor, 0 for the others.
        scale: typical size of each target's correction.
        source_mean, source_std: with `standardise: per-source`, the climate to which each source's
            predictors are adjusted first, see `graphdown.data.source_adjustment`; else empty.
        optional_predictors: predictors that a source may lack.
        standardised: the variables that are adjusted to that climate, with their shares, 0 to 1;
            empty adjusts all of them fully.
        predictor_transforms: name of each predictor variable's transform, which enters the network
            beside the variable itself; that of the catalogue for variables that are left out.
        least, greatest: values of each predictor in training; empty if they are not known.
        attributes: units, standard_name, long_name and cell_methods of the variables as trained
            on, by name; see `graphdown.data.kept_attributes`.
    """

    predictors: tuple[str, ...]
    targets: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    base: tuple[float, ...]
    scale: tuple[float, ...]
    source_mean: tuple[float, ...] = ()
    source_std: tuple[float, ...] = ()
    optional_predictors: tuple[str, ...] = ()
    standardised: dict[str, float] = field(default_factory=dict)
    predictor_transforms: dict[str, str] = field(default_factory=dict)
    least: tuple[float, ...] = ()
    greatest: tuple[float, ...] = ()
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse statistics whose number differs from that of the names, and impossible ones."""
        transforms = predictor_transforms(self.predictors, self.predictor_transforms)
        object.__setattr__(self, "predictor_transforms", transforms)
        count, targets = len(self.inputs), len(self.targets)
        lengths = {"mean": count, "std": count, "base": targets, "scale": targets}
        for key, length in lengths.items():
            values = np.asarray(getattr(self, key), np.float64)
            if len(values) != length or not np.isfinite(values).all():
                raise ValueError(f"{key!r} must be {length} finite numbers")
            if key in ("std", "scale") and not (values > 0).all():
                raise ValueError(f"{key!r} must be positive")

    @property
    def known_units(self) -> dict[str, str]:
        """Units of the variables that the catalogue lacks, by name."""
        return {n: attrs["units"] for n, attrs in self.attributes.items() if "units" in attrs}

    @property
    def inputs(self) -> Channels:
        """The network's input channels, without flags."""
        return Channels.of(self.predictors, self.predictor_transforms)

    @property
    def channels(self) -> int:
        """Number of the network's input channels, flags included."""
        return len(self.mean) + len(self.optional_predictors)

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the predictors that every source must have."""
        return tuple(name for name in self.predictors if name not in self.optional_predictors)

    @property
    def reference(self) -> Climate | None:
        """The climate that each source is adjusted to, None without adjustment."""
        return Climate(self.source_mean, self.source_std) if self.source_mean else None

    @property
    def standardise(self) -> str:
        """How sources are standardised, as `Experiment.standardise` has it."""
        return "per-source" if self.source_mean else "shared"

    def standardising_to(
        self, reference: Climate | None, standardised: Mapping[str, float]
    ) -> "Normaliser":
        """Statistics for sources adjusted to the climate `reference`; unchanged if it is None."""
        if reference is None:
            return self
        mean, std = reference.mean, reference.std
        return replace(self, source_mean=mean, source_std=std, standardised=dict(standardised))

    def arrays(self) -> dict[str, np.ndarray]:
        """Statistics as the arrays that `graphdown.model.Scaling` holds."""
        names = self.predictors
        floats = {key: np.asarray(getattr(self, key), np.float32) for key in FLOATS}
        column, weight = self._starts()
        if weight.shape[1] > 1:
            floats["weight"] = weight.astype(np.float32)
        else:
            column = column[:, 0]
        integers = {"column": column}
        if self.optional_predictors:
            integers["flagged"] = np.asarray(
                [names.index(name) for name in self.optional_predictors]
            )
        winds = corrected_winds(self.targets, names)
        if winds:
            integers["winds"] = np.asarray(winds)
        return {**{k: v.astype(np.int32) for k, v in integers.items()}, **floats}

    def _starts(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictors that each target starts from and their weights, both [T, n].

        A target with fewer than others is padded with the index V, past the last one, and weight 0.
        """
        names = self.predictors
        starts = [start_of(target, self.targets, names) for target in self.targets]
        shape = len(starts), max([1, *map(len, starts)])
        column, weight = np.full(shape, len(names)), np.zeros(shape)
        for t, start in enumerate(starts):
            for k, (name, share) in enumerate(start.items()):
                column[t, k], weight[t, k] = names.index(name), share
        return column, weight

    def warmed(self) -> tuple[np.ndarray, ...]:
        """Masks of the predictors [V] and targets [T]: 1 for an air temperature, else 0."""
        return tuple(
            np.asarray([float(describe(n).is_temperature) for n in names], np.float32)
            for names in (self.predictors, self.targets)
        )

    def to_dict(self) -> dict[str, Any]:
        """Statistics as plain values."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Normaliser":
        """Rebuild from `to_dict`; raises a `ValueError` if the values are not valid."""
        from pydantic import TypeAdapter

        named = {name: values[name] for name in cls.__dataclass_fields__}
        return TypeAdapter(cls).validate_python(named)


def _plain(values: Sequence[Any] | Mapping[str, Any]) -> Any:
    if isinstance(values, Mapping):
        return {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()}
    return [float(v) if isinstance(v, int) else v for v in values]


def warming_spread(names: Sequence[str], offset: tuple[float, float]) -> np.ndarray:
    """Standard deviation in K of a uniformly drawn warming in each variable.

    Args:
        names: of the variables; those that are no air temperature get 0.
        offset: kelvin [low, high], as in `TrainingSpec.warming_offset`.
    """
    spread = (offset[1] - offset[0]) / np.sqrt(12.0)
    return np.asarray([spread * describe(name).is_temperature for name in names])


def to_channels(values: np.ndarray, channels: Channels) -> np.ndarray:
    """Channels [..., C] of variables [..., V], float32, not yet standardised."""
    return np.asarray(channels.values(values), np.float32)


class Moments:
    """Running mean and variance of values that are added in parts; missing ones do not count.

    The parts are merged as in Chan, Golub and LeVeque (1979, Stanford STAN-CS-79-773).

    Attributes:
        count, mean: of all values so far, float64, without their first axis.
        least, greatest: of them; infinite where there is none.
    """

    def __init__(self) -> None:
        self.count: np.ndarray = np.zeros(())
        self.mean: np.ndarray = np.zeros(())
        self.least: np.ndarray = np.full((), np.inf)
        self.greatest: np.ndarray = np.full((), -np.inf)
        self._squares: np.ndarray = np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """Add values [n, ...]."""
        values = np.asarray(values, np.float64)
        present = np.isfinite(values)
        count = present.sum(axis=0)
        mean = np.where(present, values, 0.0).sum(axis=0) / np.maximum(count, 1)
        squares = np.where(present, (values - mean) ** 2, 0.0).sum(axis=0)
        every = self.count + count
        share = count / np.maximum(every, 1)
        step = mean - self.mean
        self._squares = self._squares + squares + step**2 * self.count * share
        self.mean = self.mean + step * share
        self.count = every
        self.least = np.fmin(self.least, np.fmin.reduce(values, axis=0, initial=np.inf))
        self.greatest = np.fmax(self.greatest, np.fmax.reduce(values, axis=0, initial=-np.inf))

    @property
    def variance(self) -> np.ndarray:
        """Mean square about the mean, 0 where there is no value."""
        return self._squares / np.maximum(self.count, 1)


def fit_normaliser(
    predictors: Sequence[str],
    targets: Sequence[str],
    coarse: Sequence[Moments],
    corrections: Sequence[Moments],
    base: Sequence[float],
    transforms: Mapping[str, str],
) -> Normaliser:
    """Statistics of training data from one or several sources, with equal weights.

    The scale of a correction is its standard deviation about each node's mean.

    Args:
        predictors, targets: names.
        coarse: per source, of each of the channels of its predictors [C] over days and nodes.
        corrections: per source, of each target node [Nt, T] over days: target minus what it is
            corrected from. Nodes without any value, as over the sea, do not count.
        base: constants for the targets that are no predictors.
        transforms: names of the predictors' transforms, see `Normaliser`.

    Raises:
        DataError: no source has a predictor, or one has the same value everywhere and always.
    """
    there = np.stack([m.count > 0 for m in coarse])
    absent = ~there.any(axis=0)
    if absent.any():
        name = predictors[int(absent.argmax())]  # predictors themselves are the first channels
        raise DataError(
            f"No training source has {name!r}; drop it from 'predictors' and "
            "'optional_predictors', or add a source that has it."
        )
    mean = _over_sources([m.mean for m in coarse], there)
    variance = _over_sources([m.variance + (m.mean - mean) ** 2 for m in coarse], there)
    check_variance(predictors, mean, variance)
    count = len(predictors)
    return Normaliser(
        tuple(predictors),
        tuple(targets),
        _floats(mean),
        _floats(np.sqrt(variance)),
        _floats(base),
        _floats(_scale(corrections)),
        predictor_transforms=dict(transforms),
        least=_floats(np.min([m.least for m in coarse], axis=0)[:count]),
        greatest=_floats(np.max([m.greatest for m in coarse], axis=0)[:count]),
    )


def flat(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Whether values of such mean and variance differ by no more than their rounding."""
    return np.asarray(variance <= FLAT**2 * (mean**2 + variance))


def check_variance(predictors: Sequence[str], mean: np.ndarray, variance: np.ndarray) -> None:
    """Refuse predictors that have one value: a division by no spread would let others explode.

    Args:
        predictors: names.
        mean, variance: of the channels [C], of which the predictors are the first.

    Raises:
        DataError: one does.
    """
    for name, value, steady in zip(predictors, mean, flat(mean, variance), strict=False):
        if steady:
            raise DataError(
                f"The predictor {name!r} is {value:.4g} everywhere and always in training, so "
                "nothing can be learned from it; drop it from 'predictors' and "
                "'optional_predictors'."
            )


def _floats(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _scale(corrections: Sequence[Moments]) -> np.ndarray:
    """Typical size [T] of the corrections; of one that is always the same, a part of its size."""
    spread = np.sqrt(np.mean([_over_nodes(m) for m in corrections], axis=0))
    size = np.sqrt(np.mean([_over_nodes_squared(m) for m in corrections], axis=0))
    return np.asarray(np.maximum(spread, np.where(size > 0, FLAT * size, 1.0)))


def _over_sources(values: Sequence[np.ndarray], there: np.ndarray) -> np.ndarray:
    """Mean of values [sources, C] over the sources that have them."""
    return np.asarray(np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0))


def _over_nodes(moments: Moments) -> np.ndarray:
    """Mean variance [T] of the nodes [Nt, T] that have values."""
    present = moments.count > 0
    return np.where(present, moments.variance, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)


def _over_nodes_squared(moments: Moments) -> np.ndarray:
    """Mean square [T] over the nodes [Nt, T] that have values."""
    present = moments.count > 0
    squares = np.where(present, moments.variance + moments.mean**2, 0.0)
    return squares.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
