"""Files as users have them through `graphdown downscale`: stated, covered, said."""

import numpy as np
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.emulator import emulator as emulator_module
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import save
from graphdown.model import ModelSpec
from meshes import GraphSpec, Grid

NORMALISER = Normaliser(("tas", "pr"), ("tas",), (280, 2, 1), (9, 3, 1), (0,), (1,))
TARGET = Grid.regular(1.0, 1.0, (0.0, 42.0, 4.0, 46.0))
WIDE = (-12.0, 32.0, 16.0, 56.0)


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    """Save an emulator whose network gives the mean of its tas, and return what it was given."""
    monkeypatch.chdir(tmp_path)
    spec = GraphSpec(mesh_level=5, encode_radius_km=600.0)
    domain = TargetDomain(TARGET, xr.Dataset(), spec)
    save(Emulator("x", ModelSpec(), NORMALISER, domain, {}), tmp_path / "run")
    given = []

    def mean(network, normaliser, graph, values, season):
        given.append(values)
        return np.full((len(values), TARGET.size, 1), values[..., 0].mean(), np.float32)

    monkeypatch.setattr(emulator_module, "run_network", mean)
    monkeypatch.setattr(Emulator, "_network", None)
    return given


def source(bounds=WIDE, days=4, freq="D", **names):
    grid = Grid.regular(2.0, 2.0, bounds)
    time = {"time": xr.date_range("2000-01-01", periods=days, freq=freq)}
    fields = {"tas": (280.0, "K"), "pr": (2.0, "mm day-1")}
    made = {
        name: grid.dataarray(
            np.full((days, grid.size), value, np.float32), name, ("time",), time, {"units": units}
        )
        for name, (value, units) in fields.items()
    }
    return xr.Dataset(made).rename(names)


def downscale(ds, *options):
    ds.to_netcdf("in.nc")
    main(["downscale", "run", "in.nc", "-o", "fine.nc", *options])
    with xr.open_dataset("fine.nc") as fine:
        return fine.load()


def refused(capsys, ds, *options):
    with pytest.raises(SystemExit) as left:
        downscale(ds, *options)
    said = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and said[-1].startswith("graphdown: ")
    return said[-1]


def test_names_members_and_sub_daily_totals_are_stated_on_the_command_line(run, capsys):
    ds = source(days=8, freq="12h", tas="warmth")
    hours = xr.DataArray([0.0, 12.0] * 4, dims="time")  # 1 mm until noon, 3 mm until midnight
    totals = xr.where(hours == 0, 3.0, 1.0)
    ds["pr"] = (ds["pr"] * 0 + totals).assign_attrs(units="mm")
    ds["warmth"] = xr.concat([ds["warmth"], ds["warmth"] + hours], "member")
    ds["warmth"].attrs["units"] = "K"
    words = ["--rename", "warmth=tas", "--daily", "mean", "--select", "member=1"]
    fine = downscale(ds, *words, "--accumulated", "pr")
    np.testing.assert_allclose(run[0][..., 0], 286.0)
    np.testing.assert_allclose(run[0][..., 1], 3.0)
    assert fine.attrs["history"].split("\n")[0].endswith(" ".join([*words, "--accumulated pr"]))
    notices = capsys.readouterr().err.splitlines()
    assert sum(f"in.nc: {n}: daily mean of 2" in x for n in ("tas", "pr") for x in notices) == 2
    assert sum("[accumulation-differenced]" in line for line in notices) == 1


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--rename", "heat=tas"], "'heat', which is not in the file"),
        (["--rename", "tas"], "--rename: 'tas' has not the form of temp2=tas; correct it"),
        (["--units", "=K"], "--units: '=K' has not the form of tas=degC; correct it"),
        (["--select", "member=last"], "--select: 'last' is no index of 'member'; give a whole"),
        (["--select", "member=-1"], "--select: '-1' is no index of 'member'"),
    ],
)
def test_a_statement_that_says_nothing_is_refused(options, part, capsys):
    assert part in refused(capsys, source(), *options)


def test_several_times_a_day_are_refused_unless_made_daily(run, capsys):
    said = refused(capsys, source(days=8, freq="6h"))
    assert "6-hourly, but daily ones are needed; add 'daily: mean'" in said
    assert downscale(source(days=8, freq="6h"), "--daily", "mean").sizes["time"] == 2


def test_a_source_that_does_not_cover_the_target_is_refused(capsys):
    said = refused(capsys, source((-12.0, 32.0, 2.0, 56.0)))
    assert "the dataset to downscale: it (lat" in said and "covers 50 % of the target" in said
    assert said.endswith("choose a source around the target.")


def test_a_source_that_ends_in_the_margin_is_used_and_said_once(capsys):
    narrow = source((-2.0, 40.0, 6.0, 48.0))
    downscale(narrow)
    line = "the dataset to downscale: it covers 100 % of the target and "
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith(line) and said[0].endswith("it [margin]")
    downscale(source(), "--overwrite")
    assert capsys.readouterr().err == ""
