"""What the regressions of groups of target nodes are solved from, collected over blocks of days.

The target nodes that share their nearest mesh node share their predictors, and are a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Protocol

import numpy as np

from graphdown.runtime.threads import in_threads
from graphdown.statistics.least_squares import warm_and_cold, without_gaps
from graphdown.statistics.partitioned import PartitionedDays, PartitionedSums
from graphdown.training.regression_days import RegressionDays, Warming


@dataclass(frozen=True)
class Groups:
    """Groups of target nodes.

    Attributes:
        around: the mesh nodes of each target node [Nt, K].
        nodes: the target nodes of each group.
    """

    around: np.ndarray
    nodes: Sequence[np.ndarray]

    @classmethod
    def of(cls, around: np.ndarray, nodes: np.ndarray) -> "Groups":
        """Group some of the target nodes by their nearest mesh node."""
        order = nodes[np.argsort(around[nodes, 0], kind="stable")]
        starts = np.flatnonzero(np.diff(around[order, 0], prepend=-1))
        return cls(around, np.split(order, starts[1:]))

    def __len__(self) -> int:
        return len(self.nodes)

    def those(self, numbers: Sequence[int]) -> "Groups":
        """Some of the groups."""
        return Groups(self.around, [self.nodes[number] for number in numbers])

    def mesh_of(self, number: int) -> np.ndarray:
        """Mesh nodes [K] of a group."""
        return np.asarray(self.around[self.nodes[number][0]])

    @property
    def all_nodes(self) -> np.ndarray:
        """Target nodes of all groups, one group after the other."""
        return np.concatenate(self.nodes)

    @property
    def places(self) -> list[slice]:
        """Places of each group's nodes among all."""
        ends = np.cumsum([len(nodes) for nodes in self.nodes])
        return [slice(end - len(nodes), end) for end, nodes in zip(ends, self.nodes, strict=True)]


class Collected(Protocol):
    """What groups are fitted from."""

    def add(self, days: RegressionDays) -> None:
        """Add days at the groups' nodes."""
        ...

    def fit(
        self, number: int, folds: Sequence[int], scale: np.ndarray
    ) -> PartitionedSums | PartitionedDays:
        """A group's fit to the days of some blocks of years.

        Args:
            number: of the group.
            folds: numbers of the blocks.
            scale: factor of each channel [C].
        """
        ...


class CollectedDays:
    """The days themselves, at the nodes of some groups: for few days.

    Args:
        groups: the groups.
        warming: of the augmentation.
        count: number of days.
    """

    def __init__(self, groups: Groups, warming: Warming, count: int) -> None:
        self.groups, self.warming = groups, warming
        self._places = groups.places
        self._count, self._there = count, 0

    def add(self, days: RegressionDays) -> None:
        """Add days at the groups' nodes."""
        if not self._there:
            self._days = days.space_for(self._count)
        self._days.put(days, self._there)
        self._there += len(days)

    def fit(self, number: int, folds: Sequence[int], scale: np.ndarray) -> PartitionedDays:
        """A group's fit; see `Collected.fit`."""
        days, here = self._days, self._places[number]
        chosen = np.isin(days.fold, folds)
        mesh = self.groups.mesh_of(number)
        table = flat(days.x[chosen][:, mesh] * scale)
        further = flat(days.start[chosen, here])
        predictands = flat(without_gaps(days.y[chosen, here])[0])
        if self.warming.channels.any():
            channels, targets = self.warming.spread(len(mesh), scale, further)
            table, further = _with_pair(table, channels), _with_pair(further, targets)
            predictands = _with_pair(predictands, np.zeros(predictands.shape[1]))
        return PartitionedDays(table, further, predictands)


def _with_pair(table: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Days [T, ...] with a pair added that has the moments of a warming."""
    return np.concatenate([table, table.mean(axis=0) + warm_and_cold(spread, len(table))])


def flat(values: np.ndarray) -> np.ndarray:
    """Values of days [T, ...] as a table [T, columns]."""
    return values.reshape(len(values), -1).astype(np.float64)


class CollectedSums:
    """Sums over days of products, at the nodes of some groups: for many days.

    All are of differences from the first block's means, which keeps digits; the means of what is
    solved are taken off by the sums of first order. Missing values count as the mean.

    Args:
        groups: the groups.
        warming: of the augmentation.
        folds: number of blocks of years, each of which has its own sums.
    """

    def __init__(self, groups: Groups, warming: Warming, folds: int) -> None:
        self.groups, self.warming, self.folds = groups, warming, folds
        self._places = groups.places
        self._first: _Means | None = None

    def add(self, days: RegressionDays) -> None:
        """Add days."""
        if self._first is None:
            self._first = _Means.of(days)
            mesh, channels = days.x.shape[1:]
            self._pairs = MeshPairs(self.groups, mesh, channels, self.folds)
            self._mesh = np.zeros((self.folds, mesh, channels))
            self._by_node = [_NodeSums.of(days.y.shape[1:]) for _ in range(self.folds)]
            self._by_group = [
                [_GroupSums() for _ in range(len(self.groups))] for _ in range(self.folds)
            ]
        for fold in np.unique(days.fold):
            self._add_to(int(fold), days.those(days.fold == fold))

    def _add_to(self, fold: int, days: RegressionDays) -> None:
        assert self._first is not None
        x = days.x - self._first.x
        z, y = days.start - self._first.start, days.y - self._first.y
        missing = np.isnan(y)
        y[missing] = 0.0
        self._mesh[fold] += x.sum(axis=0)
        self._by_node[fold].add(z, y, missing)
        self._pairs.add(x, fold)
        gaps = missing.any(axis=(0, 2))

        def add(number: int) -> None:
            here = self._places[number]
            table = flat(x[:, self.groups.mesh_of(number)])
            shown = flat(missing[:, here]) if gaps[here].any() else None
            self._by_group[fold][number].add(table, flat(z[:, here]), flat(y[:, here]), shown)

        list(in_threads(add, range(len(self.groups))))

    def fit(self, number: int, folds: Sequence[int], scale: np.ndarray) -> PartitionedSums:
        """A group's fit; see `Collected.fit`."""
        assert self._first is not None
        mesh, here = self.groups.mesh_of(number), self._places[number]
        scales = np.tile(scale, len(mesh))
        x = self._mesh[folds][:, mesh].sum(axis=0).reshape(-1)
        square = self._pairs.square(mesh, folds)
        own = [self._by_group[fold][number] for fold in folds]
        nodes = _NodeSums.total([self._by_node[fold] for fold in folds], here)
        days = nodes.days
        further_mean, mean = nodes.z / days, nodes.y / np.maximum(nodes.present, 1)
        square -= np.outer(x, x) / days
        further = sum(sums.further for sums in own) - np.outer(x, further_mean)
        present = x[:, None] - sum(sums.missing for sums in own)
        predictands = sum(sums.predictands for sums in own) - mean * present
        further_square = nodes.zz - days * further_mean**2
        product = nodes.zy - mean * nodes.z_present
        square *= np.outer(scales, scales)
        further *= scales[:, None]
        predictands *= scales[:, None]
        if self.warming.channels.any():
            channels, targets = self.warming.spread(len(mesh), scale, further)
            square += days * np.outer(channels, channels)
            further += days * np.outer(channels, targets)
            further_square += days * targets**2
        first = self._first
        means = (
            (first.x[mesh].reshape(-1) + x / days) * scales,
            first.start[here].reshape(-1) + further_mean,
            first.y[here].reshape(-1) + mean,
        )
        return PartitionedSums(square, further, predictands, further_square, product, means)


@dataclass(frozen=True)
class _Means:
    """Means of a block of days, 0 where all are missing: [Nm, C] and [Nt, T]."""

    x: np.ndarray
    start: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, days: RegressionDays) -> "_Means":
        x, start = (part.mean(axis=0, dtype=np.float64) for part in (days.x, days.start))
        return cls(x, start, without_gaps(days.y)[1])


@dataclass
class _NodeSums:
    """Sums for each target node, as columns [N T] or by node [Nt, T].

    Attributes:
        days: number of days.
        z, zz: what is corrected, and its square.
        y, zy: corrections, and their product with what is corrected.
        present, z_present: number of days with a correction, and what is corrected on them.
    """

    days: int
    z: np.ndarray
    zz: np.ndarray
    y: np.ndarray
    zy: np.ndarray
    present: np.ndarray
    z_present: np.ndarray

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "_NodeSums":
        return cls(0, *(np.zeros(shape) for _ in range(6)))

    def add(self, z: np.ndarray, y: np.ndarray, missing: np.ndarray) -> None:
        """Add days [T, Nt, T] whose missing corrections are 0."""
        self.days += len(z)
        self.z += z.sum(axis=0)
        self.zz += np.einsum("dnt,dnt->nt", z, z)
        self.y += y.sum(axis=0)
        self.zy += np.einsum("dnt,dnt->nt", z, y)
        self.present += len(z) - missing.sum(axis=0)
        self.z_present += np.where(missing, 0.0, z).sum(axis=0) if missing.any() else z.sum(axis=0)

    def sums(self) -> tuple[np.ndarray, ...]:
        return self.z, self.zz, self.y, self.zy, self.present, self.z_present

    @classmethod
    def total(cls, parts: Sequence["_NodeSums"], here: slice) -> "_NodeSums":
        """Sums of several blocks of years at some nodes, as columns."""
        sums = (
            reduce(np.add, column)[here].reshape(-1)
            for column in zip(*(part.sums() for part in parts), strict=True)
        )
        return cls(sum(part.days for part in parts), *sums)


@dataclass
class _GroupSums:
    """Products of a group's predictors with what is corrected and with corrections [P, N T].

    Attributes:
        further, predictands: the products.
        missing: sums of the predictors on the days without a correction.
    """

    further: np.ndarray | float = 0.0
    predictands: np.ndarray | float = 0.0
    missing: np.ndarray | float = 0.0

    def add(
        self, table: np.ndarray, z: np.ndarray, y: np.ndarray, missing: np.ndarray | None
    ) -> None:
        """Add days; `missing` is None where no correction is missing."""
        self.further += table.T @ z
        self.predictands += table.T @ y
        if missing is not None:
            self.missing += table.T @ missing


class MeshPairs:
    """Sums over days of the products of channels at two mesh nodes, where a group has both.

    Groups share most of their mesh nodes with their neighbours, so that these are far fewer than
    the products of each group's own.

    Args:
        groups: the groups.
        mesh: number of mesh nodes.
        channels: number of channels.
        folds: number of blocks of years.
    """

    def __init__(self, groups: Groups, mesh: int, channels: int, folds: int) -> None:
        self._mesh = mesh
        later, earlier = np.tril_indices(groups.around.shape[1])
        nodes = np.sort([groups.mesh_of(number) for number in range(len(groups))]).astype(np.int64)
        keys = self._keys = np.unique(nodes[:, earlier] * mesh + nodes[:, later])
        self._products = np.zeros((folds, len(keys), channels, channels))
        starts = np.flatnonzero(np.diff(keys // mesh, prepend=-1))
        self._runs = list(pairwise([*starts, len(keys)]))

    def add(self, x: np.ndarray, fold: int) -> None:
        """Add days [T, Nm, C]."""

        def add(run: tuple[int, int]) -> None:
            keys = self._keys[slice(*run)]
            others = x[:, keys % self._mesh].reshape(len(x), -1)
            products = self._products[fold, slice(*run)]
            products += (others.T @ x[:, keys[0] // self._mesh]).reshape(products.shape)

        list(in_threads(add, self._runs))

    def square(self, nodes: np.ndarray, folds: Sequence[int]) -> np.ndarray:
        """Products [K C, K C] of the channels at some mesh nodes of a group."""
        order, channels = np.argsort(nodes), self._products.shape[-1]
        later, earlier = np.tril_indices(len(nodes))
        a, b = order[earlier], order[later]
        places = np.searchsorted(self._keys, nodes[a].astype(np.int64) * self._mesh + nodes[b])
        products = sum(self._products[fold][places] for fold in folds)
        square = np.empty((len(nodes), channels, len(nodes), channels))
        square[b, :, a] = products
        square[a, :, b] = np.swapaxes(products, 1, 2)
        return square.reshape(len(nodes) * channels, -1)
