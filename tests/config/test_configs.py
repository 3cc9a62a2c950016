"""The experiments of configs/: all parse, those for archives load files named as there."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from graphdown.config.experiment_file import load_experiment
from graphdown.data import read_files
from graphdown.data.load import load_data
from graphdown.data.reading.file_request import Request
from graphdown.transfer.spec import load_study
from meshes import Grid

from ..archives import (
    ALADIN,
    LEVELS,
    aladin_grid,
    cmip_files,
    cordex_files,
    cut_out,
    days,
    driver_grid,
    field,
    write,
)

CONFIGS = Path(__file__).parents[2] / "configs"


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


@pytest.mark.parametrize("kind", ["lambert", "rotated"])
def test_the_files_of_euro_cordex_are_loaded(kind, folder):
    if kind == "lambert":
        grid, run = aladin_grid(), ALADIN
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
    cmip_files(folder, driver_grid())
    experiment = load_experiment(CONFIGS / "eurocordex.yaml", overrides)
    data = load_data(experiment)
    assert set(data.statics) == {"orog", "sftlf"} and float(data.statics.sftlf.max()) <= 1.0
    assert data.fine.tas[0].size == {"lambert": 64, "rotated": 12}[kind]
    for period in ("train", "validation", "test"):
        coarse, _ = data.pair(experiment, "CNRM-CM5", period)
        assert coarse.sizes["time"] == 3 and set(experiment.predictors) <= set(coarse)
