"""The usual CORDEX set-up on made-up files: upper-air predictors, surface targets, all baselines.

`configs/eurocordex.yaml` with other variables and periods, on a tiny grid and with a tiny network.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.comparison import GNN

CONFIG = Path(__file__).parent.parent / "configs" / "eurocordex.yaml"
PREDICTORS = ["ta850", "hus850", "ua850", "va850", "zg500"]
TARGETS = ["tas", "pr", "sfcWind", "hurs", "rsds"]
LEVELS = np.array([85000.0, 50000.0])
FAMILIES = {  # mean, spread and units, as on ESGF
    "ta": (270.0, 6.0, "K"),
    "hus": (4e-3, 8e-4, "1"),
    "ua": (4.0, 5.0, "m s-1"),
    "va": (0.0, 5.0, "m s-1"),
    "zg": (5600.0, 80.0, "m"),
}
SURFACE = {
    "tas": (283.0, 5.0, "K"),
    "pr": (3e-5, 2e-5, "kg m-2 s-1"),
    "sfcWind": (5.0, 1.5, "m s-1"),
    "hurs": (70.0, 8.0, "%"),
    "rsds": (150.0, 40.0, "W m-2"),
}
RUN = "CNRM-CERFACS-CNRM-CM5_{}_r{}i{}p{}_CNRM-ALADIN63_v2"
MAPPING = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": 49.5,
    "longitude_of_central_meridian": 10.5,
    "latitude_of_projection_origin": 49.5,
}
X = np.arange(10) * 50000.0
DAYS = {"historical": ("2001-01-01", 120), "rcp85": ("2006-01-01", 60)}


def series(days, seed):
    return np.random.default_rng(seed).normal(size=(days, 3))


def waves(time, lon, lat):
    x, y = np.radians(8 * lon), np.radians(8 * lat)
    return time @ np.stack([np.ones_like(x), np.sin(x), np.cos(y)])


def driving(name, scenario):
    """A family of fields of the GCM on its Gaussian-like grid, with pressure levels."""
    start, days = DAYS[scenario]
    mean, spread, units = FAMILIES[name]
    lon, lat = np.arange(0.0, 24.0, 3.0), np.arange(36.0, 60.0, 3.0)
    shape = (days, len(lat), len(lon))
    field = waves(series(days, days), *(v.ravel() for v in np.meshgrid(lon, lat)))
    noise = np.random.default_rng(len(name)).normal(size=(len(LEVELS), *shape))
    values = mean + spread * (0.8 * field.reshape(shape) + 0.3 * noise)
    values = np.moveaxis(values, 0, 1)
    values = np.maximum(values, 1e-5) if name == "hus" else values
    time = xr.date_range(start, periods=days) + pd.Timedelta(hours=12)
    return xr.Dataset(
        {name: (("time", "plev", "lat", "lon"), values.astype("float32"), {"units": units})},
        {
            "time": time,
            "plev": ("plev", LEVELS, {"units": "Pa", "standard_name": "air_pressure"}),
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


def places():
    """Longitudes and latitudes of the Lambert-like grid [y, x]."""
    x, y = np.meshgrid(X / 111e3, X / 111e3)
    lat = 46.0 + y + 0.02 * x
    return 8.0 + x / np.cos(np.radians(lat)), lat


def regional(name, scenario):
    """A daily field of the RCM as on ESGF, at 12 UTC, with a scalar height."""
    start, days = DAYS[scenario]
    mean, spread, units = SURFACE[name]
    lon, lat = places()
    field = waves(series(days, days), lon.ravel(), lat.ravel()).reshape(days, *lon.shape)
    noise = np.random.default_rng(len(name)).normal(size=field.shape)
    values = mean + spread * (0.8 * field + 0.3 * noise - (orography() - 500.0) / 900.0)
    values = np.clip(values, 0.0, 99.0) if name == "hurs" else np.maximum(values, 0.0)
    time = xr.date_range(start, periods=days) + pd.Timedelta(hours=12)
    ds = on_lambert(name, ("time", "y", "x"), values, units).assign_coords(time=time)
    height = {"tas": 2.0, "hurs": 2.0, "sfcWind": 10.0}.get(name)
    if height is not None:
        ds = ds.assign_coords(height=((), height, {"standard_name": "height", "units": "m"}))
    return ds


def orography():
    lon, lat = places()
    return 500.0 + 400.0 * np.sin(lon) * np.cos(lat)


def on_lambert(name, dims, values, units):
    lon, lat = places()
    attrs = {"units": units, "grid_mapping": "Lambert_Conformal"}
    axis = {"units": "m", "standard_name": "projection_{}_coordinate"}
    return xr.Dataset(
        {name: (dims, values.astype("float32"), attrs)},
        {
            "y": ("y", X, {**axis, "standard_name": "projection_y_coordinate"}),
            "x": ("x", X, {**axis, "standard_name": "projection_x_coordinate"}),
            "lat": (("y", "x"), lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": (("y", "x"), lon, {"units": "degrees_east", "standard_name": "longitude"}),
            "Lambert_Conformal": ((), 0, MAPPING),
        },
    )


def write_files(folder):
    for scenario in DAYS:
        for name in FAMILIES:
            path = folder / f"{name}_day_CNRM-CM5_{scenario}_r1i1p1_2001.nc"
            driving(name, scenario).to_netcdf(path)
        for name in TARGETS:
            run = RUN.format(scenario, 1, 1, 1)
            regional(name, scenario).to_netcdf(folder / f"{name}_EUR-11_{run}_day_2001.nc")
    run = RUN.format("historical", 0, 0, 0)
    land = (places()[0] < 13.0).astype(float) * 100.0
    fixed = {"orog": (orography(), "m"), "sftlf": (land, "%")}
    for name, (values, units) in fixed.items():
        ds = on_lambert(name, ("y", "x"), values, units)
        ds.to_netcdf(folder / f"{name}_EUR-11_{run}_fx.nc")


def experiment(folder):
    """The packaged experiment with these variables and periods, as a user edits it."""
    import yaml

    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    raw["predictors"], raw["targets"] = PREDICTORS, TARGETS
    target, (source,) = raw["data"]["target"], raw["data"]["sources"]
    first = target["files"][0]
    target["files"] = [first.replace("/tas_", f"/{name}_") for name in TARGETS]
    target["cut"] = {"y": [1, 9], "x": [1, 9]}
    ours = [f for f in source["files"] if Path(f).name.split("_")[0] in FAMILIES]
    source["files"] = ours
    raw["periods"] = {
        "train": ["2001-01", "2001-03"],
        "validation": ["2001-04", "2001-04"],
        "test": ["2006-01", "2006-02"],
    }
    raw["graph"] = {"mesh_level": 5, "encode_radius_km": 500}
    raw["model"] = {"channels": 8, "rounds": 1, "target_channels": 8, "target_embedding": 2}
    raw["training"] |= {"steps": 20, "batch_size": 4, "validate_every": 10, "warmup_steps": 2}
    raw["output"] = str(folder / "run")
    path = folder / "eurocordex.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chain(tmp_path_factory, compiled_in_haste):
    """What `check`, `train` and `evaluate` print, one after the other, and the run's folder."""
    folder = tmp_path_factory.mktemp("cordex")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHDOWN_DATA", str(folder))
        write_files(folder)
        path = experiment(folder)
        said = {
            command: _said([command, *words])
            for command, words in {
                "check": ["--experiment", str(path)],
                "train": [str(path)],
                "evaluate": [str(folder / "run")],
            }.items()
        }
    return folder / "run", said


def _said(words):
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main(words)
    return out.getvalue() + err.getvalue()


@pytest.mark.slow
def test_the_whole_chain_ends_in_scores_and_a_report(chain):
    run, said = chain
    scores = pd.read_csv(run / "scores.csv")
    assert set(scores["method"]) == {GNN, "ridge"}
    assert set(scores["variable"]) == set(TARGETS)
    used = scores[scores["measure"] == "used"]
    assert set(used["value"]) == {59 * 64}
    assert re.search(rf"{59 * 64:,} of tas", said["evaluate"])
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "Not scored: nearest, bilinear, lapse rate, mean bias" in page


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "train", "evaluate"])
def test_baselines_that_cannot_be_used_are_told_before_and_after(chain, command):
    line = next(text for text in chain[1][command].splitlines() if "baselines-left-out" in text)
    for name in ("nearest", "bilinear", "lapse rate", "mean bias", "scaled delta", *TARGETS):
        assert name in line
    assert "ridge" not in line


@pytest.mark.slow
def test_outputs_are_written_for_all_targets(chain, tmp_path):
    run, _ = chain
    files = [str(path) for path in run.parent.glob("*_day_CNRM-CM5_rcp85_*.nc")]
    main(["downscale", str(run), *files, "-o", str(tmp_path / "fine.nc")])
    with xr.open_dataset(tmp_path / "fine.nc", engine="netcdf4") as fine:
        assert {name: bool(fine[name].notnull().all()) for name in TARGETS} == dict.fromkeys(
            TARGETS, True
        )
    truths = [str(path) for path in run.parent.glob("*_EUR-11_*_rcp85_*_day_*.nc")]
    said = _said(["evaluate", str(tmp_path / "fine.nc"), "--truth", *truths])
    assert f"{60 * 64:,} of tas" in said
