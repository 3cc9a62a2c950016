"""Days as the regressions of target nodes see them, in blocks of bounded size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from graphdown.data.normalise import Normaliser, warming_spread
from graphdown.emulator.inference import scaling_of
from graphdown.model import Scaling
from graphdown.model.predict import standardise, uncorrected
from graphdown.model.transforms import transformed
from graphdown.training.paired_days import PART_BYTES
from graphdown.training.samples import Samples

BLOCK_BYTES = 128 * 2**20
MOST_DAYS = 256  # of a block


@dataclass(frozen=True)
class RegressionDays:
    """Days as the regressions see them, scaled.

    Attributes:
        x: channels at the mesh [days, Nm, C].
        start: what is corrected [days, Nt, T].
        y: the corrections [days, Nt, T], NaN where missing.
        fold: number of each day's block of years [days], 0 without blocks.
    """

    x: np.ndarray
    start: np.ndarray
    y: np.ndarray
    fold: np.ndarray

    def __len__(self) -> int:
        return len(self.fold)

    @property
    def nbytes(self) -> int:
        """Size of the values."""
        return self.x.nbytes + self.start.nbytes + self.y.nbytes

    def at(self, nodes: np.ndarray) -> "RegressionDays":
        """The days at some target nodes."""
        return RegressionDays(self.x, self.start[:, nodes], self.y[:, nodes], self.fold)

    def those(self, days: np.ndarray) -> "RegressionDays":
        """Some of the days."""
        return RegressionDays(self.x[days], self.start[days], self.y[days], self.fold[days])

    def space_for(self, days: int) -> "RegressionDays":
        """Space for days like these."""
        x, start, y, fold = (
            np.empty((days, *part.shape[1:]), part.dtype)
            for part in (self.x, self.start, self.y, self.fold)
        )
        return RegressionDays(x, start, y, fold)

    def put(self, days: "RegressionDays", first: int) -> None:
        """Put some days into the places from a first one on."""
        here = slice(first, first + len(days))
        self.x[here], self.start[here] = days.x, days.start
        self.y[here], self.fold[here] = days.y, days.fold

    @classmethod
    def joined(cls, blocks: Sequence["RegressionDays"]) -> "RegressionDays":
        """Several blocks as one."""
        if len(blocks) == 1:
            return blocks[0]
        fields = zip(*((b.x, b.start, b.y, b.fold) for b in blocks), strict=True)
        return cls(*map(np.concatenate, fields))


def day_count(sources: Sequence[Samples]) -> int:
    """Number of days of all sources."""
    return sum(len(samples.source) for samples in sources)


def day_blocks(
    sources: Sequence[Samples], normaliser: Normaliser, transforms: tuple[str, ...]
) -> Iterator[RegressionDays]:
    """Yield the days of all sources, one after the other.

    Args:
        sources: their samples; those with a bank show each day on one of its grids.
        normaliser: statistics.
        transforms: of the targets, in whose spaces they are corrected.
    """
    waiting: list[RegressionDays] = []
    for part in _parts(sources, scaling_of(normaliser), transforms):
        days, size = (sum(f(b) for b in waiting) for f in (len, lambda b: b.nbytes))
        if waiting and (days + len(part) > MOST_DAYS or size + part.nbytes > BLOCK_BYTES):
            yield RegressionDays.joined(waiting)
            waiting = []
        waiting.append(part)
    yield RegressionDays.joined(waiting)


def nodes_present(sources: Sequence[Samples]) -> np.ndarray:
    """Numbers of the target nodes at which some day has a value."""
    present = np.zeros(sources[0].fine.shape[1], bool)
    for samples in sources:
        most = _days_of_part(samples)
        for start in range(0, len(samples.source), most):
            if present.all():
                break
            days = samples.fine[start : start + most]
            present |= np.isfinite(days).any(axis=(0, 2))
    return np.flatnonzero(present)


def _parts(
    sources: Sequence[Samples], scales: Scaling, transforms: tuple[str, ...]
) -> Iterator[RegressionDays]:
    for source in sources:
        for samples in source.by_grid(_days_of_part(source)):
            block = samples.block
            fold = np.zeros(len(samples.fine), int) if block is None else block
            yield RegressionDays(*_fields(samples, scales, transforms), fold)


def _days_of_part(samples: Samples) -> int:
    """Days whose arrays on the device are small."""
    values = max(np.prod(samples.fine.shape[1:]), np.prod(samples.source.shape[1:]))
    return max(1, min(MOST_DAYS, int(PART_BYTES // (4 * values))))


def _fields(
    samples: Samples, scales: Scaling, transforms: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channels at the mesh, what is corrected, and corrections, by day."""
    graph = samples.graph
    values = jnp.swapaxes(jnp.asarray(samples.source), 0, 1)
    x = graph.to_mesh(standardise(scales, values))
    start = transformed(uncorrected(scales, values, graph), transforms)
    fine = transformed(jnp.swapaxes(jnp.asarray(samples.fine), 0, 1), transforms)
    by_node = x, start / scales.scale, (fine - start) / scales.scale
    channels, corrected, corrections = (np.asarray(jnp.swapaxes(v, 0, 1)) for v in by_node)
    return channels, corrected, corrections


@dataclass(frozen=True)
class Warming:
    """The standard deviation of the augmentation's warming in the regressions' predictors.

    It enters in closed form: as days that are the mean day plus and minus a uniform warming, with
    the variance of the augmentation's offsets, and unchanged corrections.

    Attributes:
        channels: in each channel at the mesh [C].
        targets: in what is interpolated of each target [T].
    """

    channels: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, normaliser: Normaliser, offset: tuple[float, float]) -> "Warming":
        """Deviations for an offset, uniformly drawn kelvin [low, high]."""
        spread = warming_spread(normaliser.predictors, offset)
        channels = spread[normaliser.inputs.predictors] / np.asarray(normaliser.std)
        targets = warming_spread(normaliser.targets, offset) / np.asarray(normaliser.scale)
        return cls(channels, targets)

    def spread(
        self, around: int, scale: np.ndarray, further: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Deviations in the columns of a group's predictors and of what it interpolates.

        Args:
            around: number of mesh nodes.
            scale: factor of each channel [C].
            further: what is interpolated, as columns [..., N T].
        """
        nodes = further.shape[-1] // len(self.targets)
        return np.tile(self.channels * scale, around), np.tile(self.targets, nodes)


class ChannelSpread:
    """Deviation of each channel from day to day, mean over the mesh nodes."""

    def __init__(self) -> None:
        self._days = 0
        self._first: np.ndarray | float = 0.0
        self._sum: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0

    def add(self, x: np.ndarray) -> None:
        """Add days [T, Nm, C]."""
        if not self._days:
            self._first = x.mean(axis=0, dtype=np.float64)
        anomalies = x - self._first
        self._days += len(x)
        self._sum += anomalies.sum(axis=0)
        self._squares += (anomalies**2).sum(axis=0)

    @property
    def unit(self) -> np.ndarray:
        """The deviations [C], 1 in place of 0."""
        mean = self._sum / self._days
        variance = np.maximum(self._squares / self._days - mean**2, 0.0)
        spread = np.sqrt(variance).mean(axis=0)
        return np.where(spread > 0, spread, 1.0)
