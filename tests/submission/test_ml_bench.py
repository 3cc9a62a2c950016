"""A submission to CORDEX-ML-Bench from made-up files of its layout, held by its own rules."""

import re
import zipfile

import numpy as np
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.passport import sealed, write_passport
from graphdown.emulator.storage import load, save
from graphdown.model import ModelSpec
from graphdown.submission import ml_bench_layout
from graphdown.submission.ml_bench_layout import DOMAINS, TRAININGS, bench_inputs
from meshes import GraphSpec, Grid
from tests.emulators import random_emulator

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

# One year each instead of twenty: the years in the names follow.
PERIODS = {"historical": (1981, 1981), "mid_century": (2041, 2041), "end_century": (2080, 2080)}
MODELS = {
    "ALPS": ("CNRM-CM5", "MPI-ESM-LR"),
    "NZ": ("ACCESS-CM2", "EC-Earth3"),
    "SA": ("ACCESS-CM2", "NorESM2-MM"),
}
NORMALISER = Normaliser(
    predictors=("ta850", "hus700"),
    targets=("tasmax", "pr"),
    mean=(280.0, 0.003),
    std=(8.0, 0.002),
    base=(290.0, 2.0),
    scale=(2.0, 1.0),
)
# submission/README.md of WCRP-CORDEX/ml-benchmark, written down once more.
FILE = re.compile(
    r"(?P<domain>ALPS|NZ|SA)_Domain/(?P<training>ESD_pseudo_reality|Emulator_hist_future)/"
    r"(?P<period>historical|mid_century|end_century)/(?P<framework>perfect|imperfect)/"
    r"Predictions_pr_tasmax_(?P<gcm>[\w-]+)_(?P<first>\d{4})-(?P<last>\d{4})\.nc"
)


def grids(domain):
    """A target of a few cells and predictors around."""
    if domain == "ALPS":
        corner = Grid.named("ALPS-12").coords.isel(x=slice(60, 65), y=slice(60, 64))
        target = Grid.from_dataset(corner)
    else:
        west, south = {"NZ": (171.5, -41.0), "SA": (25.0, -26.0)}[domain]
        target = Grid.regular(0.11, 0.11, (west, south, west + 5 * 0.11, south + 4 * 0.11))
    lon, lat = np.rint(target.lon.mean()), np.rint(target.lat.mean())
    return target, Grid.regular(2.0, 2.0, (lon - 6, lat - 6, lon + 6, lat + 6))


def predictors(grid, years, calendar):
    time = xr.date_range(
        f"{years[0]}-01-01", f"{years[1]}-12-31", calendar=calendar, use_cftime=True
    )
    rng = np.random.default_rng(years[0])
    fields = {
        "t_850": ((280 + 5 * rng.random((len(time), grid.size))), "K", "air_temperature"),
        "q_700": (0.004 * rng.random((len(time), grid.size)), "1", "specific_humidity"),
    }
    return xr.Dataset(
        {
            name: grid.dataarray(
                values.astype(np.float32),
                name,
                ("time",),
                {"time": time},
                {"units": units, "standard_name": standard},
            )
            for name, (values, units, standard) in fields.items()
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The benchmark's test data and six runs."""
    folder = tmp_path_factory.mktemp("bench")
    model = ModelSpec(channels=4, rounds=1, target_channels=4, noise=2)
    for domain, models in MODELS.items():
        target, source = grids(domain)
        spec = GraphSpec(mesh_level=5, encode_radius_km=500.0)
        made = random_emulator(model, NORMALISER, TargetDomain(target, xr.Dataset(), spec))
        for training in TRAININGS:
            save(made, folder / "runs" / f"{domain}_{training}" / "emulator")
        for period, years in PERIODS.items():
            calendar = "noleap" if domain == "SA" else "standard"
            ds = predictors(source, years, calendar)
            for framework in ("perfect", "imperfect"):
                place = folder / "data" / f"{domain}_domain" / "test" / period / "predictors"
                (place / framework).mkdir(parents=True)
                for gcm in models:
                    ds.to_netcdf(place / framework / f"{gcm}_{years[0]}-{years[1]}.nc")
    return folder


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(ml_bench_layout, "PERIODS", PERIODS)


def submit(output, *options, data="data"):
    main(["submit", "cordex-ml-bench", data, "-o", output, *options])


def refusal(capsys, output, *options, data="data"):
    with pytest.raises(SystemExit):
        submit(output, *options, data=data)
    said = capsys.readouterr().err
    assert said.strip().splitlines()[-1].startswith("graphdown: ")
    return said


def check_submission(root, data, members=0):
    """What the benchmark demands of a submission's folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    named = [FILE.fullmatch(str(path.relative_to(root))) for path in files]
    assert all(named) and len(files) == 3 * 2 * 3 * 2 * 2
    for path, parts in zip(files, named, strict=True):
        assert parts["gcm"] in MODELS[parts["domain"]]
        test = data / f"{parts['domain']}_domain" / "test" / parts["period"] / "predictors"
        of_test = test / parts["framework"] / path.name.removeprefix("Predictions_pr_tasmax_")
        dims = ("y", "x") if parts["domain"] == "ALPS" else ("lat", "lon")
        with xr.open_dataset(path) as ds, xr.open_dataset(of_test) as coarse:
            for name in ("pr", "tasmax"):
                assert set(ds[name].dims) == {"time", *dims, *(["member"] if members else [])}
                assert ds[name].dtype == np.float32 and ds[name].attrs["units"]
                assert np.isfinite(ds[name].isel(time=[0, -1])).all()
            assert ds.sizes.get("member", 0) == members
            assert (ds.pr.isel(time=slice(20)) >= 0).all()
            np.testing.assert_array_equal(ds.time.values, coarse.time.values)


@pytest.mark.slow
def test_a_submission_has_all_files_that_the_benchmark_asks_for(folder, capsys):
    submit("ours", "--zip")
    assert "72 files are in ours and ours.zip, 72 of them new" in capsys.readouterr().out
    check_submission(folder / "ours", folder / "data")
    with zipfile.ZipFile("ours.zip") as packed:
        names = packed.namelist()
        assert packed.testzip() is None
    assert len(names) == 72 and all(FILE.fullmatch(n.removeprefix("ours/")) for n in names)
    files = sorted((folder / "ours").rglob("*.nc"))
    files[5].unlink()
    before = files[6].stat().st_mtime_ns
    submit("ours")
    assert "1 of them new" in capsys.readouterr().out
    assert files[5].exists() and files[6].stat().st_mtime_ns == before


def only_one_test(monkeypatch):
    """Leave one period and domain, so that a test takes little time."""
    monkeypatch.setattr(ml_bench_layout, "PERIODS", {"historical": PERIODS["historical"]})
    monkeypatch.setattr(ml_bench_layout, "FRAMEWORKS", ("perfect",))
    monkeypatch.setattr("graphdown.submission.ml_bench.DOMAINS", DOMAINS[:1])


def test_generative_emulators_have_ten_members(folder, monkeypatch):
    only_one_test(monkeypatch)
    submit("generative", "--members", "10")
    files = sorted((folder / "generative").rglob("*.nc"))
    assert len(files) == 4
    with xr.open_dataset(files[0]) as ds:
        assert ds.sizes["member"] == 10 and ds.attrs["stochastic_output"] == "yes"
        assert set(ds.pr.dims) == set(ds.tasmax.dims) == {"time", "member", "y", "x"}
        assert float(ds.tasmax.isel(time=0).std("member").max()) > 0


def test_templates_give_coordinates_and_attributes(folder, monkeypatch, capsys):
    only_one_test(monkeypatch)
    (folder / "templates").mkdir()
    target, _ = grids("ALPS")
    zeros = np.zeros((1, target.size), np.float32)
    for name, units in (("pr", "kg m-2 s-1"), ("tasmax", "degC")):
        attrs = {"units": units, "comment": "of the template"}
        field = target.dataarray(zeros, name, ("time",), {"time": [0]}, attrs)
        field.to_dataset().to_netcdf(folder / "templates" / f"{name}_ALPS.nc")
    submit("plain")
    submit("formed", "--templates", "templates")
    place = sorted((folder / "plain").rglob("*.nc"))[0].relative_to(folder / "plain")
    with xr.open_dataset(folder / "plain" / place) as ds, xr.open_dataset("formed" / place) as own:
        assert own.pr.attrs["comment"] == "of the template"
        assert own.tasmax.attrs["units"] == "degC"
        np.testing.assert_allclose(own.pr * 86400, ds.pr, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(own.tasmax + 273.15, ds.tasmax, rtol=1e-5)
        assert {"lon", "lat", "x", "y"} <= set(own.coords)
    with xr.open_dataset("templates/pr_ALPS.nc") as template:
        moved = template.load().assign_coords(x=template.x + 5000.0)
    moved.to_netcdf("templates/pr_ALPS.nc")
    assert "has another axis 'x'" in refusal(capsys, "never", "--templates", "templates")
    assert not (folder / "never").exists()


def test_files_of_other_years_or_with_days_missing_are_refused(folder, capsys):
    place = folder / "data" / "NZ_domain" / "test" / "historical" / "predictors" / "perfect"
    whole = place / "EC-Earth3_1981-1981.nc"
    kept = whole.read_bytes()
    with xr.open_dataset(whole) as ds:
        short = ds.isel(time=slice(0, 300)).load()
    try:
        whole.unlink()
        assert "and of another driving model, but has ACCESS-CM2" in refusal(capsys, "never")
        short.to_netcdf(whole)
        assert "has 300 days from 1981-01-01 to 1981-10-27" in refusal(capsys, "never")
        whole.rename(place / "EC-Earth3_1981-2000.nc")
        assert "is not named MODEL_1981-1981.nc" in refusal(capsys, "never")
        (place / "EC-Earth3_1981-2000.nc").unlink()
    finally:
        whole.write_bytes(kept)
    assert not (folder / "never").exists()
    assert len(bench_inputs(folder / "data", DOMAINS[1])) == 12


def test_runs_that_do_not_fit_are_refused_before_anything_is_made(folder, capsys, monkeypatch):
    said = refusal(capsys, "never", "--runs", "elsewhere/{domain}-{training}")
    assert "There are no runs elsewhere/ALPS-ESD_pseudo_reality, " in said
    assert "does not tell the runs apart" in refusal(capsys, "never", "--runs", "runs/{domain}")
    assert "has no folder ALPS_domain" in refusal(capsys, "never", data="runs")
    only_one_test(monkeypatch)
    run = folder / "runs" / "ALPS_ESD_pseudo_reality" / "emulator"
    passport = {
        "emulator": {"sha256": load(run).sha256},
        "training": {
            "sources": {},
            "periods": {"train": ["1961", "2090"], "validation": ["2091", "2093"]},
        },
        "owner": {"licence": "", "contact": "", "citation": ""},
    }
    write_passport(run, sealed(passport))
    try:
        said = refusal(capsys, "never")
        assert (
            "learned from 1961 to 2093, but the training ESD_pseudo_reality has the years" in said
        )
    finally:
        (run / "passport.json").unlink()
    assert not (folder / "never").exists()
