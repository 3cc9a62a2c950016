"""A trained network with all that is needed to use it: downscale any source grid."""

import dataclasses
import json
import re
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path
from textwrap import shorten
from typing import Any
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from flax import nnx

from graphdown.cf.attributes import variable_attrs
from graphdown.cf.coordinates import cf_coordinates
from graphdown.cf.provenance import checkpoint_sha256, driving_attrs
from graphdown.cf.time_axis import time_axis
from graphdown.config.parse import parse_as
from graphdown.data.normalise import Normaliser
from graphdown.data.reading.coverage_check import check_cover
from graphdown.data.reading.fields import STATIC, to_canonical
from graphdown.data.reading.rules import Notes, log_notes
from graphdown.data.reading.statics import target_ground
from graphdown.data.reading.time_decoding import check_not_sub_daily
from graphdown.data.source_adjustment import Adjustment, adjustment_to, climate_of
from graphdown.data.streaming import SourceDays
from graphdown.data.terrain import Ground
from graphdown.data.time_windows import check_step, substep_axis, windowed
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.ensemble_noise import EnsembleNoise, MemberNoise
from graphdown.emulator.eofs import EOFs
from graphdown.emulator.needs import load_for_emulator, missing_entries, needed_extensions
from graphdown.errors import DamageError, GraphdownError
from graphdown.model import Downscaler, GraphArrays, ModelSpec, NetworkShape, Scaling, predict
from graphdown.model.edge_tables import bucket, on_device
from graphdown.model.heads import Readout
from graphdown.model.predict import outputs
from graphdown.runtime.batches import regrouped
from graphdown.runtime.prefetch import prefetched
from graphdown.variables.constraints import within_limits
from graphdown.variables.forcings import forcing_names, forcings
from graphdown.variables.names import check_names, variables_of
from graphdown.variables.time_steps import DAY_HOURS, TimeSpec
from meshes import GraphSpec, Grid, coverage
from meshes.geometry.archive import read_arrays
from meshes.grids.conventions import bounds_label
from meshes.grids.station_lists import are_stations

FORMAT = 5
BEFORE_TIME = 4  # what emulators of single days are written as
BEFORE_HEADS = 3  # what emulators with none of `ModelSpec.optional` are written as
BATCH = 32
LONGEST = 200  # characters of what a library says of a damaged file, which may quote the damage
AHEAD = 2  # batches that are made or wait
EVERY = slice(None)
PARAMETERS, SCHEMA, TARGET = "parameters.npz", "emulator.json", "target.nc"
FIELDS, GROUND = "fields.nc", "ground.nc"
MASK = "target_mask"
NOT_HASHED = ("sha256", "versions", "extensions")
REALIZATION = "realization"
MEMBER_ATTRS = {"standard_name": "realization", "long_name": "Ensemble member", "units": "1"}
OF_A_ROUND = re.compile(r"(messages|updates)\.\d+\.")
OF_FIRST_ROUND = re.compile(r"(messages|updates)\.0\.(.+)")
OF_EOFS = "eofs."


@dataclasses.dataclass(frozen=True, eq=False)
class Emulator:
    """A trained network that downscales datasets.

    Attributes:
        name: of the experiment it was trained in.
        model: size and kind of the network.
        normaliser: variable names and statistics.
        geometry: target grid, static fields and graph specification.
        params: the network's parameters by path, as arrays.
        time: the steps that it takes and makes.
        makes_means: whether it makes the means over its steps instead of their sub-steps.
    """

    name: str
    model: ModelSpec
    normaliser: Normaliser
    domain: TargetDomain
    params: Mapping[str, np.ndarray]
    time: TimeSpec = dataclasses.field(default_factory=TimeSpec)
    makes_means: bool = False

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
        """What the parameters belong to, as plain values."""
        single_days = self.time == TimeSpec()
        before = BEFORE_TIME if self.model.optional else BEFORE_HEADS
        own = {} if single_days else {"time": dataclasses.asdict(self.time)}
        return {
            "format": before if single_days else FORMAT,
            **own,
            "name": self.name,
            "model": self.model.to_dict(),
            "graph": dataclasses.asdict(self.domain.spec) | self.domain.spec.lengths,
            "normaliser": self.normaliser.to_dict(),
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of parameters and schema, as the output's attribute `checkpoint_sha256`."""
        return checkpoint_sha256(self._arrays, self.schema)

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        """The network's parameters, and the EOFs under names of their own."""
        eofs = self.domain.eofs
        own = {} if eofs is None else eofs.arrays()
        return {**self.params, **{OF_EOFS + name: value for name, value in own.items()}}

    @cached_property
    def _network(self) -> Downscaler:
        # Its shapes alone: random numbers, which are not wanted, would have to be compiled for.
        shapes = nnx.eval_shape(
            lambda: new_network(self.model, self.domain, self.normaliser, 0, self.time.step_hours)
        )
        graphdef, params = nnx.split(shapes)
        return nnx.merge(graphdef, with_values(params, self.params))

    def downscale(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
        members: int = 0,
        seed: int = 0,
    ) -> xr.Dataset:
        """Downscale a dataset from whatever grid it stands on.

        Repairs, and a margin around the target that the source does not cover, are logged.

        Args:
            coarse: the predictors [time, *horizontal] and, if known, orog (m).
            units: units of variables that carry none, by name.
            historical: fields of the same source in the years of the training period, for an
                emulator that was trained with `standardise: per-source`.
            members: of an ensemble, for an emulator that makes one; 0 for one field a day, the
                mean of distributions and a network's output for noise of zero.
            seed: of the members, which depend on it, on their number and on the date alone.

        Returns:
            The targets [time, *target dimensions], float32, with the target's coordinates; with
            members [time, realization, *target dimensions].

        Raises:
            DataError: a predictor, its units or values are missing, there are several times a
                day, or the source covers less than 99 % of the target.
            GraphdownError: the emulator needs historical fields and has none, or the reverse;
                or it is asked for members and makes none.
        """
        work = self._work(coarse, units, historical, members, seed)
        with closing(work.results()) as results:
            return self.dataset(np.concatenate(list(results)), work.made_at, coarse.attrs)

    def stream(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None = None,
        historical: xr.Dataset | None = None,
        members: int = 0,
        seed: int = 0,
        days: slice = EVERY,
    ) -> "Stream":
        """Downscale as `downscale` does, in memory that does not grow with the number of days.

        The days are read twice: at once, to check them, and a few at a time as they are needed.
        Reading and the network run in the background while what they made is used.

        Args:
            coarse: as for `downscale`; best not read yet, as `xarray.open_dataset` leaves it.
            units, historical, members, seed: as for `downscale`. Days come with all members.
            days: which of them. Starting at a multiple of BATCH and ending at one or with the last
                day, they are bit for bit those of a stream of all days on the same machine, if that
                uses the same source points.

        Raises:
            DataError, GraphdownError: as for `downscale`.
        """
        work = self._work(coarse, units, historical, members, seed, days)

        def parts() -> Generator[xr.Dataset, None, None]:
            start = 0
            with closing(work.results()) as results:
                for values in results:
                    time = work.made_at.isel(time=slice(start, start + len(values)))
                    start += len(values)
                    yield self.dataset(values, time, coarse.attrs)

        return Stream(work.made_at, parts(), work.source)

    def _work(
        self,
        coarse: xr.Dataset,
        units: Mapping[str, str] | None,
        historical: xr.Dataset | None,
        members: int,
        seed: int,
        days: slice = EVERY,
    ) -> "_Inference":
        """Check a dataset and return what is to be done."""
        drawing = self._members(members, seed)
        where, notes = "the dataset to downscale", Notes()
        optional = ["orog", *self.optional_predictors]
        ds = to_canonical(coarse, self.needed, units, where, optional, notes)
        if self.time.is_daily:
            check_not_sub_daily(ds, where)
        else:
            check_step(ds, self.time.seconds, where)
        ds = windowed(ds, self.time).isel(time=days)
        source = SourceDays(ds, self.normaliser.predictors, where, notes)
        adjustment = self._adjustment(historical, units)
        covered = coverage(source.grid, self.domain.target, self.domain.spec.margin_km)
        check_cover(covered, source.grid, self.domain.target, where, notes)
        log_notes(notes.listed())
        orog, around = ds.get("orog"), self.model.target_regression
        graph, used = self.domain.used_arrays(source.grid, orog, around)
        time = time_axis(ds.time, ds, coarse)
        values = partial(source.passed, used)
        parts = self._network, self.normaliser, graph, values, adjustment, time
        made_at = self.times_made(time)
        return _Inference(
            *parts, source.grid, made_at, members, drawing, self.time, self.makes_means
        )

    def _members(self, members: int, seed: int) -> EnsembleNoise | None:
        """Return what draws an ensemble of so many members, None for none."""
        if members < 0 or seed < 0:
            raise GraphdownError("'members' and 'seed' must not be negative.")
        readout = Readout.of(self.model, self.normaliser.targets)
        if members and not (self.model.noise or readout.drawn):
            raise GraphdownError(
                f"The emulator {self.name!r} makes no members; train one with 'model.noise' and "
                "the loss 'crps', or with a head 'bernoulli-gamma' of 'pr'."
            )
        parts = seed, self.model.noise, readout, self.domain.target
        own = EnsembleNoise(*parts, self.time.step_hours)
        return own if members else None

    @property
    def makes_days(self) -> bool:
        """Whether what it makes is daily."""
        return self.time.is_daily and self.times_a_step == 1

    @property
    def times_a_step(self) -> int:
        """How many times it makes of each step."""
        return 1 if self.makes_means else self.time.substeps

    def times_made(self, steps: xr.Dataset) -> xr.Dataset:
        """Return the coordinate `time` of what it makes of steps, and its bounds, if any.

        Args:
            steps: their coordinate `time`, and its bounds, if any.
        """
        return steps if self.makes_means else substep_axis(steps, self.time)

    def means(self) -> "Emulator":
        """Return the emulator that makes the means over its steps, not their sub-steps.

        With `model.conserve_mean` they are the means of the sub-steps that this one makes.

        Raises:
            GraphdownError: the emulator makes no sub-steps.
        """
        if self.time.substeps == 1:
            raise GraphdownError(f"The emulator {self.name!r} makes no sub-steps of its steps.")
        return dataclasses.replace(self, makes_means=True)

    def onto(self, target: xr.Dataset | Grid, statics: xr.Dataset | None = None) -> "Emulator":
        """Return the emulator for another target: finer, coarser, another region, stations.

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
        wanted = [name for name in STATIC if name in self.domain.statics]
        at_target, around = target_ground(target, statics, wanted)
        domain = TargetDomain(at_target.grid, at_target.statics, self.domain.spec, ground=around)
        return dataclasses.replace(self, domain=domain)

    def _adjustment(
        self, historical: xr.Dataset | None, units: Mapping[str, str] | None
    ) -> Adjustment | None:
        """Return what gives a source the climate of those trained on, by its historical fields."""
        reference = self.normaliser.reference
        if (reference is None) != (historical is None):
            raise GraphdownError(
                "This emulator standardises each source by its own climate; give fields of the "
                "source in the years of the training period too, as 'historical'."
                if historical is None
                else "This emulator standardises all sources alike; leave 'historical' out."
            )
        if reference is None or historical is None:
            return None
        names, where = self.normaliser.predictors, "the historical dataset"
        ds = to_canonical(historical, self.needed, units, where, self.optional_predictors, Notes())
        ds = windowed(ds, self.time)
        own = climate_of(ds, names, self.domain.target, where)
        return adjustment_to(reference, own, names, self.normaliser.standardised)

    def dataset(
        self, values: np.ndarray, time: xr.Dataset, source_attrs: Mapping[Any, Any]
    ) -> xr.Dataset:
        """Return target values as a CF dataset on the target grid.

        Args:
            values: [time, Nt, T], or of members [time, member, Nt, T]; what they are at masked
                points does not matter.
            time: the coordinate `time` and its bounds, if any, see `graphdown.cf.time_axis`.
            source_attrs: global attributes of the coarse input, which say whose fields these are.
        """
        target = self.domain.target
        values = np.where(target.mask[:, None], values, np.float32(np.nan))
        ensemble = values.ndim == 4
        dims = ("time", REALIZATION) if ensemble else ("time",)
        attrs_of = partial(
            variable_attrs, time=self.time.of_means if self.makes_means else self.time
        )
        fields = {
            name: target.dataarray(values[..., i], name, dims, attrs=attrs_of(name))
            for i, name in enumerate(self.targets)
        }
        attrs = {
            "Conventions": "CF-1.10",
            "title": f"Downscaled by graphdown: {self.name}",
            "source": f"graphdown {versions()['graphdown']}, a graph neural network",
            "checkpoint_sha256": self.sha256,
            **driving_attrs(source_attrs),
        }
        if are_stations(target):
            attrs["featureType"] = "timeSeries"
        if source_attrs.get("history"):
            attrs["history"] = str(source_attrs["history"])
        out = xr.Dataset(fields, attrs=attrs)
        if ensemble:
            numbers = np.arange(values.shape[1], dtype=np.int32)
            out = out.assign_coords({REALIZATION: (REALIZATION, numbers, MEMBER_ATTRS)})
        return out.assign_coords(cf_coordinates(target).coords).assign_coords(time.coords)

    def save(self, folder: Path) -> None:
        """Write the emulator into a new or empty folder: parameters, schema, target grid."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / PARAMETERS, **self._arrays)  # type: ignore[arg-type]
        _write_grid(folder / TARGET, self.domain.target, self.domain.statics)
        if self.domain.eofs is not None:
            _write_grid(folder / FIELDS, self.domain.eofs.grid, xr.Dataset())
        if self.domain.ground is not None:
            ground = self.domain.ground
            _write_grid(folder / GROUND, ground.grid, ground.statics)
        schema = {**self.schema, "sha256": self.sha256, "versions": versions()}
        extensions = needed_extensions(self.schema)
        if extensions:
            schema["extensions"] = extensions
        (folder / SCHEMA).write_text(json.dumps(schema, indent=1), encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Stream:
    """Downscaled days that are made as they are asked for.

    Attributes:
        time: the coordinate `time` of all of them and its bounds, if any.
        parts: some days at a time, in order; together they are what `Emulator.downscale` returns.
        source: the source's grid; points at which a predictor never has a value are masked.
    """

    time: xr.Dataset
    parts: Generator[xr.Dataset, None, None]
    source: Grid


@dataclasses.dataclass(frozen=True)
class _Inference:
    """Days to downscale.

    Attributes:
        network, normaliser, graph: as for `run_network`.
        values: yields the predictors of all days [days, Ns, V], some days at a time.
        adjustment: of the predictors, if any.
        time: of the days.
        source, made_at: see `Stream`, whose `time` is `made_at`.
        members: how many, 0 for one field a day.
        drawing: draws their random numbers, None without members.
        steps: in time, of which the network takes and makes what; those of days by default.
        makes_means: as for `Emulator`.
    """

    network: Downscaler
    normaliser: Normaliser
    graph: GraphArrays
    values: Callable[[], Generator[np.ndarray, None, None]]
    adjustment: Adjustment | None
    time: xr.Dataset
    source: Grid
    made_at: xr.Dataset
    members: int = 0
    drawing: EnsembleNoise | None = None
    steps: TimeSpec = dataclasses.field(default_factory=TimeSpec)
    makes_means: bool = False

    def results(self) -> Generator[np.ndarray, None, None]:
        """Yield the targets [time, Nt, T] by batches, the next one being made meanwhile.

        Those of members are [time, member, Nt, T].
        """
        season = forcings(self.time.time, self.steps.step_hours)
        days = np.arange(self.time.sizes["time"])
        with closing(self.values()) as parts:
            along = (regrouped(some, BATCH) for some in (parts, [season], [days]))
            yield from prefetched(self._result, zip(*along, strict=True), AHEAD, threads=1)

    def _result(self, batch: tuple[np.ndarray, ...]) -> np.ndarray:
        made = self._made(batch)
        return self.steps.means_of(made) if self.makes_means else self.steps.unfolded(made)

    def _made(self, batch: tuple[np.ndarray, ...]) -> np.ndarray:
        """Return what the network makes of some days [days, ..., T], sub-steps included."""
        values, season, days = batch
        values = values if self.adjustment is None else self.adjustment(values)
        given = self.network, self.normaliser, self.graph, values, season
        if self.drawing is None:
            return run_network(*given)
        time = self.time.time.isel(time=days)
        return run_members(*given, (self.drawing.draw(m, time) for m in range(self.members)))


def load(run: str | Path, extensions: Sequence[str] = ()) -> Emulator:
    """Load the emulator of a run.

    Args:
        run: the run's folder, or its `emulator` folder.
        extensions: names of modules or paths of .py files with heads, transforms, builders or
            variables of the user's own that the emulator needs, beside those that the environment
            variable GRAPHDOWN_EXTENSIONS names.

    Raises:
        ExperimentError: there is no such extension, or it fails.
        GraphdownError: the folder holds no emulator, one of a newer version, or a damaged one.
    """
    folder = Path(run) / "emulator" if (Path(run) / "emulator").is_dir() else Path(run)
    if not (folder / SCHEMA).is_file():
        raise DamageError(
            f"{str(run)!r} holds no emulator; give the folder of a finished training run."
        )
    with damage_told(folder / SCHEMA):
        schema = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
        newer = schema["format"] > FORMAT
    if newer:
        raise GraphdownError(
            f"{str(folder)!r} was written by a newer graphdown (format {schema['format']}; this "
            f"one reads up to {FORMAT}); update graphdown."
        )
    load_for_emulator(extensions, folder)
    with damage_told(folder / SCHEMA):
        missing = missing_entries(schema, str(run))
    if missing:
        raise GraphdownError(missing)
    with damage_told(folder / SCHEMA):
        name, written = str(schema["name"]), schema["sha256"]
        model = parse_as(ModelSpec, schema["model"], "model")
        spec = parse_as(GraphSpec, schema["graph"], "graph")
        time = TimeSpec.from_dict(schema.get("time", {}))
        normaliser = Normaliser.from_dict(schema["normaliser"])
        check_names((*normaliser.predictors, *normaliser.targets))
    target, statics = _read_grid(folder / TARGET)
    with damage_told(folder / PARAMETERS):
        arrays = read_arrays(folder / PARAMETERS)
    hashed = {key: value for key, value in schema.items() if key not in NOT_HASHED}
    if checkpoint_sha256(arrays, hashed) != written:
        raise DamageError(
            f"{str(folder)!r} is damaged ({PARAMETERS} and {SCHEMA} do not have the hash that they "
            "were written with); copy the folder again or repeat the training."
        )
    if schema["format"] < 3 and model.eofs:
        raise GraphdownError(
            f"{str(folder)!r} was written by an older graphdown, whose EOFs were others; repeat "
            "the training."
        )
    eof_arrays = {k.removeprefix(OF_EOFS): v for k, v in arrays.items() if k.startswith(OF_EOFS)}
    eofs = EOFs(_read_grid(folder / FIELDS)[0], **eof_arrays) if eof_arrays else None
    params = {k: v for k, v in arrays.items() if not k.startswith(OF_EOFS)}
    ground = Ground(*_read_grid(folder / GROUND)) if (folder / GROUND).is_file() else None
    domain = TargetDomain(target, statics, spec, eofs, ground)
    if schema["format"] == 1:
        params = _with_rounds_stacked(params, model.rounds)
    return Emulator(name, model, normaliser, domain, params, time)


def _with_rounds_stacked(params: Mapping[str, np.ndarray], rounds: int) -> dict[str, np.ndarray]:
    """Return parameters of format 1, in which each round had arrays of its own."""
    firsts = [match for match in map(OF_FIRST_ROUND.fullmatch, params) if match]
    out = {name: value for name, value in params.items() if not OF_A_ROUND.match(name)}
    for layer, rest in (match.groups() for match in firsts):
        out[f"{layer}.{rest}"] = np.stack([params[f"{layer}.{k}.{rest}"] for k in range(rounds)])
    return out


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what fails when a file of the emulator is read into one sentence."""
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, BadZipFile) as error:
        reason = "the file is absent" if isinstance(error, FileNotFoundError) else str(error)
        reason = f"{reason} is absent" if isinstance(error, KeyError) else reason
        raise DamageError(
            f"{str(path)!r} is damaged ({shorten(reason, LONGEST).rstrip('.')}); copy the folder "
            "again or repeat the training."
        ) from None


def _write_grid(path: Path, grid: Grid, statics: xr.Dataset) -> None:
    """Write a grid with its mask and static fields."""
    ds = xr.Dataset({MASK: grid.dataarray(grid.mask.astype(np.int8), MASK), **statics})
    ds.assign_coords(stored_coordinates(grid)).to_netcdf(path)


def _read_grid(path: Path) -> tuple[Grid, xr.Dataset]:
    """Return a grid and its static fields."""
    with damage_told(path), xr.open_dataset(path, engine="netcdf4") as opened:
        ds = opened.load()
        statics = ds.drop_vars(MASK)
        bare = ds.drop_vars(list(statics.data_vars))
        return Grid.from_dataset(bare, mask=ds[MASK].astype(bool)), statics


def new_network(
    model: ModelSpec,
    domain: TargetDomain,
    normaliser: Normaliser,
    seed: int,
    step_hours: int = DAY_HOURS,
) -> Downscaler:
    """Return an untrained network for the given geometry, variables and length of a step."""
    shape = NetworkShape(
        normaliser.channels,
        len(normaliser.targets),
        len(forcing_names(step_hours)),
        len(domain.static_names),
        *domain.spec.feature_counts,
        domain.target.size,
        0 if domain.eofs is None else len(normaliser.targets),
        Readout.of(model, normaliser.targets),
    )
    return Downscaler(model, shape, rngs=nnx.Rngs(seed))


def named_values(params: Any) -> dict[str, np.ndarray]:
    """Return a tree of parameters as arrays by path, as in "updates.norm.scale"."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {path_name(path): np.asarray(leaf) for path, leaf in leaves}


def with_values(params: Any, values: Mapping[str, Any]) -> Any:
    """Return a tree of parameters with its values replaced by the named ones.

    Raises:
        GraphdownError: names, shapes or kinds of numbers differ.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    names = [path_name(path) for path, _ in leaves]
    if set(names) != set(values):
        differing = sorted(set(names) ^ set(values))[0]
        raise GraphdownError(
            f"The parameters do not fit the network: {differing!r} is on one side only; the "
            "checkpoint belongs to another model."
        )
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if np.shape(values[name]) != np.shape(leaf):
            raise GraphdownError(
                f"The parameter {name!r} has shape {np.shape(values[name])}, the network needs "
                f"{np.shape(leaf)}; the checkpoint belongs to another model or target grid."
            )
        given, own = (jnp.result_type(value) for value in (values[name], leaf))
        if given.kind != own.kind:
            raise GraphdownError(
                f"The parameter {name!r} holds {given} numbers, the network needs {own}; the "
                "checkpoint belongs to another model."
            )
    arrays = [
        v if isinstance(v, jax.Array) else on_device(v) for v in (values[name] for name in names)
    ]
    return jax.tree_util.tree_unflatten(structure, arrays)


def path_name(path: tuple[Any, ...]) -> str:
    """Return the path of a leaf as dotted text, as in "updates.norm.scale"."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


@partial(jax.jit, static_argnames=("graphdef", "raw"))
def _apply(
    graphdef: Any,
    params: Any,
    scales: Scaling,
    source: Any,
    season: Any,
    graph: GraphArrays,
    noise: Any = None,
    raw: bool = False,
) -> jax.Array:
    make = outputs if raw else predict
    return make(nnx.merge(graphdef, params), scales, source, season, graph, noise=noise)


def run_network(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
) -> np.ndarray:
    """Return the targets [time, Nt, T] in physical units, within their limits.

    Args:
        network: the network.
        normaliser: names and statistics.
        graph: of the source grid.
        values: predictors [time, Ns, V] in physical units.
        season: forcings [time, F].
    """
    made = _run(network, normaliser, graph, [values, season], raw=False)
    return within_limits(made, normaliser.targets)


def run_members(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
    draws: Iterable[MemberNoise],
) -> np.ndarray:
    """Return the targets of members [time, member, Nt, T]; see `run_network`.

    Args:
        network, normaliser, graph, values, season: as for `run_network`.
        draws: random numbers of each member.
    """
    readout, scale = network.readout, np.asarray(normaliser.scale, np.float32)
    members, made = [], None
    for draw in draws:
        if made is None or draw.noise is not None:
            given = [values, season] + ([] if draw.noise is None else [draw.noise])
            made = _run(network, normaliser, graph, given, raw=draw.ranks is not None)
        own = made if draw.ranks is None else readout.drawn_from(made, scale, draw.ranks)
        members.append(within_limits(own, normaliser.targets))
    return np.stack(members, axis=1)


def _run(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    given: Sequence[np.ndarray],
    raw: bool,
) -> np.ndarray:
    """Return what the network makes of predictors, forcings and noise, if any, by batches."""
    graphdef, params = nnx.split(network)
    scales = normaliser.scaling(on_device)
    values = pad_nodes(given[0])
    parts = []
    for start in range(0, len(values), BATCH):
        batch = [array[start : start + BATCH] for array in (values, *given[1:])]
        short = BATCH - len(batch[0])
        padded = [np.pad(a, ((0, short), *[(0, 0)] * (a.ndim - 1)), "edge") for a in batch]
        made = _apply(graphdef, params, scales, *padded[:2], graph, *padded[2:], raw=raw)
        parts.append(np.asarray(made)[: len(batch[0])])
    return np.concatenate(parts)


def pad_nodes(values: np.ndarray) -> np.ndarray:
    """Pad source values [time, Ns, V] with unused nodes to the bucket size of the graph arrays."""
    extra = bucket(values.shape[1]) - values.shape[1]
    return np.pad(values, ((0, 0), (0, extra), (0, 0)))


def stored_coordinates(target: Grid) -> dict[Hashable, xr.Variable]:
    """Return the coordinates of a grid, bounds included, such that reading gives it again."""
    variables = {}
    for name, variable in target.coords.variables.items():
        label = bounds_label(variable)
        bounds = {"bounds": str(label)} if label in target.coords.variables else {}
        own = {k: v for k, v in variable.attrs.items() if k != "bounds"}
        variables[name] = xr.Variable(variable.dims, variable.values, {**own, **bounds})
    return variables


def versions() -> dict[str, str]:
    """Return the versions of graphdown and of what it computes with."""
    from importlib.metadata import version

    return {name: version(name) for name in ("graphdown", "jax", "flax", "numpy", "xarray")}
