"""Physical checks on fields whose physics is known."""

import numpy as np
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.emulator.storage import save
from graphdown.explanation.physical_checks import checks_table, physical_checks
from meshes import Grid

from .conftest import emulator, fields

GRID = Grid.regular(0.25, 0.25, (2.0, 44.0, 6.0, 48.0))
DAYS = 400
RNG = np.random.default_rng(0)
OROG = 800 + 700 * np.sin(np.radians(120 * GRID.lon)) * np.sin(np.radians(90 * GRID.lat))
STATICS = xr.Dataset({"orog": GRID.dataarray(OROG), "sftlf": GRID.dataarray(np.ones(GRID.size))})


def world(rate=-6.5, scaling=7.0, upslope=0.0):
    """A temperature with a lapse rate, and rain that grows with temperature and up slopes."""
    time = xr.date_range("2001-01-01", periods=DAYS)
    season = -10 * np.cos(2 * np.pi * np.arange(DAYS) / 365)[:, None]
    tas = 285 + season + rate * OROG / 1e3 - 0.6 * (GRID.lat - 46)
    u = 8.0 * RNG.choice([-1.0, 1.0], DAYS)
    slope = np.gradient(OROG.reshape(GRID.shape), axis=1).ravel()
    rising = np.sign(u[:, None] * slope)
    # Exponential rain: its quantiles have one ratio to the scale, beyond the wet-day threshold.
    scale = 20.0 * np.exp(np.log1p(scaling / 100) * (tas - 285)) * np.exp(upslope * rising)
    pr = RNG.exponential(1.0, tas.shape) * scale
    source = Grid.regular(2.0, 2.0, (0.0, 42.0, 8.0, 50.0))
    coarse = {
        name: source.dataarray(np.repeat(wind[:, None], source.size, 1), name, ("time",))
        for name, wind in (("ua850", u), ("va850", 0.0 * u))
    }
    fine = {
        name: GRID.dataarray(values, name, ("time",), {"time": time})
        for name, values in (("tas", tas), ("pr", pr))
    }
    return xr.Dataset(fine), xr.Dataset(coarse).assign_coords(time=time)


@pytest.mark.parametrize("rate", [-6.5, -4.0])
def test_the_lapse_rate_is_that_of_the_fields(rate):
    fine, _ = world(rate)
    np.testing.assert_allclose(physical_checks(fine, STATICS).lapse_rate, rate, atol=0.05)


@pytest.mark.parametrize("scaling", [7.0, 0.0])
def test_the_scaling_of_extreme_rain_is_that_of_the_fields(scaling):
    found = physical_checks(world(scaling=scaling)[0], STATICS)
    assert float(found.extreme_rain_scaling) == pytest.approx(scaling, abs=0.7)


def test_rain_on_slopes_is_more_where_air_rises():
    flat, rising = (
        physical_checks(*w) for w in ((f, STATICS, c) for f, c in (world(), world(upslope=0.4)))
    )
    assert float(flat.slope_rain_ratio) == pytest.approx(1.0, abs=0.1)
    assert float(rising.slope_rain_ratio) == pytest.approx(np.exp(0.8), rel=0.1)


def test_what_is_absent_is_left_out_and_no_relief_is_no_lapse_rate():
    fine, coarse = world()
    assert set(physical_checks(fine[["pr"]], STATICS, coarse)) == {"slope_rain_ratio"}
    level = STATICS.assign(orog=0 * STATICS.orog)
    assert physical_checks(fine[["tas"]], level).lapse_rate.isnull().all()


def test_the_table_has_emulator_and_truth_side_by_side():
    one, other = (physical_checks(world(rate)[0], STATICS) for rate in (-6.5, -5.0))
    lines = checks_table(one, other).splitlines()
    assert len({len(line) for line in lines}) == 1
    (winter,) = [line for line in lines if line.startswith("lapse_rate DJF [K km-1]")]
    assert winter.split()[-2:] == ["-6.50", "-5.00"]


def test_the_command_prints_the_checks_of_emulator_and_truth(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = emulator("network")
    save(own, tmp_path / "run" / "emulator")
    fields().to_netcdf("coarse.nc")
    own.downscale(fields())[["tas", "pr"]].to_netcdf("truth.nc")
    call = ["explain", "run", "coarse.nc", "--at", "1.3,43.8", "--days", "1", "-o", "why.nc"]
    main([*call, "--truth", "truth.nc"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "lapse_rate" in line]
    assert len(rows) == 4 and all(row[-1] == row[-2] for row in rows)
    assert any(row[-1] != "nan" for row in rows)
