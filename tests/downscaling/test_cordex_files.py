"""Files with the names, folders and attributes of the CORDEX-CMIP6 archive."""

import re

import netCDF4
import numpy as np
import pytest
import xarray as xr
import yaml

from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.downscaling.cordex_files import file_periods
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.storage import save
from graphdown.model import ModelSpec
from meshes import GraphSpec, Grid
from tests.emulators import random_emulator

from ..output.test_writer import CMIP6, complaints

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

MODEL = ModelSpec(channels=4, rounds=1, target_channels=4, noise=2)
NORMALISER = Normaliser(("tas", "pr"), ("tas", "pr"), (280, 2, 1), (9, 3, 1), (0, 0), (1, 1))
TARGET = Grid.rotated(-162.0, 39.25, np.linspace(-9.0, -5.0, 6), np.linspace(-4.0, -1.0, 5))
STATED = {
    "domain_id": "EUR-12",
    "institution_id": "IIRCM",
    "institution": "Interdisciplinary Institute",
    "contact": "data@example.org",
    "training_id": "m1",
    "source_type": "ESD-PP",
    "version": "v20261201",
}
# Archiving specifications v2, section 3, written down once more.
NAME = re.compile(
    r"(?P<variable_id>[a-zA-Z0-9-]+)_(?P<domain_id>[A-Z]{3}-[0-9]+i?)_"
    r"(?P<driving_source_id>[a-zA-Z0-9-]+)_(?P<driving_experiment_id>[a-zA-Z0-9-]+)_"
    r"(?P<driving_variant_label>r\d+i\d+p\d+f\d+)_(?P<institution_id>[a-zA-Z0-9-]+)_"
    r"(?P<source_id>[a-zA-Z0-9-]+)_(?P<version_realization>v\d+-r\d+)_(?P<frequency>day)_"
    r"(?P<start>\d{8})-(?P<end>\d{8})\.nc"
)
FOLDERS = [
    "project_id",
    "activity_id",
    "domain_id",
    "institution_id",
    "driving_source_id",
    "driving_experiment_id",
    "driving_variant_label",
    "source_id",
    "version_realization",
    "frequency",
    "variable_id",
]
# CORDEX-CMIP6_required_global_attributes.json, and the draft for statistical downscaling.
REQUIRED = [
    "activity_id",
    "contact",
    "Conventions",
    "creation_date",
    "domain",
    "domain_id",
    "driving_experiment",
    "driving_experiment_id",
    "driving_institution_id",
    "driving_source_id",
    "driving_variant_label",
    "frequency",
    "grid",
    "institution",
    "institution_id",
    "license",
    "mip_era",
    "product",
    "project_id",
    "source",
    "source_id",
    "source_type",
    "tracking_id",
    "variable_id",
    "version_realization",
    "esd_method",
    "esd_method_id",
    "training",
    "training_id",
    "stochastic_output",
]


def source(start, days, calendar="standard"):
    grid = Grid.regular(4.0, 4.0, (-12.0, 34.0, 12.0, 54.0))
    rng = np.random.default_rng(0)
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
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
    attrs = {**CMIP6, "experiment_id": "ssp126"}
    return xr.Dataset(fields, attrs=attrs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cordex")
    domain = TargetDomain(TARGET, xr.Dataset(), GraphSpec(mesh_level=5, encode_radius_km=600.0))
    save(random_emulator(MODEL, NORMALISER, domain), folder / "run" / "emulator")
    source("2025-12-20", 25).to_netcdf(folder / "in.nc")
    source("2025-12-20", 20, "360_day").to_netcdf(folder / "noleap.nc")
    (folder / "drs.yaml").write_text(yaml.safe_dump(STATED))
    return folder


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def downscale(output, *options, files="in.nc", attributes="drs.yaml"):
    call = ["downscale", "run", files, "-o", output, "--drs", "cordex"]
    main([*call, "--drs-attributes", attributes, *options])


def check_names(root, path):
    """What the specification demands of a file's name, folder and attributes."""
    named = NAME.fullmatch(path.name)
    assert named, path.name
    *folders, version = path.parent.relative_to(root).parts
    with xr.open_dataset(path) as ds:
        assert not set(REQUIRED) - set(ds.attrs)
        assert [ds.attrs[key] for key in FOLDERS] == folders
        for key, text in named.groupdict().items():
            if key not in ("start", "end"):
                assert ds.attrs[key] == text
        days = ds.time.dt.strftime("%Y%m%d").values
        assert (days[0], days[-1]) == (named["start"], named["end"])
        assert re.fullmatch(r"hdl:21\.14103/[0-9a-f-]{36}", ds.attrs["tracking_id"])
        assert set(ds.data_vars) - {"crs", "time_bnds", "rlat_bnds", "rlon_bnds"} - {
            name for name in ds.data_vars if name.endswith(("vertices", "bnds"))
        } == {named["variable_id"]}
    assert re.fullmatch(r"v\d{8}", version)
    return named


@pytest.mark.parametrize(
    ("years", "ends"), [(5, ["20251231", "20260113"]), (1, ["20251231", "20260113"])]
)
def test_names_folders_and_attributes_are_those_of_the_specification(years, ends, folder):
    output = f"archive{years}"
    downscale(output, "--years-per-file", str(years))
    files = sorted((folder / output).rglob("*.nc"))
    named = [check_names(folder / output, path) for path in files]
    assert sorted({n["variable_id"] for n in named}) == ["pr", "tas"]
    assert sorted({n["end"] for n in named}) == ends and len(files) == 4
    assert not list((folder / output).rglob(".*"))


def test_files_pass_the_cf_checker_and_hold_what_downscaling_makes(folder):
    downscale("checked")
    main(["downscale", "run", "in.nc", "-o", "plain.nc"])
    plain = xr.open_dataset("plain.nc")
    for path in sorted((folder / "checked").rglob("*.nc")):
        assert complaints(path, "cf:1.11") == []
        with netCDF4.Dataset(path) as file:
            assert file.data_model == "NETCDF4_CLASSIC"
            (name,) = {"tas", "pr"} & set(file.variables)
            assert file[name].dtype == np.float32 and file["time"].dtype == np.float64
            assert file["time"].units == "days since 1950-01-01"
            assert file[name].grid_mapping == "crs" and "crs" in file.variables
            assert file["rlon"].dtype == file["lat"].dtype == np.float64
        with xr.open_dataset(path) as ds:
            days = plain[name].sel(time=slice(ds.time[0].dt.floor("D"), ds.time[-1]))
            factor = 86400.0 if name == "pr" else 1.0
            np.testing.assert_allclose(ds[name] * factor, days, rtol=1e-5, atol=1e-6)
            assert (ds.time.dt.hour == 12).all()
            assert ds[name].attrs["units"] == {"tas": "K", "pr": "kg m-2 s-1"}[name]
            assert ("height" in ds.coords) == (name == "tas")


def test_members_are_realisations_and_the_calendar_stays(folder):
    downscale("members", "--members", "2", files="noleap.nc")
    files = sorted((folder / "members").rglob("tas_*.nc"))
    assert {check_names(folder / "members", p)["version_realization"] for p in files} == {
        "v1-r1",
        "v1-r2",
    }
    with xr.open_dataset(files[0]) as one, xr.open_dataset(files[2]) as other:
        assert one.attrs["stochastic_output"] == "yes"
        assert one.time.dt.calendar == "360_day"
        assert one.attrs["version_realization"] != other.attrs["version_realization"]
        assert not np.allclose(one.tas, other.tas)


def test_members_of_the_driving_model_have_folders_of_their_own(folder):
    second = source("2025-12-20", 25)
    second["tas"] = (second.tas + 1).assign_attrs(units="K")
    second.to_netcdf(folder / "second.nc")
    call = ["downscale", "run", "r1i1p1f1=in.nc", "r2i1p1f1=second.nc", "-o", "driven"]
    main([*call, "--drs", "cordex", "--drs-attributes", "drs.yaml"])
    files = sorted((folder / "driven").rglob("tas_*.nc"))
    named = [check_names(folder / "driven", path) for path in files]
    assert [n["driving_variant_label"] for n in named] == 2 * ["r1i1p1f1"] + 2 * ["r2i1p1f1"]
    with xr.open_dataset(files[0]) as one, xr.open_dataset(files[2]) as other:
        assert not np.allclose(one.tas, other.tas)


def test_files_that_are_there_are_kept_and_others_are_refused(folder, capsys):
    downscale("again")
    files = sorted((folder / "again").rglob("*.nc"))
    files[0].unlink()
    before = [path.stat().st_mtime_ns for path in files[1:]]
    downscale("again")
    assert [path.stat().st_mtime_ns for path in files[1:]] == before and files[0].exists()
    other = source("2025-12-20", 25) + 1.0
    for name, units in (("tas", "K"), ("pr", "mm day-1")):
        other[name].attrs["units"] = units
    other.assign_attrs({**CMIP6, "experiment_id": "ssp126"}).to_netcdf(folder / "other.nc")
    with pytest.raises(SystemExit):
        downscale("again", files="other.nc")
    assert "was made by other inputs" in capsys.readouterr().err
    downscale("again", "--overwrite", files="other.nc")
    assert sorted((folder / "again").rglob("*.nc")) == files


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"institution_id": ""}, "CORDEX files need institution_id; state"),
        ({"training_id": "a-b"}, "'training_id' is 'a-b', but must have the form"),
        ({"domain_id": "Europe"}, "'domain_id' is 'Europe'"),
        ({"instituton": "x"}, "did you mean 'institution'?"),
    ],
)
def test_what_the_archive_needs_is_asked_for_before_anything_is_made(change, part, folder, capsys):
    (folder / "bad.yaml").write_text(yaml.safe_dump({**STATED, **change}))
    with pytest.raises(SystemExit):
        downscale("never", attributes="bad.yaml")
    said = capsys.readouterr().err
    assert part in said and said.strip().count("\n") == 0
    assert not (folder / "never").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["-o", "x.nc", "--drs", "cordex"], "With --drs the output is a folder"),
        (["-o", "x.nc", "--drs-attributes", "drs.yaml"], "belongs to --drs cordex"),
        (["-o", "x", "--drs", "cordex", "--shard", "1/2"], "--drs goes without --shard"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, part, capsys):
    with pytest.raises(SystemExit):
        main(["downscale", "run", "in.nc", *options])
    assert part in capsys.readouterr().err


def test_other_eras_are_refused(folder, capsys):
    source("2025-12-20", 3).assign_attrs(mip_era="CMIP5").to_netcdf(folder / "cmip5.nc")
    with pytest.raises(SystemExit):
        downscale("never", files="cmip5.nc")
    assert "the input is of CMIP5" in capsys.readouterr().err


def test_five_years_end_with_0_or_5():
    time = xr.date_range("1979-01-01", "1992-12-31", freq="YS")
    years = xr.DataArray(time, dims="time")
    spans = [(int(years.dt.year[s][0]), int(years.dt.year[s][-1])) for s in file_periods(years, 5)]
    assert spans == [(1979, 1980), (1981, 1985), (1986, 1990), (1991, 1992)]
    assert len(file_periods(years, 1)) == 14
