"""Reader of the fields of a request from opened files: found, cleaned, joined, described."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from graphdown.data.reading.cleaning import Cleaning, Sample, check_range, check_size
from graphdown.data.reading.daily_values import daily, without_spans
from graphdown.data.reading.dates import calendar_of, step_name, step_of
from graphdown.data.reading.deaccumulate import Rate, as_rate, without_forecast
from graphdown.data.reading.every_value import checked_lazily
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.file_summary import Understanding, VariableUnderstood
from graphdown.data.reading.files import Piece, close_pieces, unreadable
from graphdown.data.reading.fill_codes import codes_in
from graphdown.data.reading.grid_winds import turned_to_north
from graphdown.data.reading.groups import group_hint
from graphdown.data.reading.horizontal import (
    bounds_named,
    fields_in,
    on_first_grid,
    on_time_and_space,
    with_positions,
    without_hidden_cells,
)
from graphdown.data.reading.identify import Choice, choose, recognised, renamed
from graphdown.data.reading.join import join_times, merge_variables
from graphdown.data.reading.late_look import cleaning_later
from graphdown.data.reading.point_order import horizontal_of, on_one_grid
from graphdown.data.reading.rules import Notes, refuse, repaired
from graphdown.data.reading.series import Series, series_of
from graphdown.data.reading.standard_names import with_tidy_names
from graphdown.data.reading.time_bounds import BEGIN
from graphdown.data.reading.time_decoding import with_times
from graphdown.data.reading.time_gaps import gaps_of, note_gaps
from graphdown.data.reading.units import conversion
from graphdown.data.reading.value_samples import chunked, looks, read_values
from graphdown.data.reading.vertical import with_hybrid_levels
from graphdown.data.reading.zarr_chunks import check_chunks
from graphdown.errors import DataError
from graphdown.variables.catalogue import STATIC, describe

LOOK, SECOND_LOOK = 3, 30  # times of a file; at most as many of a series of files


@dataclass(frozen=True)
class _Part:
    """One variable of one series: canonical values, not read yet, and a sample of them."""

    series: Series
    choice: Choice
    field: xr.DataArray
    cleaning: Cleaning
    original_units: str | None
    sample: Sample
    was_amount: bool


class FieldReader:
    """Reads the variables of a request from opened pieces.

    Attributes:
        keep_open: whether files stay open after values are sampled.
        looks_later: whether lazy fields are looked at when their values are computed, not at once.
    """

    keep_open = False
    looks_later = False

    def __init__(
        self,
        pieces: Iterable[Piece],
        request: Request,
        where: str,
        notes: Notes,
        paths: tuple[str, ...],
        from_disk: bool,
    ) -> None:
        self.request, self.where, self.notes = request, where, notes
        self.paths, self.from_disk = paths, from_disk
        there: set[str] = set()
        prepared = []
        for piece in pieces:  # one after the other: not all files can stay open
            there |= {str(name) for name in piece.ds.variables}
            prepared += self._prepared(piece)
        self._check_rename(there)
        self.series = series_of(prepared)

    def selecting(self, select: Mapping[str, int]) -> "FieldReader":
        """This reader with a request that takes an index of further dimensions."""
        reader = copy(self)
        reader.request = replace(self.request, select={**self.request.select, **select})
        return reader

    def read(self) -> tuple[xr.Dataset, Understanding]:
        """Fields of the request, canonical and not read yet, and a summary of them.

        Raises:
            DataError: see `graphdown.data.reading.rules.REFUSALS`.
        """
        fields: dict[str, xr.DataArray] = {}
        understood: list[VariableUnderstood] = []
        requested = (*self.request.variables, *self.request.optional) or self._recognised()
        for name in dict.fromkeys(requested):
            parts = self._parts(name)
            if parts:
                fields[name], variable = self._joined(name, parts)
                understood.append(variable)
            elif name in self.request.variables:
                raise self._absent(name)
        if not fields:
            return xr.Dataset(), self._understanding(xr.Dataset(), [])
        exploring = not (self.request.variables or self.request.optional)
        fields = merge_variables(fields, self.where, self.notes, any_step=exploring)
        fields = turned_to_north(fields, self.where, self.notes)
        fields = on_first_grid(fields, self.request.interpolate, self.where, self.notes)
        out = self._with_described(xr.Dataset(fields))
        if "time" in out.dims:
            if self.from_disk:
                note_gaps(out["time"], self.where, self.notes)
            out = out.transpose("time", ...)
        return out, self._understanding(out, understood)

    def _prepared(self, piece: Piece) -> list[Piece]:
        tidy = with_hybrid_levels(with_tidy_names(piece.ds))
        ds = with_positions(renamed(tidy, self.request.rename), piece.where)
        ds = without_hidden_cells(ds, piece.where, self.notes)
        return [replace(piece, ds=part) for part in with_times(ds, piece.where, self.notes)]

    def _check_rename(self, there: set[str]) -> None:
        import difflib

        for name in self.request.rename:
            if name not in there:
                close = difflib.get_close_matches(name, sorted(there), n=1)
                hint = f"; did you mean {close[0]!r}?" if close else "; correct the name."
                raise refuse(
                    "rename-absent",
                    f"{self.where}: 'rename' names {name!r}, which is not in the file{hint}",
                )

    def _recognised(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for one in self.series:
            names |= dict.fromkeys(recognised(one.ds, one.where, self.notes))
        if names:
            return tuple(names)
        for one in self.series:
            names |= dict.fromkeys(fields_in(one.ds))
        if not names:
            cure = self._group_hint() or "name them, as in 'rename: {name in the file: tas}'"
            raise refuse(
                "variable-absent",
                f"{self.where}: no variable is recognised (there are: {self._names_present()}); "
                f"{cure}.",
            )
        text = f"{', '.join(names)}: graphdown knows no variable of that name; rename it to use it"
        self.notes.add("unknown-variable", self.where, text)
        return tuple(names)

    def _absent(self, name: str) -> DataError:
        cure = self._group_hint() or "correct the name or add it under 'rename'"
        return refuse(
            "variable-absent",
            f"{self.where}: the variable {name!r} is absent (there are: {self._names_present()}); "
            f"{cure}.",
        )

    def _group_hint(self) -> str:
        return group_hint(self.paths[0]) if self.paths else ""

    def _names_present(self) -> str:
        return ", ".join(sorted({str(n) for one in self.series for n in one.ds.data_vars}))

    def _parts(self, name: str) -> list[_Part]:
        stated = name in self.request.rename.values()
        choices = [
            (one, choice)
            for one in self.series
            if (choice := choose(one.ds, name, one.where, self.notes, stated)) is not None
        ]
        parts: list[_Part] = []
        for one, choice in _on_one_axis(choices, name):
            known = parts[0].cleaning.conversion.canonical if parts else None
            known = self.request.known_units.get(name, known)
            parts.append(self._part(name, one, choice, known))
        return parts[:1] if name in STATIC else parts

    def _part(self, name: str, series: Series, choice: Choice, known: str | None) -> _Part:
        where = series.where
        raw = choice.field.rename(name)
        if raw.dtype.kind not in "fiu":
            raise refuse(
                "not-numeric",
                f"{where}: {choice.file_name!r} holds no numbers (its type is {raw.dtype}); choose "
                "another variable.",
            )
        if name in STATIC and "time" in raw.dims:
            raw = raw.isel(time=0, drop=True)
        raw = on_time_and_space(raw, self.request.select, where, self.notes)
        if name not in STATIC and name in self.request.variables and "time" not in raw.dims:
            raise refuse(
                "no-time",
                f"{where}: the variable {name!r} has no dimension 'time'; give a file with times.",
            )
        lazy = chunked(raw) if self.from_disk else raw
        sound = repaired(lazy, series.ds.attrs, where, self.notes)
        stated = self.request.units.get(name) or sound.attrs.get("units")
        original = None if stated is None else str(stated)
        rate = self._rate(sound, original, series)
        cleaning = Cleaning(name, conversion(name, rate.units, where, known))
        for piece in series.pieces if self.from_disk else ():
            stored = piece.ds.variables[choice.file_name]
            check_chunks(stored, name, cleaning.conversion, piece.where, self.notes)
        # Chunks are read whole; the file itself gives single times.
        looked_at = raw if rate.field is lazy else rate.field
        found = None
        if self.looks_later and looked_at.chunks is not None:
            sample, found = Sample(name), cleaning_later(cleaning, looked_at, where, LOOK)
        else:
            cleaning, sample = self._look(cleaning, looked_at, series)
        single = without_forecast(rate.field, where, self.notes)
        lazily = checked_lazily(cleaning, single, series.places, found)
        return _Part(series, choice, lazily, cleaning, original, sample, rate.was_amount)

    def _rate(self, raw: xr.DataArray, units: str | None, series: Series) -> Rate:
        """Field that is no amount any more; files that were looked into for that are closed."""
        running = str(raw.name) in self.request.accumulated
        try:
            rate = as_rate(raw, units, running, series.where, self.notes)
        except (OSError, RuntimeError, EOFError) as error:
            raise unreadable(series.where, error) from None
        if rate.was_amount and not self.keep_open:
            close_pieces(series.pieces)
        return rate

    def _look(
        self, cleaning: Cleaning, raw: xr.DataArray, series: Series
    ) -> tuple[Cleaning, Sample]:
        """Cleaning with its fill codes, and checked statistics of the values at a few times."""
        name, where = cleaning.name, series.where
        first = list(self._looks(raw, series, LOOK))
        timed = "time" in raw.dims
        codes = codes_in(values if timed else values[None] for _, values in first)
        cleaning = replace(cleaning, codes=codes)
        count = min(LOOK * len(series.places), SECOND_LOOK)
        sample = self._sampled(
            cleaning, first if count == LOOK else self._looks(raw, series, count)
        )
        if sample.empty or sample.doubtful:
            sample = self._sampled(cleaning, self._looks(raw, series, SECOND_LOOK))
        if sample.empty:
            raise refuse(
                "all-missing",
                f"{where}: {name!r} has no value in the times looked at; check the file.",
            )
        check_size(sample, cleaning.conversion, where, self.notes)
        return cleaning, sample

    def _looks(
        self, raw: xr.DataArray, series: Series, count: int
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield where values are from and the values, a few times at a time."""
        for number, part in looks(raw, count):
            piece = series.pieces[number]
            values = read_values(part, piece.where)
            if not self.keep_open:
                piece.close()  # memory that HDF5 needs for each open file would add up
            yield piece.where, values

    def _sampled(self, cleaning: Cleaning, parts: Iterable[tuple[str, np.ndarray]]) -> Sample:
        sample = Sample(cleaning.name)
        for where, values in parts:
            canonical = cleaning.block(values)
            check_range(cleaning.name, canonical, where, values)
            cleaning.note(values, where, self.notes)
            sample = sample.and_in(canonical)
        return sample

    def _joined(self, name: str, parts: Sequence[_Part]) -> tuple[xr.DataArray, VariableUnderstood]:
        fields = on_one_grid([(p.series.where, p.field) for p in parts], name, self.notes)
        if not all(BEGIN in field.coords for field in fields):
            fields = [without_spans(field) for field in fields]
        places = [part.series.places for part in parts]
        joined, dropped = join_times(list(zip(places, fields, strict=True)), name, self.notes)
        if self.request.daily is not None and "time" in joined.dims:
            variable = describe(name)
            method = variable.reduction if variable.is_extreme else self.request.daily
            was_amount = any(part.was_amount for part in parts)
            joined = daily(joined, method, parts[0].series.where, self.notes, was_amount)
        joined = without_spans(joined)
        return joined, self._variable(name, parts, joined, dropped)

    def _variable(
        self, name: str, parts: Sequence[_Part], joined: xr.DataArray, dropped: int
    ) -> VariableUnderstood:
        first = parts[0]
        linear = first.cleaning.conversion
        space = horizontal_of(joined, first.series.where)
        timed = "time" in joined.dims
        gaps = gaps_of(joined["time"]) if timed else []
        dates = [str(joined.indexes["time"][i])[:10] if timed else "" for i in (0, -1)]
        looked_at = sum(p.sample.times for p in parts)
        stored = sum(p.field.sizes.get("time", 0) for p in parts)
        return VariableUnderstood(
            name=name,
            file_names=tuple(dict.fromkeys(p.choice.file_name for p in parts)),
            level=first.choice.level,
            files=len({place for p in parts for place in p.series.places}),
            original_units=first.original_units,
            units_stated=name in self.request.units,
            units=linear.canonical,
            factor=linear.factor,
            offset=linear.offset,
            minimum=min(p.sample.minimum for p in parts),
            maximum=max(p.sample.maximum for p in parts),
            missing=float(np.mean([p.sample.missing for p in parts])),
            sampled=looked_at if looked_at < stored else 0,
            stored=stored,
            grid=" x ".join(f"{joined.sizes[d]} {d}" for d in space.dims),
            step=step_name(step_of(joined["time"])) if timed else "",
            calendar=calendar_of(joined["time"]) if timed else "",
            first=dates[0],
            last=dates[1],
            times=joined.sizes["time"] if timed else 0,
            duplicates=dropped,
            gaps=tuple(gaps),
        )

    def _with_described(self, out: xr.Dataset) -> xr.Dataset:
        """Attach global attributes, grid mapping and bounds."""
        out = out.assign_attrs(self.series[0].ds.attrs)
        mappings = {f.attrs.get("grid_mapping") for f in out.data_vars.values()}
        for one in reversed(self.series):
            found = [n for n in mappings if n in one.ds.variables]
            out = out.assign_coords({n: one.ds[n].reset_coords(drop=True) for n in found})
        spatial = [n for n in out.coords if n != "time"]
        for name in bounds_named(out, spatial):
            bounds = next((one.ds[name] for one in self.series if name in one.ds.variables), None)
            sizes = {} if bounds is None else bounds.sizes
            if bounds is not None and all(out.sizes.get(d, n) == n for d, n in sizes.items()):
                out = out.assign_coords({name: bounds.reset_coords(drop=True).variable})
        return self._with_time_bounds(out)

    def _with_time_bounds(self, out: xr.Dataset) -> xr.Dataset:
        if "time" not in out.dims or self.request.daily is not None:
            return out
        names = bounds_named(out, ["time"])
        if not names:
            return out
        parts = [one.ds[names[0]] for one in self.series if names[0] in one.ds.variables]
        parts = [b.reset_coords(drop=True) for b in parts if "time" in b.dims]
        if not parts:
            return _without_bounds(out)
        every = xr.concat(parts, "time", join="override", combine_attrs="override")
        every = every.drop_duplicates("time")
        if not out.indexes["time"].isin(every.indexes["time"]).all():
            return _without_bounds(out)
        return out.assign_coords({names[0]: every.sel(time=out["time"]).variable})

    def _understanding(
        self, out: xr.Dataset, variables: Sequence[VariableUnderstood]
    ) -> Understanding:
        timed = "time" in out.dims
        dates = [str(out.indexes["time"][i])[:10] if timed else "" for i in (0, -1)]
        return Understanding(
            where=self.where,
            files=self.paths,
            variables=tuple(variables),
            calendar=calendar_of(out["time"]) if timed else "",
            first=dates[0],
            last=dates[1],
            times=out.sizes["time"] if timed else 0,
            step=step_name(step_of(out["time"])) if timed else "",
            notes=self.notes.listed(),
            attrs=dict(self.series[0].ds.attrs),
        )


def _on_one_axis(
    choices: Sequence[tuple[Series, Choice]], name: str
) -> Sequence[tuple[Series, Choice]]:
    """Choices of a variable from series, of which those of one file differ in their time axis.

    Raises:
        DataError: a file has several such variables, none of them of that very name.
    """
    for one, choice in choices:
        rivals = [c for s, c in choices if s is not one and s.places == one.places]
        names = sorted({choice.file_name, *(c.file_name for c in rivals)})
        if len(names) > 1 and name not in names:
            raise refuse(
                "variable-ambiguous",
                f"{one.where}: {name!r} could be {' or '.join(repr(n) for n in names)}; choose, as "
                f"in 'rename: {{{names[0]}: {name}}}'.",
            )
        if len(names) > 1:
            return [found for found in choices if found[1].file_name == name]
    return choices


def _without_bounds(ds: xr.Dataset) -> xr.Dataset:
    """Dataset without references to bounds of the times, which it lacks."""
    time = ds["time"].copy()
    time.attrs.pop("bounds", None)
    time.encoding.pop("bounds", None)
    return ds.assign_coords(time=time)
