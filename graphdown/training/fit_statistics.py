"""Fit the statistics of the training days, by which the network's input and output are scaled."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from graphdown.data.normalise import Moments, Normaliser, fit_normaliser, to_channels
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.eofs import EOFs
from graphdown.model.arrays import interpolation, most_donors
from graphdown.model.channels import Channels, predictor_transforms
from graphdown.model.optimal_interpolation import LeftOut, estimate
from graphdown.model.transforms import transformed
from graphdown.training.paired_days import PairedDays, parts, validation_grids
from graphdown.variables.time_steps import start_of
from graphdown.variables.winds import carried, corrected_winds
from meshes import Grid, bilinear
from meshes.geometry.sphere import east_and_north

Start = Callable[[np.ndarray, np.ndarray, slice], np.ndarray]

estimated = jax.jit(estimate)


def fit_statistics(
    days: Sequence[PairedDays],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    domain: TargetDomain,
    transforms: tuple[str, ...] = (),
    of_predictors: Mapping[str, str] = MappingProxyType({}),
) -> Normaliser:
    """Fit the statistics of the training days of all sources, each source counting alike.

    Those of a source with a bank are of the grids that training leaves out.

    Args:
        days: of each source.
        predictors, targets: names.
        domain: the target.
        transforms: of the targets, in whose spaces corrections are taken.
        of_predictors: transforms of predictors by variable, where not the catalogue's.
    """
    entering_by = predictor_transforms(predictors, of_predictors)
    inputs = Channels.of(predictors, entering_by)
    coarse, corrections, means = [], [], []
    for source in days:
        for number in validation_grids(source.bank):
            entering, correction, fine = Moments(), Moments(), Moments()
            start = _start(source, source.on_grid(number), predictors, targets, domain)
            for part in parts(source.fine, source.source):
                values, truth = source.seen(part, number), source.fine[part]
                channels = to_channels(values, inputs)
                entering.add(channels.reshape(-1, channels.shape[-1]))
                correction.add(_difference(truth, start(values, truth, part), transforms))
                fine.add(truth.reshape(-1, len(targets)))
            coarse.append(entering)
            corrections.append(correction)
            means.append(fine.mean)
    mean = np.mean(means, axis=0)
    base = [
        0.0 if start_of(t, targets, predictors) else float(m)
        for t, m in zip(targets, mean, strict=True)
    ]
    return fit_normaliser(predictors, targets, coarse, corrections, base, entering_by)


def _difference(truth: np.ndarray, start: np.ndarray, transforms: tuple[str, ...]) -> np.ndarray:
    """Corrections that the network is to make, in the spaces of the transforms."""
    if not transforms:
        return truth - start
    whole, known = (np.asarray(transformed(jnp.asarray(v), transforms)) for v in (truth, start))
    return whole - known


def _start(
    source: PairedDays,
    grid: Grid,
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    domain: TargetDomain,
) -> Start:
    """The fields that the network corrects, as a function of some days.

    It takes predictors on the grid, targets [time, Nt, T], and which days these are. A constant
    that the network starts from does not matter for the spread and counts as 0.
    """
    if domain.eofs is None:
        return _interpolation(grid, predictors, targets, domain)
    return _estimate(source, grid, domain, domain.eofs)


def _estimate(source: PairedDays, grid: Grid, domain: TargetDomain, eofs: EOFs) -> Start:
    """Estimate by the EOFs, made without the days themselves."""
    weights = bilinear(grid, domain.target)
    to_target = interpolation(weights, most_donors(weights))
    observation, patterns, share = eofs.observation(grid), domain.patterns(), source.share
    assert share is not None

    def start(values: np.ndarray, fine: np.ndarray, days: slice) -> np.ndarray:
        by_node, truth = np.swapaxes(values, 0, 1), np.swapaxes(fine, 0, 1)
        left_out = LeftOut(by_node, truth, share[days])
        fields = estimated(by_node, observation, patterns, eofs.columns, to_target, left_out)
        return np.swapaxes(fields, 0, 1)

    return start


def _interpolation(
    grid: Grid, predictors: tuple[str, ...], targets: tuple[str, ...], domain: TargetDomain
) -> Start:
    """Interpolation of the predictors that the targets start from."""
    weights = bilinear(grid, domain.target)
    columns = [
        [(predictors.index(n), share) for n, share in start_of(t, targets, predictors).items()]
        for t in targets
    ]

    axes = [east_and_north(points.xyz) for points in (grid, domain.target)]

    def start(values: np.ndarray, _fine: np.ndarray, _days: slice) -> np.ndarray:
        fields = [
            np.sum([share * weights.apply(values[..., i]) for i, share in column], axis=0)
            if column
            else np.zeros((len(values), domain.target.size))
            for column in columns
        ]
        for u, v in corrected_winds(targets, predictors):
            wind = (sum(share * values[..., i] for i, share in columns[t]) for t in (u, v))
            fields[u], fields[v] = carried(weights.apply, *wind, *axes)
        return np.stack(fields, axis=-1)

    return start
