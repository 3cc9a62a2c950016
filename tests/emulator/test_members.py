"""Ensembles: members that depend on seed, member and date alone, in fields and in files."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.emulator.dependence import STATED_LENGTH_KM
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.ensemble_noise import (
    EnsembleNoise,
    day_keys,
    normal,
    waves,
)
from graphdown.emulator.storage import load, save
from graphdown.errors import GraphdownError
from graphdown.evaluation import evaluate_ensemble
from graphdown.model import ModelSpec
from graphdown.model.heads import Readout
from graphdown.runtime.random_streams import RandomStream
from meshes import EARTH_RADIUS_KM, GraphSpec, Grid

from ..emulators import random_emulator

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
NORMALISER = Normaliser(("tas", "pr"), ("tas", "pr"), (283, 2, 1), (9, 2, 1), (0, 0), (0.5, 1))
TARGET = Grid.regular(1.0, 1.0, (-3.0, 42.0, 4.0, 47.0))
SOURCE = Grid.regular(2.0, 2.0, (-10.0, 36.0, 12.0, 54.0))
BOTH = ModelSpec(channels=8, rounds=1, target_channels=6, noise=3, heads={"pr": "bernoulli-gamma"})
DAYS = 40  # more than are made at a time


@cache
def emulator(model=BOTH):
    domain = TargetDomain(TARGET, xr.Dataset(), GraphSpec(mesh_level=4, encode_radius_km=500.0))
    return random_emulator(model, NORMALISER, domain)


def source(grid=SOURCE, days=DAYS):
    wave = np.sin(np.radians(8 * grid.lon) + 0.7 * np.arange(days)[:, None])
    time = {"time": xr.date_range("2001-12-10", periods=days)}
    fields = {"tas": (285 + 5 * wave, "K"), "pr": (np.maximum(6 * wave, 0), "mm day-1")}
    return xr.Dataset(
        {
            n: grid.dataarray(v.astype(np.float32), n, ("time",), time, {"units": u})
            for n, (v, u) in fields.items()
        }
    )


@pytest.fixture(scope="module")
def ensemble():
    return emulator().downscale(source(), members=3, seed=5)


def test_members_stand_along_a_cf_realization_and_differ(ensemble):
    assert ensemble["pr"].dims == ("time", "realization", "lat", "lon")
    assert ensemble["realization"].attrs["standard_name"] == "realization"
    np.testing.assert_array_equal(ensemble["realization"], [0, 1, 2])
    assert (ensemble["pr"] >= 0).all() and np.isfinite(ensemble["tas"]).all()
    for name in ("tas", "pr"):
        assert float(ensemble[name].std("realization").mean()) > 0.01
    other = emulator().downscale(source(days=2), members=1, seed=6)
    assert abs(other["tas"].values[:, 0] - ensemble["tas"].values[:2, 0]).max() > 0.01


def test_a_member_depends_on_seed_member_and_date_alone(ensemble):
    ds = source()
    again = emulator().downscale(ds.isel(time=[35, 3, 4]), members=2, seed=5)
    part = ensemble.isel(time=[3, 4, 35], realization=[0, 1])
    xr.testing.assert_allclose(again, part, rtol=1e-5, atol=1e-4)
    stream = emulator().stream(ds.chunk(time=7), members=3, seed=5)
    parts = list(stream.parts)
    assert [p.sizes["time"] for p in parts] == [32, 8]
    xr.testing.assert_identical(xr.concat(parts, "time"), ensemble)


def test_the_order_of_the_source_nodes_does_not_matter_to_members(ensemble):
    order = np.random.default_rng(0).permutation(SOURCE.size)
    lon, lat, area = SOURCE.lon[order], SOURCE.lat[order], SOURCE.area[order]
    points = Grid.from_points(lon, lat, area)
    few = source().isel(time=slice(2))
    mixed = xr.Dataset(
        {
            n: points.dataarray(
                SOURCE.values(v)[:, order], n, ("time",), {"time": few.time}, v.attrs
            )
            for n, v in few.items()
        }
    )
    again, plain = (emulator().downscale(ds, members=1, seed=5) for ds in (mixed, few))
    # Bilinear weights of a list of points are those of its triangles, not of the grid's cells.
    difference = again["tas"] - plain["tas"]
    assert float(abs(difference).mean()) < 0.1 * float(plain["tas"].std())


def test_a_saved_emulator_makes_the_same_members(ensemble, tmp_path):
    save(emulator(), tmp_path)
    few = source().isel(time=slice(2))
    made = load(tmp_path).downscale(few, members=2, seed=5)
    xr.testing.assert_identical(made, emulator().downscale(few, members=2, seed=5))


def test_members_that_cannot_be_made_are_refused():
    plain = replace(BOTH, noise=0, heads={})
    with pytest.raises(GraphdownError, match="makes no members"):
        emulator(plain).downscale(source(days=2), members=2)
    with pytest.raises(GraphdownError, match="must not be negative"):
        emulator().downscale(source(days=2), members=-1)


def test_without_members_there_is_one_field_a_day_that_no_seed_changes(ensemble):
    few = source().isel(time=slice(3))
    made = emulator().downscale(few)
    xr.testing.assert_identical(made, emulator().downscale(few, seed=9))
    assert made["pr"].dims == ("time", "lat", "lon")


def test_members_of_a_distribution_have_its_mean_and_its_share_of_dry_days():
    alone = emulator(replace(BOTH, noise=0))
    few = source().isel(time=slice(6))
    drawn, mean = alone.downscale(few, members=60), alone.downscale(few)["pr"]
    assert float(drawn["pr"].mean()) == pytest.approx(float(mean.mean()), rel=0.2)
    assert 0.02 < float((drawn["pr"] == 0).mean()) < 0.98
    assert (drawn["tas"] == drawn["tas"].isel(realization=0)).all()


def test_random_fields_are_normal_and_their_correlation_falls_off_with_distance():
    made = waves(TARGET)
    np.testing.assert_allclose(np.square(made).sum(axis=1), 1.0, rtol=1e-5)
    correlation = made @ made.T
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(TARGET.xyz @ TARGET.xyz.T, -1, 1))
    assert np.abs(correlation - np.exp(-distance / STATED_LENGTH_KM)).mean() < 0.08
    time = xr.DataArray(xr.date_range("2001-01-01", periods=300), dims="time")
    readout = Readout(("bernoulli-gamma",))
    ranks = EnsembleNoise(3, ModelSpec(), readout, TARGET).draw(0, time).ranks
    assert ranks.shape == (300, TARGET.size, 1)
    assert scipy.stats.kstest(ranks[:, 7, 0], "uniform").pvalue > 0.01
    assert np.corrcoef(ranks[:, 0, 0], ranks[:, 1, 0])[0, 1] > 0.3
    lagged = np.corrcoef(ranks[1:, 7, 0], ranks[:-1, 7, 0])[0, 1]
    assert abs(lagged) < 0.2


def test_random_numbers_are_keyed_by_date_in_any_calendar():
    for calendar in ("standard", "360_day", "noleap"):
        time = xr.date_range("1999-12-30", periods=4, calendar=calendar, use_cftime=True)
        keys = day_keys(xr.DataArray(time, dims="time"))
        assert keys[0] == 19991230 and len(set(keys)) == 4
    noise = RandomStream.MEMBER_NOISE
    a, b = normal(1, 2, [20000101], noise, 5), normal(1, 2, [20000102, 20000101], noise, 5)
    np.testing.assert_array_equal(a[0], b[1])
    assert (a != b[0]).all() and (a != normal(1, 3, [20000101], noise, 5)).all()


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_members_are_written_and_scored_as_files(ending, ensemble, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(emulator(), tmp_path / "run")
    source().to_netcdf("in.nc")
    command = ["downscale", "run", "in.nc", "-o", f"fine.{ending}", "--members", "3", "--seed", "5"]
    main(command)
    assert "in 3 members" in capsys.readouterr().out
    engine = {"nc": "netcdf4", "zarr": "zarr"}[ending]
    with xr.open_dataset(f"fine.{ending}", engine=engine) as fine:
        assert fine["realization"].attrs["standard_name"] == "realization"
        assert "--members 3 --seed 5" in fine.attrs["history"]
        for name in ("tas", "pr"):
            np.testing.assert_array_equal(fine[name], ensemble[name])
    truth = emulator().downscale(source(), members=1, seed=8).isel(realization=0, drop=True)
    truth.to_netcdf("truth.nc")
    main(["evaluate", f"fine.{ending}", "--truth", "truth.nc"])
    said = capsys.readouterr().out
    expected = evaluate_ensemble(ensemble, truth)
    crps = float(expected["crps"].sel(variable="tas"))
    assert f"{crps:.3f}" in said and "rank_histogram" in said and "ensemble mean" in said
    truth.to_netcdf("one.nc")
    main(["evaluate", "one.nc", "--truth", "truth.nc"])
    assert "rank_histogram" not in capsys.readouterr().out
