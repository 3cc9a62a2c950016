"""What `graphdown downscale` is asked for, and what is found of it before a value is made."""

import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.cf.encoding import DRIVING_MEMBER
from graphdown.cf.time_axis import time_axis
from graphdown.data import read_files
from graphdown.data.reading.ensemble_members import Driving, driving_members
from graphdown.data.reading.rules import log_notes
from graphdown.data.reading.statics import opened_target, read_statics
from graphdown.downscaling.file_options import FileOptions
from graphdown.downscaling.fingerprint import as_attribute, fingerprint_of
from graphdown.emulator.emulator import EVERY, Emulator
from graphdown.emulator.inference import Stream
from graphdown.emulator.storage import load
from graphdown.errors import DataError
from graphdown.output.chunk_buffer import outline
from graphdown.output.resumable import Shard
from graphdown.output.writer import prepared

LABEL = "driving_variant_label"


@dataclass(frozen=True)
class DownscaleRequest:
    """What `graphdown downscale` is asked for; see there.

    Attributes:
        shard: the part to make; None for all in one.
        merge: make one output of shards that are made.
    """

    run: Path
    inputs: tuple[str, ...]
    output: Path
    target: str = ""
    statics: tuple[str, ...] = ()
    historical: tuple[str, ...] = ()
    members: int = 0
    seed: int = 0
    stated: FileOptions = field(default_factory=FileOptions)
    overwrite: bool = False
    shard: Shard | None = None
    merge: bool = False

    @property
    def options(self) -> list[str]:
        """The words of the command line, beside inputs and output, that change values."""
        words = ["--members", str(self.members), "--seed", str(self.seed)] if self.members else []
        return words + self.stated.words()

    @property
    def command(self) -> str:
        """The command line, without what changes no value."""
        words = ["graphdown", "downscale", str(self.run), *self.inputs, "-o", str(self.output)]
        words += ["--target", self.target] if self.target else []
        words += ["--statics", *self.statics] if self.statics else []
        words += ["--historical", *self.historical] if self.historical else []
        return shlex.join(words + self.options)


@dataclass(frozen=True, eq=False)
class DownscaleJob:
    """An order and what was found of it.

    Attributes:
        order: what is asked for.
        emulator: on the target that is asked for.
        driving: the members of the driving model.
        past: historical fields, if any.
        time: the coordinate `time` of the output and its bounds.
        attrs: global attributes of the inputs, those that all members have.
        settings: what decides on the values.
    """

    order: DownscaleRequest
    emulator: Emulator
    driving: list[Driving]
    past: xr.Dataset | None
    time: xr.Dataset
    attrs: dict[str, object]
    settings: dict[str, str]

    @classmethod
    def of(cls, order: DownscaleRequest) -> "DownscaleJob":
        """Read what an order names, values excepted."""
        emulator = load(order.run)
        if order.target:
            with opened_target(order.target) as place:
                statics = read_statics(order.statics) if order.statics else None
                emulator = emulator.onto(place, statics)
        driving = driving_members(order.inputs, [*order.stated.request().select])
        past = None
        if order.historical:
            needed, optional_predictors = emulator.needed, emulator.optional_predictors
            opened, _ = read_files(
                order.historical, order.stated.request(needed, optional_predictors)
            )
            with opened:
                past = opened.compute()
        time, attrs = _axis(emulator, driving, order.stated)
        settings = fingerprint_of(emulator, driving, order.historical, time.time, order.options)
        return cls(order, emulator, driving, past, time, attrs, settings)

    @property
    def words(self) -> str:
        """What the output holds, in words."""
        days, targets = self.time.sizes["time"], ", ".join(self.emulator.targets)
        text = f"{days} {'days' if self.emulator.makes_days else 'times'} of {targets}"
        if self.order.members:
            text += f" in {self.order.members} members"
        if len(self.driving) > 1:
            text += f" for {len(self.driving)} members of the driving model"
        return text

    @property
    def day_bytes(self) -> int:
        """Bytes of one day of one member of the driving model."""
        size = self.emulator.domain.target.size * len(self.emulator.targets)
        return 4 * size * max(self.order.members, 1)

    def opened(self, member: int) -> AbstractContextManager[xr.Dataset]:
        """Open the predictors of a member of the driving model, by its number."""
        return _opened(self.emulator, self.driving[member], self.order.stated)

    def stream(self, ds: xr.Dataset, days: slice = EVERY) -> Stream:
        """Return the days of one member, downscaled as they are asked for."""
        order = self.order
        return self.emulator.stream(
            ds, historical=self.past, members=order.members, seed=order.seed, days=days
        )

    def whole(self) -> xr.Dataset:
        """Return the dataset to be, its fields of no values yet."""
        target, targets = self.emulator.domain.target, self.emulator.targets
        ensemble = (self.order.members,) if self.order.members else ()
        values = np.zeros((1, *ensemble, target.size, len(targets)), np.float32)
        first = self.emulator.dataset(values, self.time.isel(time=slice(0, 1)), self.attrs)
        whole = outline(first.assign_attrs(as_attribute(self.settings)), self.time)
        if len(self.driving) > 1:
            whole = _with_members(whole, [member.label for member in self.driving])
        return prepared(whole, self.order.command)


@contextmanager
def _opened(emulator: Emulator, member: Driving, stated: FileOptions) -> Iterator[xr.Dataset]:
    needed, optional_predictors = emulator.needed, emulator.optional_predictors
    request = stated.request(needed, ["orog", *optional_predictors], member.select)
    ds, understood = read_files(member.files, request)
    log_notes(understood.notes)
    with ds:
        yield ds


def _axis(
    emulator: Emulator, driving: list[Driving], stated: FileOptions
) -> tuple[xr.Dataset, dict[str, object]]:
    """Return the times of all members, their bounds, and the global attributes that all have.

    Raises:
        DataError: members differ in their times.
    """
    with _opened(emulator, driving[0], stated) as ds:
        time, attrs = time_axis(ds.time, ds), dict(ds.attrs)
    if len(driving) > 1:
        attrs.pop(LABEL, None)
        attrs.pop("variant_label", None)
    along_dimension = bool(driving[0].select)
    for member in [] if along_dimension else driving[1:]:
        with _opened(emulator, member, stated) as ds:
            if not ds.time.equals(time.time):
                raise DataError(
                    f"The members {driving[0].label!r} and {member.label!r} have other times; give "
                    "files of one period and calendar, or an output for each."
                )
            attrs = {k: v for k, v in attrs.items() if str(ds.attrs.get(k)) == str(v)}
    return emulator.times_made(time), attrs


def _with_members(whole: xr.Dataset, labels: list[str]) -> xr.Dataset:
    """Return the dataset with a dimension of the driving model's members, before time."""
    fields = [name for name, field in whole.data_vars.items() if field.chunks is not None]
    several = {name: whole[name].expand_dims({DRIVING_MEMBER: len(labels)}) for name in fields}
    number = {
        "standard_name": "realization",
        "long_name": "Number of the driving model's member",
        "units": "1",
    }
    named = {"long_name": "Variant label of the driving model's member"}
    return whole.assign(several).assign_coords(
        {
            DRIVING_MEMBER: (DRIVING_MEMBER, np.arange(len(labels), dtype=np.int32), number),
            LABEL: (DRIVING_MEMBER, labels, named),
        }
    )
