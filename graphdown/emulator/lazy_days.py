"""Downscaled days as a dask array: made block by block, wherever and whenever it is computed.

A block is BATCH days of every predictor, with those of the steps beside where the emulator takes
them. What all blocks need (network, graph, masks) is made once in each process that computes some.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import uuid4

import numpy as np
import xarray as xr

from graphdown.applicability.training_climate import TrainingClimate
from graphdown.data.normalise import Normaliser
from graphdown.data.reading.coverage_check import check_cover
from graphdown.data.reading.dates import days_of
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import ever_present, grid_where_present
from graphdown.data.reading.late_look import at_some_times, late, shared
from graphdown.data.reading.missing import check_complete, note_filled, with_ground_filled
from graphdown.data.reading.rules import Notes, log_notes, refuse
from graphdown.data.source_adjustment import Adjustment
from graphdown.data.streaming import NodeValues
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.inference import BATCH, DayBlocks
from graphdown.emulator.input_range import RangeWatch
from graphdown.errors import GraphdownError
from graphdown.runtime.hashing import array_digest
from graphdown.runtime.worker_warnings import warn_user
from graphdown.variables.names import variable_of
from meshes import Grid, coverage

if TYPE_CHECKING:
    import dask.array as da

LOOK = 3  # times that tell the points at which a source has no values
KEPT = 2  # sources that a process keeps the graphs of

Fields = Mapping[str, np.ndarray]


class BlockMaker(Protocol):
    """An emulator, as far as lazy days need it."""

    @property
    def normaliser(self) -> Normaliser:
        """Names and statistics."""
        ...

    @property
    def domain(self) -> TargetDomain:
        """The target."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the emulator."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the variables it makes."""
        ...

    @property
    def times_a_step(self) -> int:
        """Number of times in its output for each step."""
        ...

    @property
    def climate(self) -> TrainingClimate | None:
        """Climate of the days that it was trained on, None if it is not known."""
        ...

    @property
    def loader(self) -> "partial[Any] | None":
        """Function that loads it in another process, None for one that is in no folder."""
        ...

    def day_blocks(
        self, source: Grid, orog: xr.DataArray | None, members: int, seed: int
    ) -> tuple[DayBlocks, np.ndarray]:
        """Function that downscales blocks of days, and the nodes of the source that it reads."""
        ...


class PreparedSource(NamedTuple):
    """Graph, network and masks that a process needs for the blocks of one source.

    Attributes:
        grid: of the source; points that it does not have are masked.
        absent: whether a point has no value of a predictor at the times looked at [Ns, V].
        nodes: makes the network's predictors.
        blocks: downscales.
        watch: of predictors and outputs.
    """

    grid: Grid
    absent: np.ndarray
    nodes: NodeValues
    blocks: DayBlocks
    watch: RangeWatch


@dataclass(frozen=True, eq=False)
class BlockTask:
    """Downscaling of any block of days of one dataset; pickles small.

    Attributes:
        emulator: that downscales.
        like: the predictors [0, *horizontal] and their coordinates.
        time: of all days.
        where: for messages.
        members, seed, refuse_beyond: as for `Emulator.downscale`.
        token: that no other task has.
    """

    emulator: BlockMaker
    like: xr.Dataset
    time: xr.DataArray
    where: str
    members: int = 0
    seed: int = 0
    refuse_beyond: bool = False
    token: str = field(default_factory=lambda: uuid4().hex)

    def __reduce__(self) -> tuple[Any, ...]:
        rest = tuple(getattr(self, f.name) for f in fields(self) if f.name != "emulator")
        loader = self.emulator.loader
        if loader is None:
            return BlockTask, (self.emulator, *rest)
        return _task_of, (loader.func, loader.args, self.emulator.sha256, rest)

    def __dask_tokenize__(self) -> object:
        return "graphdown.days", self.token

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the predictors that the dataset has."""
        return tuple(str(name) for name in self.like.data_vars)

    def survey(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        """Where each predictor variable has a value at a few times: [*horizontal] by name."""
        variables = [name for name in self.names if variable_of(name) == name]
        times = len(values) // len(variables)
        fields = {
            name: np.concatenate(values[i * times : (i + 1) * times])
            for i, name in enumerate(variables)
        }
        part, _ = self._filled(fields)
        return {name: ever_present(part[name]).values for name in variables}

    def block(
        self,
        numbers: np.ndarray,
        there: Fields,
        adjustment: Adjustment | None,
        orog: np.ndarray | None,
        *predictors: np.ndarray,
    ) -> np.ndarray:
        """Targets [time, (member,) T, *horizontal] of a block of days, NaN where there are none.

        Args:
            numbers: of the days.
            there: as from `survey`.
            adjustment: of the predictors, if any.
            orog: height of the source [*horizontal], if known.
            predictors: [days, *horizontal].

        Raises:
            DataError: values are missing at points that the survey found, or the reverse.
        """
        time, ready, values, filled = self._prepared(numbers, there, orog, predictors)
        blocks = replace(ready.blocks, adjustment=adjustment, novelty=None)
        with _NETWORK:
            made = blocks(values, time, ready.watch).values
            news = ready.watch.news()
        for sentence in news:
            warn_user(sentence)
        if filled:
            notes = Notes()
            note_filled(filled, f"{self.where} ({_span(time)})", notes)
            log_notes(notes.listed())
        return self._on_target(made, blocks.mask)

    def novelty(
        self,
        numbers: np.ndarray,
        there: Fields,
        adjustment: Adjustment | None,
        orog: np.ndarray | None,
        *predictors: np.ndarray,
    ) -> np.ndarray:
        """Novelty [time] of a block of days; arguments and errors as for `block`."""
        time, ready, values, _ = self._prepared(numbers, there, orog, predictors)
        found = replace(ready.blocks, adjustment=adjustment).novelty_of(values, time)
        assert found is not None
        return found

    def _prepared(
        self,
        numbers: np.ndarray,
        there: Fields,
        orog: np.ndarray | None,
        predictors: Sequence[np.ndarray],
    ) -> tuple[xr.DataArray, PreparedSource, np.ndarray, dict[str, int]]:
        """Times of a block, its source, checked predictors [days, Ns, V], and how many filled."""
        time = self.time.isel(time=slice(int(numbers[0]), int(numbers[-1]) + 1))
        part, filled = self._filled(dict(zip(self.names, predictors, strict=True)))
        ready = self._ready(there, orog)
        values = field_values(part, self.names, ready.grid)
        self._check(values, ready, time)
        return time, ready, ready.nodes(values, self.names), filled

    def _filled(self, predictors: Fields) -> tuple[xr.Dataset, dict[str, int]]:
        """Dataset of predictors, points below ground filled, and how many were."""
        part = xr.Dataset(
            {name: (self.like[name].dims, values) for name, values in predictors.items()},
            coords={n: c for n, c in self.like.coords.items() if "time" not in c.dims},
        )
        return with_ground_filled(part, [*predictors], self.where)

    def _ready(self, there: Fields, orog: np.ndarray | None) -> PreparedSource:
        """What the process has made for this source; made now if there is none."""
        heights = [] if orog is None else [orog]
        key = array_digest([there[name] for name in sorted(there)] + heights, self.token)
        with _MAKING:
            if key not in _READY:
                while len(_READY) >= KEPT:
                    _READY.popitem(last=False)
                _READY[key] = self._made_ready(there, orog)
            _READY.move_to_end(key)
            return _READY[key]

    def _made_ready(self, there: Fields, orog: np.ndarray | None) -> PreparedSource:
        dims = [d for d in self.like[self.names[0]].dims if d != "time"]
        present = {
            name: xr.DataArray(there[variable_of(name)], dims=self.like[name].dims[1:])
            for name in self.names
        }
        grid = grid_where_present(self.like, present, self.where)
        if not grid.mask.all():
            notes, domain = Notes(), self.emulator.domain
            covered = coverage(grid, domain.target, domain.spec.margin_km)
            check_cover(covered, grid, domain.target, self.where, notes)
            log_notes(notes.listed())
        height = None if orog is None else xr.DataArray(orog, dims=dims)
        blocks, used = self.emulator.day_blocks(grid, height, self.members, self.seed)
        normaliser = self.emulator.normaliser
        absent = np.stack([~grid.values(present[name]) for name in self.names], axis=-1)
        nodes = NodeValues(normaliser.predictors, grid, used)
        return PreparedSource(
            grid, absent, nodes, blocks, RangeWatch(normaliser, self.refuse_beyond)
        )

    def _check(self, values: np.ndarray, ready: PreparedSource, time: xr.DataArray) -> None:
        """Refuse a block whose missing values are not those of the survey."""
        where = f"{self.where} ({_span(time)})"
        check_complete([values], ready.grid, self.names, where)
        still = ready.absent & ~np.isfinite(values).any(axis=0)
        changed = ~ready.grid.mask & ~still.any(axis=-1)
        if changed.any():
            raise refuse(
                "missing-values",
                f"{where}: {int(changed.sum())} points have values that they lack on other days; "
                "fill or leave out those points or days.",
            )

    def _on_target(self, made: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Targets [time, (member,) T, *horizontal] from [time, (member,) Nt, T]."""
        values = np.where(mask, made, np.float32(np.nan))
        values = np.moveaxis(values, -1, -2)
        return values.reshape(*values.shape[:-1], *self.emulator.domain.target.shape)


def lazy_days(
    task: BlockTask,
    predictors: Sequence[xr.DataArray],
    orog: xr.DataArray | None,
    adjustment: "da.Array | None",
) -> tuple["da.Array", "da.Array | None"]:
    """Targets and novelty of all days, none of which is made yet.

    Args:
        task: downscales a block.
        predictors: [time, *horizontal] in the order of the task.
        orog: height of the source [*horizontal], if known.
        adjustment: of the predictors, an array [] that holds it; None without.

    Returns:
        The targets [time, (member,) T, *horizontal], and the novelty [time], None if the emulator
        does not know its training climate.
    """
    import dask.array as da

    emulator, days = task.emulator, task.time.sizes["time"]
    everywhere = shared(task)
    variables = [one for one in predictors if one.name == variable_of(str(one.name))]
    few = [part for one in variables for part in at_some_times(_lazy(one), LOOK)]
    there = late(BlockTask.survey, everywhere, *few)
    space = [f"in{i}" for i in range(predictors[0].ndim - 1)]
    arguments: list[Any] = [everywhere, "", da.arange(days, chunks=BATCH), "t"]
    for given in (there, adjustment):
        arguments += [given, None if given is None else ""]
    arguments += [None, None] if orog is None else [_whole(orog), space]
    for one in predictors:
        arguments += [_whole(one).rechunk({0: BATCH}), ["t", *space]]
    sizes = [len(emulator.targets), *emulator.domain.target.shape]
    sizes = [task.members, *sizes] if task.members else sizes
    new = {f"out{i}": size for i, size in enumerate(sizes)}
    made = _by_blocks(BlockTask.block, task, arguments, new)
    if emulator.climate is None:
        return made, None
    return made, _by_blocks(BlockTask.novelty, task, arguments, {})


def _by_blocks(
    function: Callable[..., np.ndarray],
    task: BlockTask,
    arguments: Sequence[Any],
    new: Mapping[str, int],
) -> "da.Array":
    """Array [time, *new] of what a function makes of the arguments of each block of days."""
    import dask.array as da

    return da.blockwise(
        function,
        ["t", *new],
        *arguments,
        new_axes=new,
        adjust_chunks={"t": lambda count: count * task.emulator.times_a_step},
        concatenate=True,
        align_arrays=False,
        dtype=np.float32,
        meta=np.empty((0,) * (1 + len(new)), np.float32),
        name=f"graphdown-{function.__name__}-{task.token}",
    )


_NETWORK = threading.Lock()  # XLA uses all cores; several runs at once only need more memory
_MAKING = threading.Lock()
_READY: OrderedDict[str, PreparedSource] = OrderedDict()


def _task_of(
    load: Callable[..., BlockMaker], arguments: tuple[Any, ...], sha256: str, rest: tuple[Any, ...]
) -> BlockTask:
    """Task in another process than that in which it was made."""
    emulator = _loaded(load, arguments)
    if emulator.sha256 != sha256:
        raise GraphdownError(
            f"{str(arguments[0])!r} holds another emulator than when the lazy dataset was made; "
            "downscale again."
        )
    return BlockTask(emulator, *rest)


@lru_cache(maxsize=KEPT)
def _loaded(load: Callable[..., BlockMaker], arguments: tuple[Any, ...]) -> BlockMaker:
    return load(*arguments)


def _whole(field: xr.DataArray) -> "da.Array":
    """Values of a field as a dask array whose chunks hold all of the horizontal dimensions."""
    first = int("time" in field.dims)
    array = _lazy(field).data
    return array.rechunk(dict.fromkeys(range(first, array.ndim), -1))


def _lazy(field: xr.DataArray) -> xr.DataArray:
    """Field as a dask array; `DataArray.chunk` would hash its times, which takes seconds."""
    import dask.array as da

    if field.chunks is not None:
        return field
    return field.copy(data=da.from_array(field.values, chunks=-1, name=False))


def _span(time: xr.DataArray) -> str:
    first, last = days_of(time.isel(time=[0, -1]))
    return f"{first} to {last}"
