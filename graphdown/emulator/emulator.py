"""A trained network with all that is needed to use it: downscale any source grid."""

import dataclasses
import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from graphdown.applicability.assessment import NOT_CALIBRATED, Assessment, assess, sampled
from graphdown.applicability.error_calibration import ErrorCalibration
from graphdown.applicability.novelty_meter import NOVELTY, NOVELTY_ATTRS, NoveltyMeter
from graphdown.applicability.training_climate import TrainingClimate
from graphdown.cf.attributes import variable_attrs
from graphdown.cf.coordinates import cf_coordinates
from graphdown.cf.provenance import driving_attrs, versions
from graphdown.cf.time_axis import time_axis
from graphdown.data.normalise import Normaliser
from graphdown.data.reading.coverage_check import check_cover
from graphdown.data.reading.fields import to_canonical
from graphdown.data.reading.horizontal import shared_grid
from graphdown.data.reading.late_look import is_lazy, late, without_days
from graphdown.data.reading.rules import Notes, log_notes
from graphdown.data.reading.statics import target_ground
from graphdown.data.source_adjustment import (
    Adjustment,
    adjustment_of,
    climate_later,
    climate_of,
)
from graphdown.data.streaming import SourceDays
from graphdown.data.time_windows import check_step, substep_axis, windowed
from graphdown.emulator.build_network import trained_network
from graphdown.emulator.dependence import Dependence
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.ensemble_noise import EnsembleNoise
from graphdown.emulator.inference import DayBlocks, Inference, Stream
from graphdown.emulator.input_range import RangeWatch
from graphdown.emulator.lazy_days import BlockTask, lazy_days
from graphdown.emulator.passport import Passport, short_attrs
from graphdown.errors import DataError, GraphdownError
from graphdown.model import Downscaler, ModelSpec
from graphdown.model.calibration import Calibration
from graphdown.model.deep_ensemble import DeepEnsemble
from graphdown.model.heads import Readout
from graphdown.runtime.hashing import checkpoint_sha256
from graphdown.variables.catalogue import STATIC
from graphdown.variables.names import variables_of
from graphdown.variables.time_steps import TimeSpec
from meshes import Grid, coverage
from meshes.grids.station_lists import are_stations

if TYPE_CHECKING:
    import dask.array as da

logger = logging.getLogger(__name__)

EVERY = slice(None)
HISTORICAL = "the historical dataset"
EOFS_PREFIX = "eofs."  # of the names of their arrays, beside those of the parameters
REALIZATION = "realization"
MEMBER_ATTRS = {"standard_name": "realization", "long_name": "Ensemble member", "units": "1"}


@dataclasses.dataclass(frozen=True, eq=False)
class Emulator:
    """A trained network that downscales datasets.

    Attributes:
        name: of the experiment it was trained in.
        model: size and kind of the network.
        normaliser: variable names and statistics.
        domain: target grid, static fields and graph specification.
        params: the network's parameters by path, as arrays.
        time: the steps that it takes and makes.
        makes_means: whether it makes the means over its steps instead of their sub-steps.
        networks: how many there are; of several, stacked in `params`, the mean is the prediction.
        loader: function that loads it from its folder, None for one that is in none.
        dependence: correlation of its members' random numbers in time and space.
        calibration: correction of the ranks at which its members are drawn, None for none.
        climate: of the days that it was trained on, None if it is not known.
        error_calibration: errors to expect, None if there was nothing to calibrate on.
        passport: what it learned from and whose it is, None if it has none.
    """

    name: str
    model: ModelSpec
    normaliser: Normaliser
    domain: TargetDomain
    params: Mapping[str, np.ndarray]
    time: TimeSpec = dataclasses.field(default_factory=TimeSpec)
    makes_means: bool = False
    networks: int = 1
    loader: "partial[Any] | None" = None
    dependence: Dependence = dataclasses.field(default_factory=Dependence)
    calibration: Calibration | None = None
    climate: TrainingClimate | None = None
    error_calibration: ErrorCalibration | None = None
    passport: Passport | None = None

    @property
    def predictors(self) -> tuple[str, ...]:
        """Names of the variables it takes."""
        return variables_of(self.normaliser.predictors)

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of those that every source must have."""
        return variables_of(self.normaliser.needed)

    @property
    def optional_predictors(self) -> tuple[str, ...]:
        """Names of those that a source may lack."""
        return variables_of(self.normaliser.optional_predictors)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the variables it makes."""
        return variables_of(self.normaliser.targets)

    @property
    def schema(self) -> dict[str, Any]:
        """Model, graph, steps and statistics that the parameters belong to, as plain values."""
        return {
            "name": self.name,
            "model": dataclasses.asdict(self.model),
            "graph": dataclasses.asdict(self.domain.spec) | self.domain.spec.lengths,
            "time": dataclasses.asdict(self.time),
            "networks": self.networks,
            "normaliser": self.normaliser.to_dict(),
            **self._of_members,
        }

    @property
    def _of_members(self) -> dict[str, Any]:
        """What was fitted for members, as plain values; empty for nothing."""
        fitted: dict[str, Any] = {}
        if self.dependence != Dependence():
            fitted["dependence"] = self.dependence
        if self.calibration is not None:
            fitted["calibration"] = self.calibration
        return {name: dataclasses.asdict(value) for name, value in fitted.items()}

    @cached_property
    def sha256(self) -> str:
        """Hash of parameters and schema, as the output's attribute `checkpoint_sha256`."""
        return checkpoint_sha256(self.arrays, self.schema)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The network's parameters, and the EOFs under names with a prefix."""
        eofs = {} if self.domain.eofs is None else self.domain.eofs.arrays()
        return {**self.params, **{EOFS_PREFIX + name: value for name, value in eofs.items()}}

    @cached_property
    def _network(self) -> Downscaler | DeepEnsemble:
        return trained_network(
            self.model,
            self.domain,
            self.normaliser,
            self.params,
            self.time.step_hours,
            self.networks,
        )

    def downscale(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
        members: int = 0,
        seed: int = 0,
        refuse_beyond: bool = False,
        expected_error: bool = False,
    ) -> xr.Dataset:
        """Downscale a dataset from any source grid.

        Repairs, and a margin around the target that the source does not cover, are logged.

        A dataset of dask arrays gives dask arrays, and its values are read and checked when the
        result is computed or written: in blocks of BATCH days, by the scheduler of the user's
        choice. What is refused is raised then. Amounts of precipitation, which do not say over
        which time, are looked at in a few stretches at once, and so are times that occur twice.
        Only values are compared with the training; `applicability` judges such a dataset as a
        whole.

        Args:
            coarse: the predictors [time, *horizontal] and, if known, orog (m).
            units: units of variables that carry none, by name.
            historical: fields of the same source in the years of the training period, for an
                emulator that was trained with `standardise: per-source`.
            members: of an ensemble, for an emulator that makes one; 0 for one field a day, the
                mean of distributions and a network's output for noise of zero.
            seed: of the members, which depend on it, on their number and on the date alone.
            refuse_beyond: refuse predictors more than 3 standard deviations outside the range of
                the training, which are logged else, and an input that lies outside of it.
            expected_error: add the errors to expect, for which all days are read at once, once
                more; see `Emulator.expected_error`.

        Returns:
            The targets [time, *target dimensions], float32, with the target's coordinates; with
            members [time, realization, *target dimensions]. If the training climate is known,
            `novelty` [time] is the distance of the predictors from it.

        Raises:
            DataError: a predictor, its units or values are missing, there are several times a
                day, the source covers less than 99 % of the target, or with `refuse_beyond` a
                predictor is far outside the range of the training.
            GraphdownError: the emulator needs historical fields and has none, or the reverse;
                or it is asked for members and makes none, or for errors to expect and has none.
        """
        if is_lazy(coarse):
            fine = self._lazily(coarse, units, historical, members, seed, refuse_beyond)
        else:
            fine = self._at_once(coarse, units, historical, members, seed, refuse_beyond)
        if not expected_error:
            return fine
        expected = self.expected_error(coarse, units, historical)
        return fine.assign({name: field.variable for name, field in expected.data_vars.items()})

    def _at_once(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None,
        historical: xr.Dataset | None,
        members: int,
        seed: int,
        refuse_beyond: bool,
    ) -> xr.Dataset:
        """Downscale a dataset into memory; see `downscale`."""
        inference = self.inference(
            coarse, units, historical, members, seed, refuse_beyond=refuse_beyond
        )
        self.check_applicability(coarse, units, historical, refuse_beyond)
        with closing(inference.results()) as results:
            values, novelty = zip(*results, strict=True)
        far = None if self.climate is None else np.concatenate(novelty)
        return self.dataset(np.concatenate(values), inference.output_time, coarse.attrs, far)

    def applicability(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
        quick: bool = False,
    ) -> Assessment:
        """Whether the emulator may be used on a dataset: how far it lies from the training.

        Args:
            coarse, units, historical: as for `downscale`.
            quick: look at some 240 days alone, as downscaling does beforehand.

        Raises:
            DataError: as for `downscale`.
            GraphdownError: the emulator does not know its training climate.
        """
        if self.climate is None:
            raise GraphdownError(
                f"The emulator {self.name!r} does not know the climate that it was trained in; "
                "train it with this version of graphdown."
            )
        where, notes, names = "the dataset to downscale", Notes(), self.normaliser.predictors
        ds = self._predictors(coarse, units, where, notes)
        ds = ds.isel(time=sampled(ds.sizes["time"])) if quick else ds
        source, adjustment = SourceDays(ds, names, where, notes), self.adjustment(historical, units)
        every = source.passed(np.arange(source.grid.size))
        parts = every if adjustment is None else (adjustment(part) for part in every)
        found = assess(self.climate, source.grid, parts, ds.time, names, self.domain.target)
        if self.error_calibration is None:
            return found
        return dataclasses.replace(
            found, expected_error=self.error_calibration.words(found.novelty, found.means)
        )

    def expected_error(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
    ) -> xr.Dataset:
        """Errors to expect of downscaled fields, by time of the output and target.

        Args:
            coarse, units, historical: as for `downscale`.

        Returns:
            See `graphdown.applicability.error_calibration.ErrorCalibration.of_days`.

        Raises:
            DataError: as for `downscale`.
            GraphdownError: there was nothing to calibrate on.
        """
        if self.error_calibration is None:
            raise GraphdownError(
                f"The errors to expect of the emulator {self.name!r} are {NOT_CALIBRATED}."
            )
        of_input = self.applicability(coarse, units, historical)
        found = self.error_calibration.of_days(of_input.novelty, of_input.means)
        rows = np.repeat(np.arange(of_input.novelty.size), self.times_a_step)
        time = self.times_made(time_axis(of_input.novelty.time))
        return found.isel(time=rows).assign_coords(time.coords)

    def check_applicability(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
        refuse_beyond: bool = False,
    ) -> None:
        """Log one sentence if a dataset lies far from the training climate.

        Args:
            coarse, units, historical: as for `downscale`.
            refuse_beyond: refuse it instead if it lies outside.

        Raises:
            DataError: it lies outside, and that is refused.
        """
        if self.climate is None:
            return
        found = self.applicability(coarse, units, historical, quick=True)
        if refuse_beyond and found.verdict == "outside":
            raise DataError(
                f"{found.sentence}; give another input, or leave --refuse-beyond (refuse_beyond) "
                "out."
            )
        if found.verdict != "inside":
            logger.warning("%s.", found.sentence)

    def stream(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
        members: int = 0,
        seed: int = 0,
        days: slice = EVERY,
        refuse_beyond: bool = False,
    ) -> Stream:
        """Downscale as `downscale` does, in memory that does not grow with the number of days.

        The days are read twice: at once, to check them, and a few at a time as they are needed.
        Reading and the network run in the background while their results are used.

        Args:
            coarse: as for `downscale`; best not read yet, as `xarray.open_dataset` leaves it.
            units, historical, members, seed, refuse_beyond: as for `downscale`. Days come with all
                members.
            days: which of them. Starting at a multiple of BATCH and ending at one or with the last
                day, they are bit for bit those of a stream of all days on the same machine, if that
                uses the same source points.

        Raises:
            DataError, GraphdownError: as for `downscale`.
        """
        inference = self.inference(coarse, units, historical, members, seed, days, refuse_beyond)

        def parts() -> Generator[xr.Dataset, None, None]:
            start = 0
            with closing(inference.results()) as results:
                for values, novelty in results:
                    time = inference.output_time.isel(time=slice(start, start + len(values)))
                    start += len(values)
                    yield self.dataset(values, time, coarse.attrs, novelty)

        return Stream(inference.output_time, parts(), inference.source)

    def inference(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None,
        historical: xr.Dataset | None,
        members: int,
        seed: int,
        days: slice = EVERY,
        refuse_beyond: bool = False,
    ) -> Inference:
        """Check a dataset and prepare what downscales it.

        Args:
            coarse, units, historical, members, seed, days, refuse_beyond: as for `stream`.

        Raises:
            DataError, GraphdownError: as for `downscale`.
        """
        where, notes = "the dataset to downscale", Notes()
        self._noise(members, seed)
        ds = self._predictors(coarse, units, where, notes).isel(time=days)
        source = SourceDays(ds, self.normaliser.predictors, where, notes)
        adjustment = self.adjustment(historical, units)
        covered = coverage(source.grid, self.domain.target, self.domain.spec.margin_km)
        check_cover(covered, source.grid, self.domain.target, where, notes)
        log_notes(notes.listed())
        blocks, used = self.day_blocks(source.grid, ds.get("orog"), members, seed)
        time = time_axis(ds.time, ds, coarse)
        return Inference(
            blocks=dataclasses.replace(blocks, adjustment=adjustment),
            values=partial(source.passed, used),
            time=time,
            source=source.grid,
            output_time=self.times_made(time),
            watch=RangeWatch(self.normaliser, refuse_beyond),
        )

    def day_blocks(
        self, source: Grid, orog: xr.DataArray | None, members: int, seed: int
    ) -> tuple[DayBlocks, np.ndarray]:
        """Function that downscales blocks of days, not adjusted yet, and the nodes it reads.

        Args:
            source: its grid; points that it does not have are masked.
            orog: its height in m, if known.
            members, seed: as for `downscale`.
        """
        graph, used = self.domain.used_arrays(source, orog, self.model.target_regression)
        blocks = DayBlocks(
            network=self._network,
            normaliser=self.normaliser,
            graph=graph,
            adjustment=None,
            noise=self._noise(members, seed),
            mask=self.domain.present(self.targets),
            members=members,
            steps=self.time,
            makes_means=self.makes_means,
            novelty=self._novelty_meter(source, used),
        )
        return blocks, used

    def _lazily(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None,
        historical: xr.Dataset | None,
        members: int,
        seed: int,
        refuse_beyond: bool,
    ) -> xr.Dataset:
        """Downscale a dataset of dask arrays when the result is computed; see `downscale`."""
        where, notes = "the dataset to downscale", Notes()
        self._noise(members, seed)
        ds = self._predictors(coarse, units, where, notes, looks_later=True)
        names = [name for name in self.normaliser.predictors if name in ds]
        grid, target = shared_grid(ds, names, where), self.domain.target
        covered = coverage(grid, target, self.domain.spec.margin_km)
        check_cover(covered, grid, target, where, notes)
        log_notes(notes.listed())
        past, adjustment = self._past(historical, units, looks_later=True), None
        if past is not None:
            climate = climate_later(past, self.normaliser.predictors, target, HISTORICAL)
            adjustment = late(adjustment_of, climate, normaliser=self.normaliser)
        orog = ds["orog"].transpose(*grid.dims) if "orog" in ds else None
        fields = [ds[name].transpose("time", *grid.dims) for name in names]
        time = time_axis(ds.time, ds, coarse)
        like = without_days(ds[names].transpose("time", *grid.dims))
        task = BlockTask(self, like, time.time, where, members, seed, refuse_beyond)
        values, novelty = lazy_days(task, fields, orog, adjustment)
        fine = self._outline(values, self.times_made(time), coarse.attrs)
        return fine if novelty is None else fine.assign({NOVELTY: ("time", novelty, NOVELTY_ATTRS)})

    def _outline(
        self, values: "da.Array", time: xr.Dataset, source_attrs: Mapping[Any, Any]
    ) -> xr.Dataset:
        """Lazy targets [time, (member,) T, *horizontal] as a CF dataset; see `dataset`."""
        members = values.shape[1:2] if values.ndim > 2 + len(self.domain.target.shape) else ()
        shape = (1, *members, self.domain.target.size, len(self.targets))
        first = self.dataset(np.zeros(shape, np.float32), time.isel(time=[0]), source_attrs)
        fields = {
            name: (first[name].dims, values[(EVERY, *[EVERY] * len(members), i)], first[name].attrs)
            for i, name in enumerate(self.targets)
        }
        still = first.drop_dims("time")
        return xr.Dataset(fields, still.coords, first.attrs).assign_coords(time.coords)

    def _predictors(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None,
        where: str,
        notes: Notes,
        looks_later: bool = False,
    ) -> xr.Dataset:
        """Predictors in canonical units with those of the steps beside each step, not read yet."""
        optional = ["orog", *self.optional_predictors]
        known = self.normaliser.known_units
        ds = to_canonical(coarse, self.needed, units, where, optional, notes, known, looks_later)
        check_step(ds, self.time.seconds, where)
        return windowed(ds, self.time)

    def _novelty_meter(self, source: Grid, nodes: np.ndarray) -> NoveltyMeter | None:
        """Function that takes the distance from the training climate, if that is known."""
        if self.climate is None:
            return None
        return NoveltyMeter(self.climate, source, nodes, self.normaliser.predictors)

    def _noise(self, members: int, seed: int) -> EnsembleNoise:
        """Random numbers of an ensemble of so many members, which the emulator must make."""
        if members < 0 or seed < 0:
            raise GraphdownError("'members' and 'seed' must not be negative.")
        readout = Readout.of(self.model, self.normaliser.targets)
        noise = EnsembleNoise(
            seed,
            self.model,
            readout,
            self.domain.target,
            self.time.step_hours,
            self.dependence,
            self.calibration,
        )
        if members and not noise.makes_members and self.networks == 1:
            raise GraphdownError(
                f"The emulator {self.name!r} makes no members; train one with 'model.noise' and "
                "the loss 'crps', with a head such as 'bernoulli-egp' of 'pr', or with several "
                "networks ('training.ensemble')."
            )
        if members > self.networks and not noise.makes_members:
            raise GraphdownError(
                f"The members of the emulator {self.name!r} are its {self.networks} networks; ask "
                f"for at most {self.networks}, not {members}."
            )
        return noise

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without what is made from the rest."""
        return Emulator, tuple(getattr(self, f.name) for f in dataclasses.fields(self))

    @property
    def makes_days(self) -> bool:
        """Whether its output is daily."""
        return self.time.is_daily and self.times_a_step == 1

    @property
    def times_a_step(self) -> int:
        """Number of times in its output for each step."""
        return 1 if self.makes_means else self.time.substeps

    def times_made(self, steps: xr.Dataset) -> xr.Dataset:
        """The coordinate `time` of its output for some steps, and its bounds, if any.

        Args:
            steps: their coordinate `time`, and its bounds, if any.
        """
        return steps if self.makes_means else substep_axis(steps, self.time)

    def means(self) -> "Emulator":
        """The emulator that makes the means over its steps, not their sub-steps.

        With `model.conserve_mean` they are the means of the sub-steps that this one makes.

        Raises:
            GraphdownError: the emulator makes no sub-steps.
        """
        if self.time.substeps == 1:
            raise GraphdownError(f"The emulator {self.name!r} makes no sub-steps of its steps.")
        return dataclasses.replace(self, makes_means=True, loader=None)

    def onto(self, target: xr.Dataset | Grid, statics: xr.Dataset | None = None) -> "Emulator":
        """The emulator for another target: finer, coarser, another region, stations.

        The parameters stay, and with them `sha256`; the mesh, of the same level and radius, is
        built around the new target. What the network learned of heights, slopes and coasts holds
        as far as the new target's are like those of the training, in spacing, relief and climate.

        Args:
            target: its grid, or a dataset with its coordinates and, if they are known, orog and
                sftlf. A list of points without cell bounds is a list of stations; a variable with
                the cf_role "timeseries_id" names them.
            statics: orog and sftlf on any grid, where the target lacks them: cell means where they
                are finer, else interpolated. Stations need them all the same, for the terrain
                around them, best as fine as the target of the training.

        Raises:
            GraphdownError: the emulator is bound to the target that it was trained on.
            DataError: a static field that it was trained with is absent or missing in places, or
                the target's grid is not understood.
        """
        bound = [f"model.{name}" for name in self.model.binding]
        # The climate that sources are given is that over the target.
        bound += ["standardise"] if self.normaliser.reference is not None else []
        if bound:
            raise GraphdownError(
                f"The emulator {self.name!r} is bound to its own target by "
                f"{' and '.join(map(repr, bound))}; train one without to put it onto another."
            )
        names = [name for name in STATIC if name in self.domain.statics]
        at_target, around = target_ground(target, statics, names)
        domain = TargetDomain(
            at_target.grid,
            at_target.statics,
            self.domain.spec,
            ground=around,
            innovations=self.domain.innovations,
        )
        return dataclasses.replace(self, domain=domain, loader=None)

    def adjustment(
        self, historical: xr.Dataset | None, units: Mapping[str, str] | None
    ) -> Adjustment | None:
        """Adjustment that gives a source the climate of those trained on, None for none.

        Raises:
            GraphdownError: the emulator needs historical fields and has none, or the reverse.
        """
        past = self._past(historical, units)
        if past is None:
            return None
        names, target = self.normaliser.predictors, self.domain.target
        return adjustment_of(climate_of(past, names, target, HISTORICAL), self.normaliser)

    def _past(
        self,
        historical: xr.Dataset | None,
        units: Mapping[str, str] | None,
        looks_later: bool = False,
    ) -> xr.Dataset | None:
        """Predictors of a source in the years of the training, None where they do not count.

        Raises:
            GraphdownError: they are absent although they count, or the reverse.
        """
        reference = self.normaliser.reference
        if (reference is None) != (historical is None):
            raise GraphdownError(
                "This emulator standardises each source by its own climate; give fields of the "
                "source in the years of the training period too, as 'historical'."
                if historical is None
                else "This emulator standardises all sources alike; leave 'historical' out."
            )
        if historical is None:
            return None
        optional, known = self.optional_predictors, self.normaliser.known_units
        ds = to_canonical(
            historical, self.needed, units, HISTORICAL, optional, Notes(), known, looks_later
        )
        return windowed(ds, self.time)

    def dataset(
        self,
        values: np.ndarray,
        time: xr.Dataset,
        source_attrs: Mapping[Any, Any],
        novelty: np.ndarray | None = None,
    ) -> xr.Dataset:
        """Target values as a CF dataset on the target grid.

        Args:
            values: [time, Nt, T], or of members [time, member, Nt, T]; what they are at points
                without values of a target does not matter.
            time: the coordinate `time` and its bounds, if any, see `graphdown.cf.time_axis`.
            source_attrs: global attributes of the coarse input, which say whose fields these are.
            novelty: distance of the times from the training climate [time], if it is known.
        """
        target = self.domain.target
        values = np.where(self.domain.present(self.targets), values, np.float32(np.nan))
        ensemble = values.ndim == 4
        dims = ("time", REALIZATION) if ensemble else ("time",)
        steps = self.time.of_means if self.makes_means else self.time
        own = self.normaliser.attributes
        attrs = {name: variable_attrs(name, steps, own.get(name, {})) for name in self.targets}
        fields = {
            name: target.dataarray(values[..., i], name, dims, attrs=attrs[name])
            for i, name in enumerate(self.targets)
        }
        out = xr.Dataset(fields, attrs=self._global_attrs(source_attrs))
        if ensemble:
            numbers = np.arange(values.shape[1], dtype=np.int32)
            out = out.assign_coords({REALIZATION: (REALIZATION, numbers, MEMBER_ATTRS)})
        if novelty is not None:
            out[NOVELTY] = ("time", novelty, NOVELTY_ATTRS)
        return out.assign_coords(cf_coordinates(target).coords).assign_coords(time.coords)

    def _global_attrs(self, source_attrs: Mapping[Any, Any]) -> dict[str, str]:
        attrs = {
            "Conventions": "CF-1.10",
            "title": f"Downscaled by graphdown: {self.name}",
            "source": f"graphdown {versions()['graphdown']}, a graph neural network",
            "checkpoint_sha256": self.sha256,
            **short_attrs(self.passport),
            **driving_attrs(source_attrs),
        }
        if are_stations(self.domain.target):
            attrs["featureType"] = "timeSeries"
        if source_attrs.get("history"):
            attrs["history"] = str(source_attrs["history"])
        return attrs
