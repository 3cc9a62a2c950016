"""Inputs that end in a rule: small files and experiments, read as users have them read."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.check import check
from graphdown.data.load import load_data, source_arrays
from graphdown.data.reading.fields import Request, read_files, to_canonical
from graphdown.data.setting_notices import setting_notices
from graphdown.variables.time_steps import TimeSpec

from .. import test_load as loading
from .. import test_setting_notices as experiments
from ..files import make
from . import test_amounts as amounts
from . import test_grid_winds as winds
from . import test_malformed as malformed
from . import test_opening as opening

CASES = Path(__file__).parents[1] / "cases"

Lines = Iterable[str]  # what is printed; a refusal is raised


def read(files: list[str], *variables: str, **options: object) -> Lines:
    """Read files; their values too."""
    ds, understood = read_files(files, Request(variables, **options))
    ds.load()
    return map(str, understood.notes)


def built(build: Callable[[malformed.Case], None], folder: Path) -> Lines:
    """Read what a builder of test_malformed.py writes."""
    case = malformed.Case(folder)
    build(case)
    return read(case.files, *case.request.pop("variables"), **case.request)


def saved(ds: xr.Dataset, folder: Path, *variables: str, **options: object) -> Lines:
    """Read a dataset from a file."""
    ds.to_netcdf(folder / "a.nc")
    return read([str(folder / "a.nc")], *variables, **options)


def copied(name: str, folder: Path, *variables: str, **options: object) -> Lines:
    """Read a file of the cases."""
    shutil.copy(CASES / name, folder)
    return read([str(folder / name)], *variables, **options)


def loaded(experiment: Experiment) -> Lines:
    """Load the data of an experiment."""
    return (str(note) for of in load_data(experiment).understood.values() for note in of.notes)


def paired(coarse: xr.Dataset, folder: Path, *predictors: str, **source: object) -> Lines:
    """Load an experiment with a source around its target."""
    experiment = loading.pair_of(folder, coarse, predictors=predictors or ("tas",), source=source)
    return loaded(experiment)


def checked(ds: xr.Dataset, folder: Path) -> Lines:
    """Check a file with a dataset."""
    ds.to_netcdf(folder / "a.nc")
    report = check([str(folder / "a.nc")])
    return (*(str(note) for of in report.understood for note in of.notes), *report.remarks)


def beside_hybrid_levels() -> xr.Dataset:
    """Temperature near the surface and on levels that are no pressure levels."""
    aloft = malformed.levels([1, 2, 3], units=None, name="lev")
    aloft.lev.attrs["standard_name"] = "atmosphere_hybrid_sigma_pressure_coordinate"
    return make("tas").merge(aloft, compat="override")


def settings_of(**changes: object) -> Lines:
    """Look at the settings of an experiment."""
    return map(str, setting_notices(experiments.experiment(**changes), height=True))


def dated(units: str, **attrs: str) -> xr.Dataset:
    """Ten days of temperature at noon, by numbers in units of time."""
    return make().assign_coords(time=("time", np.arange(10.0) + 0.5, {"units": units, **attrs}))


def bounded(begin: np.ndarray, end: np.ndarray) -> xr.Dataset:
    """Ten days of temperature with bounds of times, in days."""
    limits = ("time", "bnds"), np.stack([begin, end], axis=-1)
    ds = dated("days since 2000-01-01", bounds="time_bnds")
    return ds.assign(time_bnds=limits)


def overlapping_cells() -> xr.Dataset:
    """Temperature on cells of four degrees that are two degrees apart."""
    ds = make()
    ds["lat_bnds"] = (("lat", "bnds"), np.stack([ds.lat - 2.0, ds.lat + 2.0], axis=1))
    ds.lat.attrs["bounds"] = "lat_bnds"
    return ds


def two_orders(case: malformed.Case) -> None:
    """Two files, the second with its rows turned."""
    case.save(make(), "a.nc")
    case.save(make(start="2000-01-11").isel(lat=slice(None, None, -1)), "b.nc")


def running() -> xr.Dataset:
    """Hourly totals of rain since the first hour, in mm."""
    return amounts.hourly(np.zeros_like)


def few_rising(folder: Path) -> Lines:
    """Some hours of running totals that say they are sums."""
    ds = amounts.hourly(np.zeros_like, cell_methods="time: sum")
    return saved(ds.isel(time=slice(2, 6)), folder, "pr")


def falling() -> xr.Dataset:
    """Running totals that fall at one place."""
    ds = running()
    ds.pr[60:, 2, 3] -= ds.pr[60, 2, 3]
    return ds


def grib_of_two_ranges(folder: Path) -> Lines:
    """Totals of rain since the start and of three hours, for one time."""
    rain = amounts.hourly_rain(0)
    amounts.write_grib(folder / "a.grib", [(0, 3), (0, 6), (3, 6)], rain)
    return read([str(folder / "a.grib")], "pr")


def forecasts(folder: Path) -> Lines:
    """Temperature of two runs a day apart, for 0 to 24 hours."""
    warm = np.full((5, 8), 280.0)
    messages = [("2t", "heightAboveGround", 2, day, warm) for day in (1, 2)]
    opening.write_grib(folder / "a.grib", messages, hours=(0, 12, 24))
    return read([str(folder / "a.grib")], "tas")


def wind(*names: str) -> xr.Dataset:
    """Wind along the axes of a rotated grid."""
    components = winds.along_axes(winds.ROTATED)
    kinds = ("grid_eastward_wind", "grid_northward_wind")
    return winds.fields(winds.ROTATED, components, kinds)[list(names)]


def below_ground() -> xr.Dataset:
    """Temperature near the surface and at 850 hPa, where one point is always missing."""
    ds = loading.wide("tas", "ta").rename(ta="ta850")
    ds.ta850[:, 6, 7] = np.nan
    return ds


def around_the_target() -> xr.Dataset:
    """Temperature on little more than the target of `loading.pair_of`."""
    return make(lon=np.arange(-10.0, 6.0, 2.0), lat=np.arange(36.0, 48.0, 2.0))


def a_day_absent() -> xr.Dataset:
    """Temperature and pressure, which is missing everywhere on one day."""
    ds = loading.wide("tas", "psl")
    ds.psl[4] = np.nan
    return ds


def missing_value(folder: Path) -> Lines:
    """Source with a missing value near the surface."""
    ds = loading.wide("tas", "psl")
    ds.psl[0, 4, 5] = np.nan
    experiment = loading.pair_of(folder, ds, predictors=("tas", "psl"))
    source_arrays(load_data(experiment).sources["gcm"], ("tas", "psl"), "the source 'gcm'")
    return ()


def sub_steps(folder: Path) -> Lines:
    """Target of every six hours that lacks the first hours of a day."""
    time = {"step_hours": 24, "window": [-1, 0, 1], "substeps": 4}
    inner = {"lon": np.arange(-8.0, 4.0), "lat": np.arange(38.0, 44.0)}
    fine = make(**inner, days=39, freq="6h", start="2000-01-01T06")
    return loaded(with_time(loading.pair_of(folder, loading.wide(), fine), time))


def six_hours_wanted(folder: Path) -> Lines:
    """Daily files for an experiment in hours."""
    return loaded(with_time(loading.pair_of(folder, loading.wide()), {"step_hours": 6}))


def with_time(asked: Experiment, steps: dict[str, object]) -> Experiment:
    """Experiment with other steps."""
    return replace(asked, time=TimeSpec.from_dict(steps))


def unreadable_by_permission(folder: Path) -> Lines:
    """File that may not be read; root, whom tests may run as, may read everything."""
    with mock.patch.object(os, "access", lambda path, mode: False):
        return built(malformed.no_permission, folder)


def grib_without_cfgrib(folder: Path) -> Lines:
    """GRIB where cfgrib is not installed."""
    with mock.patch.dict(sys.modules, {"cfgrib": None}):
        return built(malformed.broken_grib, folder)


def array_given(folder: Path) -> Lines:
    """Array in place of a dataset."""
    to_canonical(make().tas, ["tas"])
    return ()


def built_by(build: Callable[[malformed.Case], None]) -> Callable[[Path], Lines]:
    """Runner of what a builder of test_malformed.py writes."""
    return partial(built, build)
