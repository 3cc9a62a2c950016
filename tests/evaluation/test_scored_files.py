"""Files are scored as they come from archives: units, stamps, calendars, extents, directions."""

import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.cli import main
from graphdown.errors import GraphdownError
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.score_files import evaluate_files
from graphdown.evaluation.scored_fields import read_scored
from meshes import Grid

DAYS = 30
RLON, RLAT = np.arange(-5.0, -1.0, 0.44), np.arange(2.0, 5.0, 0.44)
GRID = Grid.rotated(-162.0, 39.25, RLON, RLAT)
POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 39.25,
    "grid_north_pole_longitude": -162.0,
}
DIMS = ("time", "rlat", "rlon")
TO_FILE = {
    "K": lambda v: v,
    "degC": lambda v: v - 273.15,
    "mm day-1": lambda v: v,
    "kg m-2 s-1": lambda v: v / 86400,
    "mm/s": lambda v: v / 86400,
}


def fields(seed):
    rng = np.random.default_rng(seed)
    shape = (DAYS, len(RLAT), len(RLON))
    rain = np.where(rng.random(shape) < 0.4, 0.0, rng.gamma(0.7, 6.0, shape))
    return {"tas": 283 + rng.normal(0, 4, shape), "pr": rain}


def raw_cordex(values, units, hour=12, calendar="standard"):
    """Dataset as a file on ESGF has it: bounds, a scalar height, a rotated pole."""
    cftime = calendar == "noleap"
    time = xr.date_range("2001-01-01", periods=DAYS, calendar=calendar, use_cftime=cftime)
    if hour:
        time = time.shift(hour, "h")
    step = np.timedelta64(12, "h")
    lat, lon = (v.reshape(GRID.shape) for v in (GRID.lat, GRID.lon))
    attrs = {"grid_mapping": "rotated_pole", "coordinates": "height lat lon"}
    ds = xr.Dataset(
        {
            name: (DIMS, TO_FILE[units[name]](v).astype("float32"), {"units": units[name], **attrs})
            for name, v in values.items()
        },
        {
            "rlat": ("rlat", RLAT, {"standard_name": "grid_latitude", "units": "degrees"}),
            "rlon": ("rlon", RLON, {"standard_name": "grid_longitude", "units": "degrees"}),
            "lat": (("rlat", "rlon"), lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": (("rlat", "rlon"), lon, {"units": "degrees_east", "standard_name": "longitude"}),
            "height": ((), 2.0, {"standard_name": "height", "units": "m", "positive": "up"}),
            "time": ("time", time, {"standard_name": "time", "axis": "T"}),
            "rotated_pole": ((), 0, POLE),
        },
    )
    if not cftime and hour == 12:
        bounds = np.stack([ds.time.values - step, ds.time.values + step], axis=-1)
        ds = ds.assign_coords(time_bnds=(("time", "bnds"), bounds))
        ds.time.attrs["bounds"] = "time_bnds"
    ds.time.encoding["units"] = "hours since 1949-12-01"
    return ds


def canonical(values, hour=0):
    units = {"tas": "K", "pr": "mm day-1"}
    return raw_cordex(values, units, hour).drop_vars("height")


def rmse(text):
    """RMSE of tas and pr of the table's row."""
    row = next(line for line in text.splitlines() if line.startswith("prediction "))
    numbers = [float(n) for n in re.findall(r"\d[\d.]*(?:e-\d+)?", row)]
    names = re.findall(r"(tas|pr) \[", text)
    found = dict(zip(names, (numbers[0], numbers[4]), strict=True))
    return found["tas"], found["pr"]


@pytest.fixture(scope="module")
def expected():
    scores = evaluate(canonical(fields(1)), canonical(fields(0)))["rmse"]
    return [float(scores.sel(variable=v)) for v in ("tas", "pr")]


@pytest.mark.parametrize("raw", ["prediction", "truth"])
@pytest.mark.parametrize(
    ("units", "hour", "calendar"),
    [
        ({"tas": "degC", "pr": "mm/s"}, 12, "standard"),
        ({"tas": "K", "pr": "kg m-2 s-1"}, 0, "noleap"),
        ({"tas": "degC", "pr": "kg m-2 s-1"}, 12, "proleptic_gregorian"),
    ],
)
def test_a_raw_file_on_either_side(raw, units, hour, calendar, tmp_path, expected):
    seeds = {"prediction": 1, "truth": 0}
    for side, seed in seeds.items():
        of_side = (
            raw_cordex(fields(seed), units, hour, calendar)
            if side == raw
            else canonical(fields(seed))
        )
        of_side.to_netcdf(tmp_path / f"{side}.nc")
    said = evaluate_files(str(tmp_path / "prediction.nc"), [str(tmp_path / "truth.nc")])
    assert rmse(said) == pytest.approx(expected, rel=2e-3)
    assert f"{DAYS * GRID.size:,} of tas, {DAYS * GRID.size:,} of pr" in said


def test_a_variable_a_file_and_part_of_the_domain(tmp_path):
    """As an emulator for a `cut` of the domain is scored against the archive's files."""
    units = {"tas": "K", "pr": "kg m-2 s-1"}
    for name in ("tas", "pr"):
        raw_cordex(fields(0), units)[[name]].to_netcdf(tmp_path / f"{name}_EUR-44.nc")
    part = {"rlat": slice(1, 5), "rlon": slice(2, 8)}
    made = canonical(fields(1)).isel(part)
    made.to_netcdf(tmp_path / "made.nc")
    said = evaluate_files(str(tmp_path / "made.nc"), [str(tmp_path / "*_EUR-44.nc")])
    scores = evaluate(made, canonical(fields(0)).isel(part))["rmse"]
    expected = [float(scores.sel(variable=v)) for v in ("tas", "pr")]
    assert rmse(said) == pytest.approx(expected, rel=2e-3)


def test_variables_beyond_the_catalogue_and_other_names_are_scored_once(tmp_path):
    """Points with a variable of the user's own, and the temperature as t2m."""
    rng = np.random.default_rng(0)
    lat, lon = 40 + 3 * rng.random(12), 5 + 3 * rng.random(12)
    degrees = {"lat": "degrees_north", "lon": "degrees_east"}
    coords = {
        "time": xr.date_range("2001-01-01", periods=DAYS),
        **{k: ("cell", v, {"units": degrees[k]}) for k, v in (("lat", lat), ("lon", lon))},
    }
    for name in ("made", "true"):
        fields = {
            "t2m": (("time", "cell"), 280 + rng.normal(size=(DAYS, 12)), {"units": "K"}),
            "leafarea": (("time", "cell"), rng.random((DAYS, 12)), {"units": "1"}),
        }
        ds = xr.Dataset(fields, coords).assign(time_bnds=(("time", "b"), np.zeros((DAYS, 2))))
        ds.to_netcdf(tmp_path / f"{name}.nc")
    made, true = read_scored([str(tmp_path / "made.nc")], [str(tmp_path / "true.nc")])
    assert set(made.data_vars) == set(true.data_vars) == {"tas", "leafarea"}
    assert "leafarea" in evaluate_files(str(tmp_path / "made.nc"), [str(tmp_path / "true.nc")])


def test_other_grids_and_variables_are_refused_in_one_sentence(tmp_path):
    made = canonical(fields(1))
    made.to_netcdf(tmp_path / "made.nc")
    shifted = canonical(fields(0))
    moved = shifted.assign_coords(rlat=RLAT + 0.2, lat=shifted.lat + 0.2)
    moved.to_netcdf(tmp_path / "moved.nc")
    with pytest.raises(GraphdownError, match="different grids"):
        evaluate_files(str(tmp_path / "made.nc"), [str(tmp_path / "moved.nc")])
    made[["tas"]].to_netcdf(tmp_path / "tas.nc")
    made[["pr"]].to_netcdf(tmp_path / "pr.nc")
    with pytest.raises(GraphdownError, match="share no variable"):
        evaluate_files(str(tmp_path / "tas.nc"), [str(tmp_path / "pr.nc")])


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from(["K", "degC"]),
    st.sampled_from(["mm day-1", "mm/s", "kg m-2 s-1"]),
    st.sampled_from([0, 12]),
    st.sampled_from(["standard", "noleap", "proleptic_gregorian"]),
    st.booleans(),
    st.booleans(),
)
def test_the_same_fields_score_perfectly(tas, pr, hour, calendar, flipped, turned):
    import tempfile

    raw = raw_cordex(fields(0), {"tas": tas, "pr": pr}, hour, calendar)
    raw = raw.isel(rlat=slice(None, None, -1)) if flipped else raw
    raw = raw.transpose("time", "rlon", "rlat", ...) if turned else raw
    with tempfile.TemporaryDirectory() as folder:
        raw.to_netcdf(f"{folder}/raw.nc")
        canonical(fields(0)).to_netcdf(f"{folder}/made.nc")
        said = evaluate_files(f"{folder}/made.nc", [f"{folder}/raw.nc"])
        made, true = read_scored([f"{folder}/made.nc"], [f"{folder}/raw.nc"])
    assert rmse(said) == pytest.approx((0.0, 0.0), abs=1e-3)
    assert {v: ds[v].attrs["units"] for ds in (made, true) for v in ("tas", "pr")} == {
        "tas": "K",
        "pr": "mm day-1",
    }


def test_names_and_units_that_the_truth_lacks_are_told(tmp_path, capsys):
    values = fields(0)
    canonical(values).to_netcdf(tmp_path / "fine.nc")
    archive = raw_cordex(values, {"tas": "degC", "pr": "mm day-1"}).rename(pr="rain_sum")
    del archive["tas"].attrs["units"]
    archive.to_netcdf(tmp_path / "archive.nc")
    files = [str(tmp_path / "fine.nc"), "--truth", str(tmp_path / "archive.nc")]
    main(["evaluate", *files, "--truth-units", "tas=degC", "--truth-rename", "rain_sum=pr"])
    assert rmse(capsys.readouterr().out) == pytest.approx([0, 0], abs=2e-3)
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path / "fine.nc"), "--truth-units", "tas=degC"])
    assert "--truth-units is for a file" in capsys.readouterr().err
