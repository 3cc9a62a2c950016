"""Files that an emulator writes: CF, round trips, calendars; and writes that go wrong."""

import errno
import functools
import itertools
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import dask
import netCDF4
import numpy as np
import pytest
import xarray as xr
from flax import nnx

from graphdown.cf import encoding
from graphdown.cf.time_axis import time_axis
from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.emulator.build_network import new_network
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load, save
from graphdown.errors import GraphdownError
from graphdown.model import ModelSpec
from graphdown.model.parameters import named_values
from graphdown.output.chunk_buffer import Growing
from graphdown.output.writer import check_output, write, write_parts
from graphdown.runtime.locks import locked
from meshes import GraphSpec, Grid

FOLDER = os.environ.get("GRAPHDOWN_DATA")
MODEL = ModelSpec(channels=4, rounds=1, target_channels=4)
NORMALISER = Normaliser(("tas", "pr"), ("tas", "pr"), (280, 2, 1), (9, 3, 1), (0, 0), (1, 1))
SPEC = GraphSpec(mesh_level=5, encode_radius_km=600.0)
CMIP6 = {"source_id": "MIROC6", "experiment_id": "ssp119", "variant_label": "r1i1p1f1"}
CMIP6 |= {"institution_id": "MIROC", "mip_era": "CMIP6", "history": "2019-09-11T04:04:09Z CMOR"}


def rotated():
    return Grid.rotated(-162.0, 39.25, np.linspace(-9.0, -5.0, 6), np.linspace(-4.0, -1.0, 5))


def lambert():
    corner = Grid.named("ALPS-12").coords.isel(x=slice(60, 66), y=slice(60, 65))
    return Grid.from_dataset(corner)


def curvilinear():
    bare = lambert().coords.drop_vars(["x", "y", "Lambert_Conformal"])
    return Grid.from_dataset(xr.Dataset(coords=bare.coords))


def regular():
    return Grid.regular(0.5, 0.5, (-1.0, 43.0, 2.0, 45.5))


def stations():
    rng = np.random.default_rng(3)
    coords = {
        "station": ("station", [f"S{i:02}" for i in range(30)], {"long_name": "station name"}),
        "longitude": ("station", rng.uniform(0, 4, 30), {"standard_name": "longitude"}),
        "latitude": ("station", rng.uniform(43, 46, 30), {"standard_name": "latitude"}),
    }
    return Grid.from_dataset(xr.Dataset(coords=coords))


def points():
    rng = np.random.default_rng(4)
    return Grid.from_points(rng.uniform(0, 4, 9), rng.uniform(43, 46, 9))


TARGETS = {
    "rotated": (rotated, "curvilinear"),
    "lambert": (lambert, "curvilinear"),
    "curvilinear": (curvilinear, "curvilinear"),
    "regular": (regular, "lonlat"),
    "stations": (stations, "unstructured"),
    "points": (points, "unstructured"),
}


def untrained(target):
    domain = TargetDomain(target, xr.Dataset(), SPEC)
    network = new_network(MODEL, domain, NORMALISER, seed=0)
    return Emulator("tiny", MODEL, NORMALISER, domain, named_values(nnx.split(network)[1]))


def laid_out(target, source, value=1.0):
    """Return a constant as if it had been downscaled, without the cost of a network."""
    emulator = Emulator("tiny", MODEL, NORMALISER, TargetDomain(target, xr.Dataset(), SPEC), {})
    values = np.full((source.sizes["time"], target.size, 2), value, np.float32)
    return emulator.dataset(values, time_axis(source.time, source), source.attrs)


def coarse(calendar="noleap", days=3, attrs=CMIP6):
    """Return made-up daily fields with bounds, as if read from a file of CMIP6."""
    grid = Grid.regular(4.0, 4.0, (-12.0, 34.0, 12.0, 54.0))
    edges = xr.date_range("2000-02-28", periods=days + 1, calendar=calendar, use_cftime=True)
    if calendar == "standard":
        edges = edges.to_datetimeindex(time_unit="ns")
    time = xr.Variable("time", edges[:-1] + (edges[1] - edges[0]) / 2, {"bounds": "time_bnds"})
    time.encoding = {"units": "days since 1850-1-1", "calendar": calendar}
    rng = np.random.default_rng(0)
    fields = {
        name: grid.dataarray(
            (mean + rng.random((days, grid.size))).astype(np.float32),
            name,
            ("time",),
            {"time": time},
            {"units": units},
        )
        for name, mean, units in (("tas", 280, "K"), ("pr", 2, "mm day-1"))
    }
    bounds = ("time", "nv"), np.stack([edges[:-1], edges[1:]], axis=1)
    return xr.Dataset({**fields, "time_bnds": bounds}, attrs=attrs)


@pytest.fixture(scope="module", params=TARGETS)
def made(request, tmp_path_factory):
    """Return the name of a target, its grid, downscaled fields and the netCDF file of them."""
    grid = TARGETS[request.param][0]()
    fine = untrained(grid).downscale(coarse())
    path = tmp_path_factory.mktemp("made") / "fine.nc"
    write(fine, path, "graphdown downscale")
    return request.param, grid, fine, path


@functools.cache
def checkers():
    from compliance_checker.runner import CheckSuite

    suite = CheckSuite()
    suite.load_all_available_checkers()
    return suite


def complaints(path, standard="cf:1.10"):
    """Return what the CF checker says against a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite = checkers()
        dataset = suite.load_dataset(str(path))
        groups, crashes = suite.run_all(dataset, [standard])[standard]
        dataset.close()
    assert crashes == {}
    failed = [g for g in groups if g.value is False or g.value[0] != g.value[1]]
    return [f"{group.name}: {message}" for group in failed for message in group.msgs]


def cdo(*arguments):
    if shutil.which("cdo") is None:
        pytest.skip("cdo is not installed; Debian has it as the package cdo, pip does not")
    done = subprocess.run(["cdo", "-s", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_files_pass_the_cf_checker(made):
    assert complaints(made[-1]) == []
    with xr.open_dataset(made[-1]) as ds:
        roles = [name for name in ds.variables if ds[name].attrs.get("cf_role")]
        kinds = {"stations": ("timeSeries", ["station_name"]), "points": ("timeSeries", ["cell"])}
        assert (ds.attrs.get("featureType"), roles) == kinds.get(made[0], (None, []))


def test_the_cf_checker_is_awake(tmp_path):
    fine = laid_out(regular(), coarse())
    fine["tas"].attrs["standard_name"] = "air_temprature"
    fine["pr"].attrs["units"] = "parsec"
    path = tmp_path / "fine.nc"
    write(fine, path, "test")
    said = " ".join(complaints(path))
    assert "air_temprature" in said and "parsec" in said


def test_files_give_the_target_grid_again(made):
    _, grid, _, path = made
    with xr.open_dataset(path) as ds:
        again = Grid.from_dataset(ds)
    assert (again.kind, again.dims, again.shape) == (grid.kind, grid.dims, grid.shape)
    for name in ("lon", "lat", "area", "corners"):
        np.testing.assert_allclose(getattr(again, name), getattr(grid, name), rtol=1e-9)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_xarray_reads_what_was_downscaled_without_warnings(made, ending, tmp_path):
    _, _, fine, _ = made
    path = tmp_path / f"fine.{ending}"
    write(fine, path, "graphdown downscale")
    with xr.open_zarr(path) if ending == "zarr" else xr.open_dataset(path) as ds:
        names = {"station": "station_name"}
        for name in fine.variables:
            np.testing.assert_array_equal(ds[names.get(name, name)].values, fine[name].values)
        assert ds.drop_encoding().tas.attrs == fine.tas.attrs
        assert {**ds.attrs, "history": ""} == {**fine.attrs, "history": ""}


def test_cdo_understands_grid_and_times(made):
    name, grid, _, path = made
    described = cdo("griddes", path)
    assert re.search(rf"gridtype\s*= {TARGETS[name][1]}\b", described)
    assert re.search(rf"gridsize\s*= {grid.size}\b", described)
    info = cdo("sinfo", path)
    assert "2000-02-28 12:00:00  2000-03-01 12:00:00  2000-03-02 12:00:00" in info
    assert "Calendar = 365_day  Bounds = true" in info
    if name in ("rotated", "lambert"):
        mapping = grid.coords[grid.grid_mapping].attrs["grid_mapping_name"]
        assert re.search(rf"mapping : {mapping}", info)


REAL = [
    "racmo22e_ecearth_rcp85_eur44_djf_2080-2100.nc",
    "eobs05_djf_1982-1990.nc",
    "tasmax_ALPS.nc",
    "geo_em_d01_lambert.nc",
    "tas_Amon_ICON-ESM-LR_historical_r1i1p1f1_gn_185001.nc",
    "tas_Amon_FGOALS-g3_historical_r1i1p1f1_gn_185001.nc",
    "tas_EUR-11_MPI-M-MPI-ESM-LR_rcp85_r1i1p1_KNMI-RACMO22E_v1_mon_209101.nc",
]


@pytest.mark.skipif(not FOLDER, reason="GRAPHDOWN_DATA names no folder of real data")
@pytest.mark.parametrize("name", REAL)
def test_grids_of_real_files_are_written_as_cf(name, tmp_path):
    with xr.open_dataset(Path(FOLDER, name), decode_times=False) as ds:
        grid = Grid.from_dataset(ds)
    grid.mask[::3] = False
    path = tmp_path / "fine.nc"
    write(laid_out(grid, coarse()), path, "test")
    assert complaints(path) == []
    with xr.open_dataset(path) as ds:
        again = Grid.from_dataset(ds)
        np.testing.assert_array_equal(np.isfinite(grid.values(ds.tas[0])), grid.mask)
    assert again.kind == grid.kind
    np.testing.assert_allclose(again.area, grid.area, rtol=1e-6)
    described = cdo("griddes", path)
    assert re.search(rf"gridsize\s*= {grid.size}\b", described)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_calendar_reference_and_bounds_of_the_source_are_kept(calendar, ending, tmp_path):
    source = coarse(calendar)
    path = tmp_path / f"fine.{ending}"
    write(laid_out(regular(), source), path, "test")
    engine = "zarr" if ending == "zarr" else "netcdf4"
    with xr.open_dataset(path, engine=engine, decode_times=False) as raw:
        assert raw.time.attrs["calendar"] == calendar
        assert raw.time.attrs["units"] == "days since 1850-01-01"
        assert raw.time.attrs["bounds"] == "time_bnds"
        assert raw.time.dtype == np.float64
    with xr.open_dataset(path, engine=engine) as ds:
        np.testing.assert_array_equal(ds.time.values, source.time.values)
        np.testing.assert_array_equal(ds.time_bnds.values, source.time_bnds.values)


def test_masked_points_are_missing_and_others_are_not(tmp_path):
    grid = regular()
    grid.mask[[0, 7]] = False
    path = tmp_path / "fine.nc"
    write(laid_out(grid, coarse()), path, "test")
    with netCDF4.Dataset(path) as raw:
        assert raw["tas"]._FillValue == np.float32(1e20)
        assert "_FillValue" not in raw["lat"].ncattrs() + raw["time"].ncattrs()
        hidden = np.ma.getmaskarray(raw["tas"][0]).ravel()
    np.testing.assert_array_equal(hidden, ~grid.mask)


def test_a_saved_emulator_keeps_target_bounds_mask_and_hash(tmp_path):
    grid = regular()
    grid.mask[4] = False
    emulator = untrained(grid)
    save(emulator, tmp_path / "emulator")
    again = load(tmp_path)
    assert again.sha256 == emulator.sha256
    assert f'"sha256": "{emulator.sha256}"' in (tmp_path / "emulator/emulator.json").read_text()
    xr.testing.assert_identical(again.domain.target.coords, grid.coords)
    np.testing.assert_array_equal(again.domain.target.mask, grid.mask)
    assert set(again.domain.statics.data_vars) == set()
    assert laid_out(grid, coarse()).attrs["checkpoint_sha256"] != emulator.sha256


def test_the_command_writes_a_file_that_passes_the_checker(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(untrained(regular()), tmp_path / "run" / "emulator")
    coarse().to_netcdf("in.nc")
    call = ["downscale", "run", "in.nc", "-o", "fine.nc", "--units", "pr=mm day-1"]
    main(call)
    assert "3 days of tas, pr to fine.nc" in capsys.readouterr().out
    assert complaints("fine.nc") == []
    with xr.open_dataset("fine.nc") as ds:
        words = "graphdown downscale run in.nc -o fine.nc --units 'pr=mm day-1'"
        assert ds.attrs["history"].splitlines()[0].endswith(f"Z {words}")
        assert ds.time.dt.calendar == "noleap"
    Path("fine.nc").write_bytes(b"mine")
    with pytest.raises(SystemExit):
        main(call)
    assert "give --overwrite" in capsys.readouterr().err
    assert Path("fine.nc").read_bytes() == b"mine"
    main([*call, "--overwrite"])
    assert complaints("fine.nc") == []
    assert sorted(os.listdir()) == ["fine.nc", "in.nc", "run"]


def small(value):
    return laid_out(regular(), coarse(), value)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_parts_of_any_length_make_the_file_that_all_at_once_make(ending, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK_BYTES", 1000)
    fine = laid_out(stations(), coarse(days=50))
    noise = np.random.default_rng(0).normal(size=fine.tas.shape).astype(np.float32)
    fine["tas"] = fine.tas.copy(data=np.where(noise > 1, np.nan, noise))
    one, other = tmp_path / f"one.{ending}", tmp_path / f"other.{ending}"
    write(fine, one, "test")
    time = xr.Dataset(coords={n: v for n, v in fine.coords.items() if "time" in v.dims})
    starts = [0, 3, 4, 29, 50]
    parts = (fine.isel(time=slice(*ends)) for ends in itertools.pairwise(starts))
    with dask.config.set({"array.chunk-size": "1KiB"}):  # a field like a large one
        write_parts(parts, time, other, "test")
    if ending == "zarr":
        files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
        assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
        chunks = [f for f in files if not f.name.startswith(".")]
        assert all((one / f).read_bytes() == (other / f).read_bytes() for f in chunks)
        assert len([f for f in chunks if f.parts[0] == "tas"]) > 4
    with xr.open_dataset(one) as a, xr.open_dataset(other) as b:
        xr.testing.assert_identical(a.drop_attrs(deep=False), b.drop_attrs(deep=False))
        np.testing.assert_array_equal(a.tas, fine.tas)


def test_parts_that_cannot_be_made_leave_nothing_and_say_why(tmp_path):
    fine = small(1.0)

    def parts():
        yield fine.isel(time=slice(0, 2))
        raise GraphdownError("the source ends here.")

    time = xr.Dataset(coords={n: v for n, v in fine.coords.items() if "time" in v.dims})
    for ending in ("nc", "zarr"):
        with pytest.raises(GraphdownError, match=r"^the source ends here.$"):
            write_parts(parts(), time, tmp_path / f"fine.{ending}", "test")
    assert os.listdir(tmp_path) == []


def test_outputs_that_cannot_be_written_are_refused(tmp_path):
    path, folder, store = tmp_path / "a.nc", tmp_path / "b.nc", tmp_path / "c.zarr"
    check_output(path, overwrite=False)
    path.touch()
    folder.mkdir()
    store.mkdir()
    (store / "thesis.tex").touch()
    check_output(path, overwrite=True)
    for wrong, overwrite, match in [
        (path, False, "exists; choose another name or give --overwrite"),
        (folder, True, "is no .nc output"),
        (store, True, "is no .zarr output"),
        (tmp_path / "a.txt", False, "must end in .nc or .zarr"),
        (tmp_path / "d" / "a.nc", False, "does not exist; make it first"),
        (path / "a.nc", False, "is a file, not a folder"),
    ]:
        with pytest.raises(GraphdownError, match=match):
            check_output(wrong, overwrite)
    assert sorted(os.listdir(tmp_path)) == ["a.nc", "b.nc", "c.zarr"]
    assert (store / "thesis.tex").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_at_once(tmp_path, monkeypatch):
    if os.geteuid() == 0:  # root may write everywhere, so the refusal is made up
        refusal = PermissionError(errno.EACCES, "Permission denied")
        monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(refusal))
    tmp_path.chmod(0o500)
    with pytest.raises(GraphdownError, match=r"cannot be written to \(Permission denied\)"):
        check_output(tmp_path / "a.nc", overwrite=False)
    tmp_path.chmod(0o700)


def fail_half_way(monkeypatch, error):
    """Write the file and then fail, as when the disk fills up."""
    real = Growing.finish

    def broken(self):
        real(self)
        raise error

    monkeypatch.setattr(Growing, "finish", broken)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (RuntimeError("NetCDF: HDF error"), "NetCDF: HDF error"),
    ],
)
def test_a_write_that_fails_changes_nothing(ending, exists, error, reason, tmp_path, monkeypatch):
    path = tmp_path / f"fine.{ending}"
    if exists:
        write(small(1.0), path, "first")
    fail_half_way(monkeypatch, error)
    with pytest.raises(GraphdownError, match=f"was not written: {reason}") as raised:
        write(small(2.0), path, "second")
    assert ("the old one is kept" in str(raised.value)) == exists
    assert os.listdir(tmp_path) == ([path.name] if exists else [])
    if exists:
        with xr.open_zarr(path) if ending == "zarr" else xr.open_dataset(path) as ds:
            assert (ds.tas == 1.0).all()


def test_a_write_that_runs_into_the_file_size_limit_is_told(tmp_path):
    """The real thing, not made up: the system refuses to let the file grow."""
    import resource

    fine = laid_out(regular(), coarse(days=2000))
    noise = np.random.default_rng(0).random(fine.tas.shape)
    fine["tas"] = fine.tas.copy(data=noise.astype(np.float32))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(GraphdownError, match="was not written"):
            write(fine, tmp_path / "fine.nc", "test")
        with pytest.raises(GraphdownError, match="was not written: File too large"):
            write(fine, tmp_path / "fine.zarr", "test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_an_interrupted_write_leaves_nothing(ending, tmp_path, monkeypatch):
    fail_half_way(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write(small(1.0), tmp_path / f"fine.{ending}", "test")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_what_a_killed_write_left_is_cleared_away_and_a_running_one_is_not(ending, tmp_path):
    path, left = tmp_path / f"fine.{ending}", tmp_path / f".fine.{ending}.new"
    (left / "old").mkdir(parents=True)
    (left / f"new.{ending}").touch()
    with (
        locked(left / "lock", "it"),
        pytest.raises(GraphdownError, match=r"fine.* is in use by process \d+ on "),
    ):
        write(small(1.0), path, "test")
    assert (left / "old").exists()
    write(small(1.0), path, "test")
    assert os.listdir(tmp_path) == [path.name]


def test_the_old_store_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    path = tmp_path / "fine.zarr"
    write(small(1.0), path, "first")
    real = Path.rename

    def broken(self, target):
        if self.name == "new.zarr":
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(GraphdownError, match="the old one is kept"):
        write(small(2.0), path, "second")
    with xr.open_zarr(path) as ds:
        assert (ds.tas == 1.0).all()
    assert os.listdir(tmp_path) == ["fine.zarr"]


def test_overwriting_replaces_the_whole_store(tmp_path):
    path = tmp_path / "fine.zarr"
    write(small(1.0).rename(pr="prc"), path, "first")
    check_output(path, overwrite=True)
    write(small(2.0), path, "second")
    with xr.open_zarr(path) as ds:
        assert set(ds.data_vars) >= {"tas", "pr"} and "prc" not in ds
        assert (ds.tas == 2.0).all()
