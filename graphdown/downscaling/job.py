"""A request to downscale files, resolved: emulator, opened inputs, times and fingerprint."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from graphdown.cf.encoding import DRIVING_MEMBER
from graphdown.data.reading.statics import opened_target, read_statics
from graphdown.downscaling.driving_inputs import LABEL, DrivingInputs, historical_fields
from graphdown.downscaling.fingerprint import Fingerprint, as_attribute, fingerprint_of
from graphdown.downscaling.request import DownscaleRequest
from graphdown.emulator.emulator import EVERY, Emulator
from graphdown.emulator.inference import Stream
from graphdown.emulator.storage import load
from graphdown.output.chunk_buffer import outline
from graphdown.output.writer import prepared
from graphdown.runtime.progress import Progress
from graphdown.runtime.signals import deferred_stop


@dataclass(frozen=True, eq=False)
class DownscaleJob:
    """A request, and everything that is found out about it once.

    Attributes:
        request: as the user made it.
        emulator: on the target of the request.
        driving: members of the driving model.
        past: historical fields, if any.
        time: the coordinate `time` of the output and its bounds.
        attrs: global attributes of the inputs, those that all members have.
        fingerprint: of the output.
    """

    request: DownscaleRequest
    emulator: Emulator
    driving: DrivingInputs
    past: xr.Dataset | None
    time: xr.Dataset
    attrs: dict[str, object]
    fingerprint: Fingerprint
    _expected: dict[int, xr.Dataset] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """Contents of the output, in words."""
        days, targets = self.time.sizes["time"], ", ".join(self.emulator.targets)
        text = f"{days} {'days' if self.emulator.makes_days else 'times'} of {targets}"
        if self.request.members:
            text += f" in {self.request.members} members"
        if len(self.driving.members) > 1:
            text += f" for {len(self.driving.members)} members of the driving model"
        return text

    @property
    def day_bytes(self) -> int:
        """Bytes of one day of one member of the driving model."""
        size = self.emulator.domain.target.size * len(self.emulator.targets)
        return 4 * size * max(self.request.members, 1)

    def stream(self, member: int, days: slice = EVERY) -> Stream:
        """Days of one member of the driving model, downscaled as they are asked for.

        Args:
            member: its number.
            days: which of them.
        """
        stream = self.emulator.stream(
            self.driving.dataset(member),
            historical=self.past,
            members=self.request.members,
            seed=self.request.seed,
            days=days,
            refuse_beyond=self.request.refuse_beyond,
        )
        if not self.request.expected_error:
            return stream
        first = (days.start or 0) * self.emulator.times_a_step
        return replace(stream, parts=_beside(stream.parts, self.expected(member), first))

    def expected(self, member: int) -> xr.Dataset:
        """Errors to expect of one member of the driving model [time].

        Raises:
            GraphdownError: there was nothing to calibrate on.
        """
        if member not in self._expected:
            fields, past = self.driving.dataset(member), self.past
            self._expected[member] = self.emulator.expected_error(fields, historical=past)
        return self._expected[member]

    def check_applicability(self) -> None:
        """Log how far members of the driving model lie from the training climate, if they do.

        Raises:
            DataError: one lies outside, and that is refused.
        """
        for number in range(len(self.driving.members)):
            self.emulator.check_applicability(
                self.driving.dataset(number),
                historical=self.past,
                refuse_beyond=self.request.refuse_beyond,
            )

    def whole(self) -> xr.Dataset:
        """The dataset to be, its fields without values yet."""
        target, targets = self.emulator.domain.target, self.emulator.targets
        ensemble = (self.request.members,) if self.request.members else ()
        values = np.zeros((1, *ensemble, target.size, len(targets)), np.float32)
        novelty = None if self.emulator.climate is None else np.zeros(1, np.float32)
        time = self.time.isel(time=slice(0, 1))
        first = self.emulator.dataset(values, time, self.attrs, novelty)
        if self.request.expected_error:
            first = with_fields(first, self.expected(0).isel(time=slice(0, 1)))
        whole = outline(first.assign_attrs(as_attribute(self.fingerprint)), self.time)
        if len(self.driving.members) > 1:
            whole = _with_members(whole, [member.label for member in self.driving.members])
        return prepared(whole, self.request.command)


def _beside(
    parts: Generator[xr.Dataset, None, None], further: xr.Dataset, first: int
) -> Generator[xr.Dataset, None, None]:
    """Parts of a stream that begins with the time `first`, with further fields of all times."""
    with closing(parts):
        for part in parts:
            end = first + part.sizes["time"]
            yield with_fields(part, further.isel(time=slice(first, end)))
            first = end


@contextmanager
def counted_parts(
    parts: Generator[xr.Dataset, None, None], progress: Progress
) -> Iterator[Iterator[xr.Dataset]]:
    """Parts of a stream, counted as they are taken; a signal stops them before the next one.

    Raises:
        Interrupted: a signal asked to stop.
    """
    with closing(parts), deferred_stop() as stop:

        def counted() -> Iterator[xr.Dataset]:
            for part in parts:
                stop.check()
                progress.add(part.sizes["time"])
                yield part

        yield counted()


def with_fields(ds: xr.Dataset, further: xr.Dataset) -> xr.Dataset:
    """Dataset with further fields of its times."""
    return ds.assign({name: values.variable for name, values in further.data_vars.items()})


@contextmanager
def opened_job(
    request: DownscaleRequest, emulator: Emulator | None = None
) -> Iterator[DownscaleJob]:
    """Job of a request; its input files are opened once, here, and closed in the end.

    Args:
        request: what to downscale.
        emulator: of the request's run on its target, if it is loaded already.

    Raises:
        DataError, GraphdownError: the emulator, the target or an input cannot be used.
    """
    emulator = emulator or _emulator(request)
    past, historical = historical_fields(request.historical, request.file_options, emulator)
    optional = ["orog", *emulator.optional_predictors]
    predictors = request.file_options.request(emulator.needed, optional)
    with closing(DrivingInputs(request.inputs, predictors)) as driving:
        steps, attrs = driving.time_axis()
        time = emulator.times_made(steps)
        fingerprint = fingerprint_of(emulator, driving, historical, time.time, request.options)
        yield DownscaleJob(request, emulator, driving, past, time, attrs, fingerprint)


def _emulator(request: DownscaleRequest) -> Emulator:
    """Emulator of the run, on the target of the request."""
    emulator = load(request.run)
    if not request.target:
        return emulator
    with opened_target(request.target) as place:
        statics = read_statics(request.statics) if request.statics else None
        return emulator.onto(place, statics)


def _with_members(whole: xr.Dataset, labels: Sequence[str]) -> xr.Dataset:
    """Dataset with a dimension of the driving model's members, before time."""
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
