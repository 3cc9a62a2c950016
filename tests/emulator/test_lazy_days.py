"""Lazy downscaling: dask in, dask out, the same bytes whoever computes them, and no earlier."""

import logging
import os
import pickle
import signal
import time
from dataclasses import replace

import dask
import numpy as np
import pytest
import xarray as xr

from graphdown.data.normalise import Normaliser
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.lazy_days import BlockTask
from graphdown.emulator.storage import load, save
from graphdown.errors import DataError, GraphdownError
from graphdown.model import ModelSpec
from graphdown.variables.time_steps import TimeSpec

from ..emulators import random_emulator
from .conftest import MODEL, SOURCES, SPEC, TARGETS, dataset, emulator, statics

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

DAYS = 71
LEVELS = Normaliser(
    ("tas", "ta850"), ("tas",), (283.0, 270.0), (9.0, 9.0), (0.0,), (0.5,), least=(240.0, 230.0),
    greatest=(300.0, 300.0),
)  # fmt: skip


def refuse_to_compute(*arguments, **options):
    raise AssertionError("a value is computed")


def made_lazily(maker, coarse, **options):
    """The lazy result; computing a value before that is an error."""
    with dask.config.set(scheduler=refuse_to_compute):
        fine = maker.downscale(coarse, **options)
    assert all(field.chunks is not None for field in fine.data_vars.values())
    return fine


@pytest.fixture(scope="module")
def days():
    ds = dataset(SOURCES["regular"], days=DAYS)
    ds["tas"][:, 2, 3] = np.nan  # a point that the source does not have
    ds["pr"][:, 4, 5] = -999.0  # a code of missing values that no attribute declares
    return ds


@pytest.fixture(scope="module")
def whole(days):
    return emulator().downscale(days)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("chunks", [{"time": 9}, {"time": 32, "lat": 5}, {"time": -1}])
def test_nothing_is_computed_early_and_the_bytes_are_the_same(days, whole, scheduler, chunks):
    fine = made_lazily(emulator(), days.chunk(chunks))
    with dask.config.set(scheduler=scheduler):
        xr.testing.assert_identical(fine.compute(), whole)
        part = fine["pr"].isel(time=slice(30, 40)).compute()
    xr.testing.assert_identical(part, whole["pr"].isel(time=slice(30, 40)))


def test_numpy_gives_numpy(whole):
    assert all(field.chunks is None for field in whole.data_vars.values())


@pytest.mark.parametrize("made_means", [False, True])
def test_windows_and_sub_steps_reach_over_the_blocks(made_means):
    time = TimeSpec(window=(-1, 0, 1), substeps=2)
    names, targets = time.predictors(("tas",)), time.targets(("tas",))
    normaliser = Normaliser(
        names, targets, *[(280.0,) * 3, (9.0,) * 3, (0.0,) * 3, (0.5,) * 3], least=(0.0,) * 3,
        greatest=(400.0,) * 3,
    )  # fmt: skip
    domain = TargetDomain(TARGETS["regular"], statics(TARGETS["regular"]), SPEC)
    maker = replace(random_emulator(MODEL, normaliser, domain), time=time)
    maker = maker.means() if made_means else maker
    ds = dataset(SOURCES["regular"], days=40)[["tas"]]
    ds["tas"][:, 1, 1] = np.nan
    fine = made_lazily(maker, ds.chunk(time=7))
    xr.testing.assert_identical(fine.compute(), maker.downscale(ds))


def test_members_are_those_of_the_whole(days):
    model = ModelSpec(
        channels=8, rounds=1, target_channels=6, noise=3, heads={"pr": "bernoulli-gamma"}
    )
    maker = emulator(model=model)
    fine = made_lazily(maker, days.chunk(time=20), members=2, seed=5)
    expected = maker.downscale(days, members=2, seed=5)
    xr.testing.assert_identical(
        fine.isel(time=slice(40, 50)).compute(), expected.isel(time=slice(40, 50))
    )


@pytest.fixture(scope="module")
def levels():
    """An emulator of a pressure level that knows the range of its training, and fields for it."""
    domain = TargetDomain(TARGETS["regular"], statics(TARGETS["regular"]), SPEC)
    ds = dataset(SOURCES["regular"], days=70).rename(ua850="ta850")[["tas", "ta850"]]
    ds["ta850"] = (ds["tas"] - 12.0).assign_attrs(units="K")
    ds["ta850"][20:50, 3, 3:6] = np.nan  # below ground on some days
    return random_emulator(MODEL, LEVELS, domain), ds


def test_points_below_ground_are_filled_and_the_past_adjusts(levels):
    maker, ds = levels
    past = dataset(SOURCES["regular"], days=300).rename(ua850="ta850")[["tas", "ta850"]]
    past["ta850"] = (past["tas"] - 9.0).assign_attrs(units="K")
    normaliser = replace(LEVELS, source_mean=(284.0, 272.0), source_std=(8.0, 8.0))
    maker = replace(maker, normaliser=normaliser)
    fine = made_lazily(maker, ds.chunk(time=30), historical=past.chunk(time=50))
    xr.testing.assert_identical(fine.compute(), maker.downscale(ds, historical=past))


def test_predictors_far_outside_are_reported_or_refused_when_computed(levels, caplog):
    maker, ds = levels
    hot = ds.assign(tas=ds["tas"] + 45.0 * (ds["time.dayofyear"] > 150)).chunk(time=30)
    hot["tas"].attrs = ds["tas"].attrs
    fine = made_lazily(maker, hot)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        fine.compute(scheduler="synchronous")
    assert any("'tas' on" in r.message and "extrapolates" in r.message for r in caplog.records)
    refused = made_lazily(maker, hot, refuse_beyond=True)
    with pytest.raises(DataError, match="far outside the range of the training"):
        refused.compute(scheduler="synchronous")


def test_values_missing_on_some_days_are_refused_when_computed(days):
    broken = days.copy(deep=True)
    broken["pr"][40, 1, 2] = np.nan
    fine = made_lazily(emulator(), broken.chunk(time=10))
    fine.isel(time=slice(32)).compute()
    with pytest.raises(DataError, match=r"2001-04-29 to .*1 value is missing, the first in 'pr'"):
        fine.isel(time=[50]).compute()
    seldom = days.copy(deep=True)
    seldom["tas"][40:44, 2, 3] = 285.0
    fine = made_lazily(emulator(), seldom.chunk(time=10))
    with pytest.raises(DataError, match="1 points? ha(s|ve) values that"):
        fine.isel(time=[50]).compute()


def test_wrong_units_are_refused_when_computed(days):
    celsius = days.assign(tas=(days["tas"] - 273.15).assign_attrs(units="K"))
    fine = made_lazily(emulator(), celsius.chunk(time=10))
    with pytest.raises(DataError, match="'tas'.*units look like degC"):
        fine.compute()


def test_metadata_are_checked_at_once(days):
    far = days.assign_coords(lon=days["lon"] + 90).chunk(time=10)
    with pytest.raises(DataError, match="covers 0 % of the target"):
        made_lazily(emulator(), far)
    with pytest.raises(DataError, match="'pr' is absent"):
        made_lazily(emulator(), days.drop_vars("pr").chunk(time=10))
    with pytest.raises(GraphdownError, match="makes no members"):
        made_lazily(emulator(), days.chunk(time=10), members=2)


def test_an_emulator_of_a_folder_travels_by_its_name(tmp_path, days):
    save(emulator(), tmp_path / "emulator")
    maker = load(tmp_path)
    like, at = xr.Dataset({"tas": ("time", [])}), days["time"][:0]
    sent = pickle.dumps(BlockTask(maker, like, at, "x"))
    arrived = pickle.loads(sent)
    assert len(sent) < 5000 and arrived.emulator.sha256 == maker.sha256
    assert pickle.loads(pickle.dumps(emulator())).sha256 == maker.sha256
    moved = replace(maker, params={n: v + 1 for n, v in maker.params.items()})
    with pytest.raises(GraphdownError, match="holds another emulator"):
        pickle.loads(pickle.dumps(BlockTask(moved, like, at, "x")))


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra 'distributed' is absent")
    save(emulator(), tmp_path / "emulator")
    maker, ds = load(tmp_path), dataset(SOURCES["regular"], days=300)
    ds["tas"][:, 2, 3] = np.nan
    ds.to_netcdf(tmp_path / "coarse.nc")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        xr.open_dataset(tmp_path / "coarse.nc", chunks={"time": 45}) as coarse,
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        fine = made_lazily(maker, coarse)
        writing = client.compute(fine.to_zarr(tmp_path / "out.zarr", zarr_format=2, compute=False))
        first = client.run(os.getpid)
        while not any(client.run(_blocks_made).values()):
            time.sleep(0.2)
        os.kill(min(first.values()), signal.SIGKILL)
        writing.result(timeout=300)
    with xr.open_zarr(tmp_path / "out.zarr") as written:
        for name, field in maker.downscale(ds).data_vars.items():
            np.testing.assert_array_equal(written[name].values, field.values)


def _blocks_made():
    from graphdown.emulator import lazy_days

    return len(lazy_days._READY)
