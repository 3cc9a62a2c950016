"""The experiments of configs/: all parse, those for archives load files named as there."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from graphdown.bench.spec import load_study
from graphdown.data import read_files
from graphdown.data.fields import Request
from graphdown.data.load import load_data
from graphdown.experiment import load_experiment
from meshes import Grid

CONFIGS = Path(__file__).parent.parent / "configs"
LEVELS = (850, 700, 500)
RANGES = {
    "tas": (265, 300, "K"),
    "tasmax": (265, 305, "K"),
    "pr": (0, 3e-4, "kg m-2 s-1"),
    "psl": (98000, 104000, "Pa"),
    "t": (240, 285, "K"),
    "q": (1e-4, 8e-3, "kg kg-1"),
    "u": (-20, 20, "m s-1"),
    "v": (-20, 20, "m s-1"),
}
HEIGHTS = {850: 1500.0, 700: 3000.0, 500: 5600.0}
CMIP = {"ta": "t", "hus": "q", "ua": "u", "va": "v"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHDOWN_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_or_study_parses_and_is_explained(path):
    text = path.read_text(encoding="utf-8")
    read = load_study if "\nstrategies:" in text else load_experiment
    assert read(path).output.startswith("runs/")
    assert text.startswith("# ")


def days(years, calendar="standard"):
    """The first days of some years, at noon."""
    cftime = calendar != "standard"
    parts = [
        xr.date_range(f"{y}-01-01T12:00:00", periods=3, calendar=calendar, use_cftime=cftime)
        for y in years
    ]
    return xr.DataArray(np.concatenate(parts), dims="time", name="time")


def field(grid, name, time, kind=None, level=None):
    """One variable [time, ...] with random values in its range."""
    random = np.random.default_rng([len(name), level or 0])
    if kind == "z":
        low, high, units = HEIGHTS[level] - 100, HEIGHTS[level] + 100, "m"
    else:
        low, high, units = RANGES[kind or name]
    values = random.uniform(low, high, (time.size, grid.size)).astype(np.float32)
    return grid.dataarray(values, name, ("time",), {"time": time}, {"units": units})


def write(path, ds):
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.to_netcdf(path)


def cut_out(grid, **parts):
    whole = grid.dataarray(np.zeros(grid.size, np.float32), "mask")
    return Grid.from_dataset(whole.isel(parts).to_dataset())


def bench_grids(domain):
    """The target, a few cells of it, and the 16 x 16 predictors around."""
    if domain == "ALPS":
        whole = Grid.named("ALPS-12")
        few, wide = slice(60, 70), slice(3, None, 8)
        return cut_out(whole, y=few, x=few), cut_out(whole, y=wide, x=wide)
    west, south = {"NZ": (156.5, -56.0), "SA": (10.0, -41.0)}[domain]
    step = {"NZ": 0.11, "SA": 0.10}[domain]
    lon, lat = west + 15, south + 15
    target = Grid.regular(step, step, (lon, lat, lon + 10 * step, lat + 10 * step))
    return target, Grid.regular(2.0, 2.0, (west, south, west + 32, south + 32))


BENCH = {
    "ALPS": ("CNRM-CM5", "MPI-ESM-LR", "standard"),
    "NZ": ("ACCESS-CM2", "EC-Earth3", "standard"),
    "SA": ("ACCESS-CM2", "NorESM2-MM", "noleap"),
}
YEARS = (1961, 1964, 1980, 2080, 2097)


def predictors(grid, time):
    """Fields as the benchmark calls them, with the bounds of the days."""
    fields = [
        field(grid, f"{kind}_{level}", time, kind, level) for kind in "tuvzq" for level in LEVELS
    ]
    ds = xr.Dataset({f.name: f for f in fields})
    ds["time_bnds"] = xr.concat([ds.time, ds.time], "bnds").T
    ds["time"].attrs["bounds"] = "time_bnds"
    ds["time"].encoding["units"] = "hours since 1950-01-01"
    return ds


@pytest.mark.parametrize("domain", BENCH)
def test_the_benchmarks_files_are_loaded(domain, folder):
    seen, unseen, calendar = BENCH[domain]
    target, source = bench_grids(domain)
    root = folder / f"{domain}_domain"
    training = root / "train" / "Emulator_hist_future"
    time = days(YEARS, calendar)
    write(training / "predictors" / f"{seen}_1961-1980_2080-2099.nc", predictors(source, time))
    truth = xr.Dataset({n: field(target, n, days(YEARS)) for n in ("tasmax", "pr")})
    write(training / "target" / f"pr_tasmax_{seen}_1961-1980_2080-2099.nc", truth)
    orog = target.dataarray(np.linspace(0, 2000, target.size, dtype=np.float32), "orog")
    statics = orog.assign_attrs(units="m").to_dataset()
    write(training / "predictors" / "Static_fields.nc", statics)
    experiment = load_experiment(CONFIGS / f"cordex_bench_{domain.lower()}.yaml")
    data = load_data(experiment)
    assert len(experiment.predictors) == 15 and list(data.statics) == ["orog"]
    (name,) = data.sources
    for period, count in (("train", 9), ("validation", 3), ("test", 3)):
        coarse, fine = data.pair(experiment, name, period)
        assert (coarse.sizes["time"], fine.sizes["time"]) == (count, count)
        assert set(experiment.predictors) <= set(coarse) and set(fine) == {"tasmax", "pr"}
    for framework in ("perfect", "imperfect"):
        path = root / "test" / "end_century" / "predictors" / framework / f"{unseen}_2080-2099.nc"
        write(path, predictors(source, days((2080, 2099), calendar)))
        ds, understood = read_files([str(path)], Request(experiment.predictors))
        with ds:
            assert set(experiment.predictors) <= set(ds) and ds.sizes["time"] == 6


CORDEX_YEARS = {"historical": (1961, 1996), "rcp85": (2081,)}


def cordex_files(folder, grid, run, *statics):
    """Files of a regional model, one for each variable and scenario."""
    for scenario, years in CORDEX_YEARS.items():
        span = f"{years[0]}0101-{years[-1]}1231"
        for name in ("tas", "pr"):
            ds = field(grid, name, days(years)).to_dataset()
            write(folder / f"{name}_{run.format(scenario)}_day_{span}.nc", ds)
    for name, units in zip(statics, ("m", "%"), strict=True):
        values = np.linspace(0, 100, grid.size, dtype=np.float32)
        ds = grid.dataarray(values, name).assign_attrs(units=units).to_dataset()
        path = f"{name}_{run.format('historical').replace('r1i1p1', 'r0i0p0')}_fx.nc"
        write(folder / path, ds)


def cmip_files(folder, grid):
    """Files of CNRM-CM5, levels from the ground up in Pa."""
    for scenario, years in CORDEX_YEARS.items():
        end = f"day_CNRM-CM5_{scenario}_r1i1p1_{years[0]}0101-{years[-1]}1231.nc"
        time = days(years)
        for name in ("tas", "pr", "psl"):
            write(folder / f"{name}_{end}", field(grid, name, time).to_dataset())
        for name in ("ta", "hus", "ua", "va", "zg"):
            kind = CMIP.get(name, "z")
            parts = [field(grid, name, time, kind, level) for level in LEVELS]
            plev = xr.DataArray(
                [100.0 * level for level in LEVELS], dims="plev", attrs={"units": "Pa"}
            )
            stacked = xr.concat(parts, plev.rename("plev")).transpose("time", "plev", ...)
            write(folder / f"{name}_{end}", stacked.to_dataset(name=name))


@pytest.mark.parametrize("kind", ["lambert", "rotated"])
def test_the_files_of_euro_cordex_are_loaded(kind, folder):
    few = slice(50, 60)
    if kind == "lambert":
        grid = cut_out(Grid.named("ALPS-12"), y=few, x=few)
        run = "EUR-11_CNRM-CERFACS-CNRM-CM5_{}_r1i1p1_CNRM-ALADIN63_v2"
        overrides = ["data.target.cut={y: [1, 9], x: [2, 10]}"]
    else:
        grid = Grid.rotated(-162.0, 39.25, np.arange(-2, 2) * 0.11, np.arange(-3, 3) * 0.11)
        run = "EUR-11_CNRM-CERFACS-CNRM-CM5_{}_r1i1p1_KNMI-RACMO22E_v2"
        names = [str(folder / f"{v}_{run.format('*')}_day_*.nc") for v in ("tas", "pr")]
        fixed = run.format("historical").replace("r1i1p1", "r0i0p0")
        overrides = [f"data.target.files={names}", "data.target.cut={rlat: [1, 4]}"]
        overrides += [
            f"data.target.statics.{v}.file={folder / f'{v}_{fixed}_fx.nc'}"
            for v in ("orog", "sftlf")
        ]
    cordex_files(folder, grid, run, "orog", "sftlf")
    cmip_files(folder, Grid.gaussian(128, (-10.0, 30.0, 35.0, 65.0)))
    experiment = load_experiment(CONFIGS / "eurocordex.yaml", overrides)
    data = load_data(experiment)
    assert set(data.statics) == {"orog", "sftlf"} and float(data.statics.sftlf.max()) <= 1.0
    assert data.fine.tas[0].size == {"lambert": 64, "rotated": 12}[kind]
    for period in ("train", "validation", "test"):
        coarse, _ = data.pair(experiment, "CNRM-CM5", period)
        assert coarse.sizes["time"] == 3 and set(experiment.predictors) <= set(coarse)
