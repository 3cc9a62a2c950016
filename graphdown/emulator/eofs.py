"""Estimate fine fields from any source grid, in closed form, by their covariance in training."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_array

from graphdown.data.grid_bank import LEAST_COVERED
from graphdown.model.optimal_interpolation import Observation
from graphdown.runtime.random_streams import RandomStream
from graphdown.statistics.eigenvectors import leading_eigenvectors
from graphdown.statistics.least_squares import warm_and_cold, without_gaps
from meshes import Grid, SparseWeights, conservative
from meshes.geometry.sphere import EARTH_RADIUS_KM
from meshes.geometry.triangulation import merge_coincident
from meshes.remapping.sites import Sites

NOISES = tuple(10.0 ** (k / 2) for k in range(-10, 5))
BLOCK_BYTES = 64 * 2**20  # of days that are read at once, in float64


class DayArray(Protocol):
    """Values by day [time, node, variable], an array or what reads one in parts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Days, nodes and variables."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, days: Any) -> np.ndarray: ...


class Known(NamedTuple):
    """Days whose targets are known, from a source grid.

    Attributes:
        source: the grid.
        weights: of the fields in the means over its cells [Ns, Nf].
        to_target: interpolation [Nt, Ns].
        values: of the source [time, Ns, V].
        fine: targets [time, Nt, T].
    """

    source: Grid
    weights: SparseWeights
    to_target: SparseWeights
    values: np.ndarray
    fine: np.ndarray


@dataclass(frozen=True, eq=False)
class EOFs:
    """Empirical orthogonal functions of fields, and the targets that go with them.

    Reduced-space optimal interpolation (Kaplan et al. 1997, J. Geophys. Res. 102, 27835): fields
    are their mean plus patterns with independent standard normal amplitudes a; a source cell shows
    the mean over its area plus noise, y = P a + e, hence a = (P'P + noise I)^-1 P'y. The source
    grid enters by P alone, so patterns that were fitted once serve any grid; on a grid that
    resolves little the result is that of a ridge regression fitted on that grid. Errors of
    neighbouring cells are correlated, so that many small cells hold less information than as many
    independent ones: the noise depends on the spacing.

    Attributes:
        grid: of the fields, Nf points.
        mean: of the fields [Nf, V].
        scale: typical standard deviation of each predictor [V].
        patterns: float32 [K, Nf, V] in units of scale.
        target_mean: [Nt, T].
        target_patterns: float32 [K, Nt, T].
        columns: the predictor [T] that each target is, V for none.
        spacings: of source grids, in km, ascending [P].
        noise: variance of the noise in units of scale, for each spacing and target [P, T]; its
            logarithm is linear in that of the spacing between them, and constant beyond.
    """

    grid: Grid
    mean: np.ndarray
    scale: np.ndarray
    patterns: np.ndarray
    target_mean: np.ndarray
    target_patterns: np.ndarray
    columns: np.ndarray
    spacings: np.ndarray
    noise: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """All attributes but the grid."""
        return {name: value for name, value in vars(self).items() if name != "grid"}

    def shares(self, fields: np.ndarray, days: int) -> np.ndarray:
        """Shares of training days in the patterns, float32 [time, K].

        A target pattern is the sum over the training days of share times anomaly.

        Args:
            fields: some of the training days, predictors [time, Nf, V].
            days: the number of all training days.
        """
        anomalies = ((fields - self.mean) / self.scale).reshape(len(fields), -1)
        flat = self.patterns.reshape(len(self.patterns), -1).astype(np.float64)
        variance = np.square(flat).sum(axis=1)
        least = np.finfo(np.float32).eps ** 2 * variance.max()  # patterns of rounding alone
        return (anomalies @ flat.T / (np.maximum(variance, least) * days)).astype(np.float32)

    def weights(self, source: Grid) -> SparseWeights:
        """Weights [Ns, Nf] of the fields in the means over source cells.

        Masked cells, and cells of which the fields cover less than a hundredth, have none; a cell
        that is covered in part counts as the mean over that part, as in `data.bank`. Coincident
        cells are parts of one, and show what it shows.
        """
        used = np.flatnonzero(source.mask)
        site = merge_coincident(source.xyz[used])[1]
        sites, first = np.unique(site, return_index=True)
        whole = source
        if len(sites) < len(used):
            area = np.bincount(site, source.area[used])
            whole = replace(source.select(used[first]), area=area)
        else:
            site = used
        members = csr_array((np.ones(len(used)), (used, site)), shape=(source.size, whole.size))
        means = (members @ conservative(self.grid, whole, LEAST_COVERED).matrix()).tocoo()
        return SparseWeights.collect(means.row, means.col, means.data, means.shape)

    def seen_from(self, weights: SparseWeights) -> tuple[np.ndarray, np.ndarray]:
        """P [Ns, V, K] and the mean of the fields [Ns, V] as source cells show them."""
        matrix = weights.matrix()
        stacked = np.moveaxis(self.patterns, 0, -1).reshape(self.grid.size, -1).astype(np.float64)
        shown = np.asarray(matrix @ stacked).reshape(weights.shape[0], *self.mean.shape[1:], -1)
        return shown, np.asarray(matrix @ self.mean)

    def noise_at(self, spacing_km: float) -> np.ndarray:
        """Variance of the noise for each target [T] on a grid of some spacing."""
        known, logs = np.log(self.spacings), np.log(self.noise)
        return np.exp([np.interp(np.log(spacing_km), known, column) for column in logs.T])

    def observation(
        self, source: Grid, shown: SparseWeights | None = None, nodes: np.ndarray | None = None
    ) -> Observation:
        """Amplitudes as seen from a source, a = gain . (values - mean), as arrays of NumPy.

        Coincident cells count as one that shows their mean by area.

        Args:
            source: the grid.
            shown: its `weights`, if they are known already.
            nodes: indices of Ns nodes of the source, all with weights among them; all by default.

        Returns:
            float32 arrays; cells without weights have a gain of 0 and are not covered.
        """
        nodes = np.arange(source.size) if nodes is None else nodes
        shown = self.weights(source) if shown is None else shown
        weights, shares = shown.of_rows(nodes), Sites.of(source).shares()[nodes]
        seen = np.unique(weights.rows)  # of a global grid few
        means, mean_seen = self.seen_from(weights.of_rows(seen))
        flat = means.reshape(-1, means.shape[-1])
        counted = (means * shares[seen][:, None, None]).reshape(flat.shape)
        square = counted.T @ flat
        noises = self.noise_at(_spacing_km(source.area[nodes[seen]], shares[seen]))
        gain = np.zeros((len(noises), len(square), len(nodes), len(self.scale)), np.float32)
        for of_target, noise in zip(gain, noises, strict=True):
            factor = cho_factor(square + noise * np.eye(len(square)))
            of_target[:, seen] = (
                cho_solve(factor, counted.T).reshape(-1, *means.shape[:2]) / self.scale
            )
        mean = np.zeros((len(nodes), len(self.scale)), np.float32)
        meant = np.zeros((len(square), len(nodes), len(noises)), np.float32)
        covered = np.zeros(len(nodes), np.float32)
        mean[seen], covered[seen] = mean_seen, 1.0
        meant[:, seen] = np.moveaxis(self.as_targets(means), -1, 0)
        return Observation(gain, mean, meant, covered)

    def as_targets(self, means: np.ndarray) -> np.ndarray:
        """P [Ns, V, K] as [Ns, T, K], physical units, 0 for targets that are no predictor.

        Args:
            means: P as of `seen_from`.
        """
        none = np.zeros((len(means), 1, means.shape[-1]))
        every = np.concatenate([means * self.scale[:, None], none], axis=1)
        return every[:, self.columns]


def fit_eofs(
    grid: Grid,
    fields: DayArray,
    fine: DayArray,
    count: int,
    columns: np.ndarray,
    warming: np.ndarray,
    target_warming: np.ndarray,
) -> EOFs:
    """Fit the leading EOFs of training days; the noise is still to be chosen.

    The days are read a few at a time, as often as the eigenvectors need.

    Args:
        grid: of the fields.
        fields: predictors [time, Nf, V], complete.
        fine: targets [time, Nt, T]; missing ones count as the node's mean.
        count: number of EOFs; at most as many as days.
        columns: the predictor [T] that each target is, V for none.
        warming, target_warming: standard deviation of a uniform warming in each predictor [V] and
            target [T], which enters as a pair of days.
    """
    x, y = _Anomalies.of(fields, warming), _Anomalies.of(fine, target_warming)
    scale = np.sqrt(x.variance.mean(axis=0))
    scaled = replace(x, scale=scale)
    count = min(count, x.days - 1)
    vectors = leading_eigenvectors(scaled.gram, x.rows, count, RandomStream.EOF_START)
    # Amplitudes of variance 1: the days' own are sqrt(days) times the vectors.
    amplitudes = vectors * np.sqrt(x.days)
    patterns, targets = (
        (part.times(amplitudes) / part.days).reshape(count, *part.mean.shape).astype(np.float32)
        for part in (scaled, y)
    )
    return EOFs(
        grid,
        x.mean,
        scale,
        patterns,
        y.mean,
        targets,
        columns,
        spacings=np.ones(1),
        noise=np.ones((1, y.mean.shape[-1])),
    )


@dataclass(frozen=True, eq=False)
class _Anomalies:
    """Anomalies of days from their mean, and a pair of days that a warming enters as.

    Attributes:
        values: of the days [time, N, V]; missing ones count as the mean.
        mean, variance: over the days [N, V].
        warming: its standard deviation [V].
        scale: what the anomalies are divided by [V].
    """

    values: DayArray
    mean: np.ndarray
    variance: np.ndarray
    warming: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, values: DayArray, warming: np.ndarray) -> "_Anomalies":
        """Anomalies of days in their own units."""
        first = without_gaps(np.asarray(values[: min(len(values), 2)]))[1]
        total, squares, present = np.zeros(first.shape), np.zeros(first.shape), 0
        for days in _blocks(values):
            there = np.isfinite(values[days])
            anomalies = np.where(there, values[days] - first, 0.0)
            total += anomalies.sum(axis=0)
            squares += (anomalies**2).sum(axis=0)
            present = present + there.sum(axis=0)
        mean = total / np.maximum(present, 1)
        variance = (squares - present * mean**2) / len(values)
        return cls(values, first + mean, variance, np.asarray(warming), np.ones(first.shape[-1]))

    @property
    def days(self) -> int:
        """Number of days, without the pair."""
        return len(self.values)

    @property
    def rows(self) -> int:
        """Number of days, with the pair."""
        return self.days + 2

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the places of some rows, and their scaled anomalies [rows, N V]."""
        for days in _blocks(self.values):
            anomalies = self.values[days] - self.mean
            np.nan_to_num(anomalies, copy=False)
            yield days, (anomalies / self.scale).reshape(len(anomalies), -1)
        # Both sides together, or predictors and targets would have different numbers of days.
        pair = warm_and_cold(self.warming / self.scale, self.days)
        spread = np.broadcast_to(pair[:, None], (2, *self.mean.shape))
        yield slice(self.days, self.rows), spread.reshape(2, -1)

    def times(self, vectors: np.ndarray) -> np.ndarray:
        """Sums of the anomalies, weighted by vectors [rows, K]: [K, N V]."""
        total = np.zeros((vectors.shape[1], self.mean.size))
        for rows, anomalies in self.blocks():
            total += vectors[rows].T @ anomalies
        return total

    def gram(self, vectors: np.ndarray) -> np.ndarray:
        """Matrix of the products of any two rows, times vectors [rows, K]."""
        sums = self.times(vectors)
        return np.concatenate([anomalies @ sums.T for _, anomalies in self.blocks()])


def _blocks(values: DayArray) -> Iterator[slice]:
    """Yield the days in blocks of bounded size."""
    days, nodes, variables = values.shape
    most = max(1, BLOCK_BYTES // (8 * nodes * variables))
    yield from (slice(start, min(start + most, days)) for start in range(0, days, most))


def choose_noise(eofs: EOFs, validation: Iterable[Known]) -> EOFs:
    """The EOFs with the noise that does best on validation days, for each target.

    Args:
        eofs: as fitted.
        validation: days from some source grids, those of a grid in parts that follow each other;
            the noise is chosen for the finest and for the coarsest of them such that what lies
            between them does well.
    """
    spacings, errors = [], []
    for _, parts in groupby(validation, key=lambda known: id(known.source)):
        spacing, error = _errors(eofs, parts)
        spacings.append(spacing)
        errors.append(error)
    ends = np.unique([min(spacings), max(spacings)])
    place = (np.log(spacings) - np.log(ends[0])) / max(np.log(ends[-1] / ends[0]), 1e-12)
    by_target = np.moveaxis(np.stack(errors), -1, 0)
    chosen = np.stack([_best_ends(of_target, place) for of_target in by_target], axis=-1)
    return replace(eofs, spacings=ends, noise=np.asarray(NOISES)[chosen[: len(ends)]])


def _errors(eofs: EOFs, parts: Iterator[Known]) -> tuple[float, np.ndarray]:
    """Spacing of a grid in km, and mean square errors of each noise and target [noises, T]."""
    first = next(parts)
    target = eofs.target_patterns.reshape(len(eofs.target_patterns), -1)
    means, mean = eofs.seen_from(first.weights)
    flat = means.reshape(-1, means.shape[-1])
    squares, vectors = eigh(flat.T @ flat)
    # What the EOFs leave is interpolated, a linear map too: so the patterns can take it in.
    shown = np.moveaxis(eofs.as_targets(means), -1, 0)
    back = _interpolated(first.to_target, shown).reshape(target.shape)
    of_rotated = vectors.T @ (target - back)
    total, present = np.zeros((len(NOISES), eofs.target_mean.shape[-1])), 0
    for known in chain([first], parts):
        anomalies = known.values - mean
        rotated = (anomalies / eofs.scale).reshape(len(anomalies), -1) @ (flat @ vectors)
        seen = np.concatenate([anomalies, np.zeros_like(anomalies[..., :1])], -1)
        direct = _interpolated(known.to_target, seen[..., eofs.columns]) + eofs.target_mean
        present = present + np.isfinite(known.fine).sum(axis=(0, 1))
        for noise, sums in zip(NOISES, total, strict=True):
            corrections = (rotated / (np.maximum(squares, 0.0) + noise)) @ of_rotated
            error = corrections.reshape(direct.shape) + direct - known.fine
            sums += np.nansum(error**2, axis=(0, 1))
    return _spacing_km(first.source.area), total / present


def _best_ends(errors: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Numbers of the noises [2] at both ends that do best, by errors [grids, noises].

    Args:
        errors: relative ones are added up over the grids.
        place: of the grids between the ends, from 0 to 1.
    """
    count = errors.shape[1]
    first, last = np.meshgrid(np.arange(count), np.arange(count), indexing="ij")
    total = np.zeros((count, count))
    for relative, x in zip(errors / errors.min(axis=1, keepdims=True), place, strict=True):
        total += np.interp(first + x * (last - first), np.arange(count), relative)
    return np.asarray(np.unravel_index(total.argmin(), total.shape))


def _spacing_km(area: np.ndarray, shares: np.ndarray | None = None) -> float:
    """Square root of the mean area of cells; coincident ones have shares of one."""
    count = len(area) if shares is None else shares.sum()
    return float(EARTH_RADIUS_KM * np.sqrt(area.sum() / max(count, 1e-12)))


def _interpolated(weights: SparseWeights, values: np.ndarray) -> np.ndarray:
    """Values [..., Ns, T] interpolated to the targets [..., Nt, T]."""
    return np.moveaxis(weights.apply(np.moveaxis(values, -1, -2)), -2, -1)
