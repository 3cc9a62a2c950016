"""Estimate fine fields from any source grid, in closed form, by their covariance in training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_array

from graphdown.data.grid_bank import LEAST_COVERED
from graphdown.model.optimal_interpolation import Observation
from graphdown.statistics.least_squares import warm_and_cold, without_gaps
from meshes import Grid, SparseWeights, conservative
from meshes.geometry.sphere import EARTH_RADIUS_KM
from meshes.geometry.triangulation import merge_coincident
from meshes.remapping.sites import Sites

NOISES = tuple(10.0 ** (k / 2) for k in range(-10, 5))


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
    fields: np.ndarray,
    fine: np.ndarray,
    count: int,
    columns: np.ndarray,
    warming: np.ndarray,
    target_warming: np.ndarray,
) -> EOFs:
    """Fit the leading EOFs of training days; the noise is still to be chosen.

    Args:
        grid: of the fields.
        fields: predictors [time, Nf, V], complete.
        fine: targets [time, Nt, T]; missing ones count as the node's mean.
        count: number of EOFs; at most as many as days.
        columns: the predictor [T] that each target is, V for none.
        warming, target_warming: standard deviation of a uniform warming in each predictor [V] and
            target [T], which enters as a pair of days.
    """
    days, mean = len(fields), fields.mean(axis=0, dtype=np.float64)
    anomalies = fields - mean
    scale = np.sqrt(np.mean(anomalies**2, axis=(0, 1)))
    filled, target_mean = without_gaps(fine)
    x = _with_warming(anomalies, warming) / scale
    y = _with_warming(filled - target_mean, target_warming)
    flat = x.reshape(len(x), -1)
    top = len(flat)
    count = min(count, days - 1)
    _, vectors = eigh(flat @ flat.T, subset_by_index=(top - count, top - 1))
    # Amplitudes of variance 1: the days' own are sqrt(days) times the vectors.
    amplitudes = vectors[:, ::-1].T * np.sqrt(days)
    patterns = (amplitudes @ flat / days).reshape(count, *x.shape[1:])
    targets = (amplitudes @ y.reshape(len(y), -1) / days).reshape(count, *y.shape[1:])
    patterns, targets = patterns.astype(np.float32), targets.astype(np.float32)
    return EOFs(
        grid,
        mean,
        scale,
        patterns,
        target_mean,
        targets,
        columns,
        spacings=np.ones(1),
        noise=np.ones((1, y.shape[-1])),
    )


def _with_warming(anomalies: np.ndarray, warming: np.ndarray) -> np.ndarray:
    # Both sides together, or predictors and targets would have different numbers of days.
    spread = np.broadcast_to(warming, anomalies.shape[1:])
    return np.concatenate([anomalies, warm_and_cold(spread, len(anomalies))])


def choose_noise(eofs: EOFs, validation: Sequence[Known]) -> EOFs:
    """The EOFs with the noise that does best on validation days, for each target.

    Args:
        eofs: as fitted.
        validation: days from some source grids; the noise is chosen for the finest and for the
            coarsest of them such that what lies between them does well.
    """
    spacings = np.asarray([_spacing_km(known.source.area) for known in validation])
    errors = np.stack([_errors(eofs, known) for known in validation])
    ends = np.unique([spacings.min(), spacings.max()])
    place = (np.log(spacings) - np.log(ends[0])) / max(np.log(ends[-1] / ends[0]), 1e-12)
    by_target = np.moveaxis(errors, -1, 0)
    chosen = np.stack([_best_ends(of_target, place) for of_target in by_target], axis=-1)
    return replace(eofs, spacings=ends, noise=np.asarray(NOISES)[chosen[: len(ends)]])


def _errors(eofs: EOFs, known: Known) -> np.ndarray:
    """Mean square errors of each noise and target [noises, T]."""
    target = eofs.target_patterns.reshape(len(eofs.target_patterns), -1)
    means, mean = eofs.seen_from(known.weights)
    flat = means.reshape(-1, means.shape[-1])
    squares, vectors = eigh(flat.T @ flat)
    anomalies = known.values - mean
    rotated = (anomalies / eofs.scale).reshape(len(anomalies), -1) @ (flat @ vectors)
    # What the EOFs leave is interpolated, a linear map too: so the patterns can take it in.
    seen = np.concatenate([anomalies, np.zeros_like(anomalies[..., :1])], -1)
    direct = _interpolated(known.to_target, seen[..., eofs.columns]) + eofs.target_mean
    shown = np.moveaxis(eofs.as_targets(means), -1, 0)
    back = _interpolated(known.to_target, shown).reshape(target.shape)
    of_rotated = vectors.T @ (target - back)
    errors = []
    for noise in NOISES:
        corrections = (rotated / (np.maximum(squares, 0.0) + noise)) @ of_rotated
        error = corrections.reshape(direct.shape) + direct - known.fine
        errors.append(np.nanmean(error**2, axis=(0, 1)))
    return np.asarray(errors)


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
