"""Floors of scores: by members and by resampled years, against what is known beforehand."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from graphdown.cli import main
from graphdown.evaluation import (
    MEASURES,
    Case,
    climate_floor,
    climate_floors,
    ensemble_floor,
    evaluate,
    evaluate_by_season,
    evaluate_members,
    format_table,
    score_cases,
    with_floors,
)
from graphdown.evaluation.floor import has_floor, resampled_days
from graphdown.evaluation.report.score_tables import score_table
from graphdown.evaluation.season_filter import of_season
from graphdown.evaluation.table import FLOOR, format_value

from .conftest import daily


def white(grid, time, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    tas = 285 + rng.normal(shift, 2, (len(time), grid.size))
    pr = np.maximum(rng.normal(0, 4, tas.shape), 0)
    return daily(grid, time, tas=tas.astype("float32"), pr=pr.astype("float32"))


@pytest.fixture(scope="module")
def members(grid, time):
    return xr.concat([white(grid, time, seed) for seed in range(4)], "realization")


def test_the_floor_of_an_ensemble_is_what_another_perfect_member_scores(members, grid, time):
    floor = ensemble_floor(members)
    pairs = [evaluate(white(grid, time, k), white(grid, time, k + 1)) for k in (70, 80, 90)]
    for name in ("p98_bias", "rmse", "wasserstein1", "r01_bias", "ralsd"):
        variable = "pr" if name == "r01_bias" else "tas"
        values = [float(pair[name].sel(variable=variable)) for pair in pairs]
        expected = np.mean([MEASURES[name].distance(value) for value in values])
        own = float(floor[name].sel(variable=variable))
        assert own == pytest.approx(expected, rel=0.35, abs=0.05), name
    assert float(floor["rmse"].sel(variable="tas")) == pytest.approx(2 * np.sqrt(2), rel=0.02)
    # Of |difference| of two 98th percentiles: normal with the variance p (1 - p) / (n f^2) each.
    density = scipy.stats.norm.pdf(scipy.stats.norm.ppf(0.98)) / 2
    spread = np.sqrt(2 * 0.98 * 0.02 / len(time)) / density
    assert float(floor["p98_bias"].sel(variable="tas")) == pytest.approx(
        spread * np.sqrt(2 / np.pi), rel=0.25
    )
    with pytest.raises(ValueError, match="two or more"):
        ensemble_floor(members.isel(realization=[0]))


@pytest.mark.parametrize("years", [4, 12])
def test_the_floor_of_a_climate_is_that_of_resampled_days(grid, years):
    time = pd.date_range("1990-01-01", f"{1989 + years}-12-31")
    truth = white(grid, time, 3)
    floor = climate_floor(truth, draws=6)
    assert "rmse" not in floor and "fss" not in floor and "used" not in floor
    spread = 2 / np.sqrt(len(time)) * np.sqrt(2 / np.pi)
    bias = float(floor["bias"].sel(variable="tas"))
    assert bias == pytest.approx(spread, rel=0.25)
    # White noise has no memory for blocks to break.
    assert float(floor["lag1_autocorrelation_bias"].sel(variable="tas")) < 0.03


def test_days_stand_in_for_days_of_the_same_date_or_month():
    for calendar in ("standard", "360_day"):
        time = xr.date_range("1990-01-01", "2001-12-30", calendar=calendar, use_cftime=True)
        days = xr.DataArray(time, dims="time")
        place = days.dt.month.values * 100 + days.dt.day.values
        for rows in resampled_days(days, 3, 1):
            there = rows >= 0
            np.testing.assert_array_equal(place[rows[there]], place[there])
            assert there.mean() > 0.999
            years = days.dt.year.values[rows]
            assert len(np.unique(years[:300])) == 1 and len(np.unique(years)) > 3
    few = xr.DataArray(xr.date_range("1990-12-01", "1993-02-28"), dims="time")
    winters = few[few.dt.month.isin([12, 1, 2])]
    (rows,) = resampled_days(winters, 1, 0)
    np.testing.assert_array_equal(winters.dt.month.values[rows], winters.dt.month.values)
    with pytest.raises(ValueError, match="fewer than two years"):
        next(resampled_days(winters[:60], 1, 0))


def test_cases_of_a_single_year_have_no_floor(truth):
    year = truth.isel(time=slice(0, 365))
    assert set(climate_floors({"a": truth, "b": year}, draws=1)) == {"a"}


def test_floors_stand_beside_scores_and_are_taken_off_them(truth):
    floor = climate_floor(truth, draws=3)
    rows = [("a", "pr", "p98_bias", 3.0), ("a", "tas", "variance_ratio", 90.0)]
    rows += [("a", "pr", "rmse", 1.0), ("b", "pr", "p98_bias", 3.0), ("a", "pr", "used", 9.0)]
    scores = pd.DataFrame(rows, columns=["case", "variable", "measure", "value"])
    table = with_floors(scores, {"a": floor})
    expected = float(floor["p98_bias"].sel(variable="pr"))
    assert table["floor"][0] == pytest.approx(expected)
    assert table["above"][0] == pytest.approx(3.0 - expected)
    ratio = float(floor["variance_ratio"].sel(variable="tas"))
    assert table["above"][1] == pytest.approx(10.0 - ratio)
    assert table["floor"][2:].isna().all() and table["above"][2:].isna().all()


def test_tables_show_floors_below_the_methods(prediction, truth, members, tmp_path, capsys):
    case = Case("a", False, truth, truth, {"one": prediction, "two": truth})
    scores, floor = score_cases([case]), climate_floor(truth, draws=2)
    shown = ("rmse", "p98_bias", "perkins")
    assert FLOOR not in format_table(scores, shown)
    assert all(name != FLOOR for name, _ in score_table(scores, shown).rows)
    scores = with_floors(scores, {"a": floor})
    last = format_table(scores, shown).splitlines()[-4]
    value = format_value(float(floor["p98_bias"].sel(variable="tas")))
    assert last.startswith(FLOOR) and value in last and "-" in last
    assert "\N{PLUS-MINUS SIGN}" in last
    name, cells = score_table(scores, shown).rows[-1]
    assert name == FLOOR and cells[1].text == value


def test_files_are_scored_by_season_beside_their_floors(truth, members, tmp_path, capsys):
    truth.to_netcdf(tmp_path / "truth.nc")
    members.assign_coords(realization=range(4)).to_netcdf(tmp_path / "fine.nc")
    files = [str(tmp_path / "fine.nc"), "--truth", str(tmp_path / "truth.nc")]
    main(["evaluate", *files, "--season", "JJA", "--floors"])
    said = capsys.readouterr().out
    summer = of_season(members, "JJA")
    rmse = float(ensemble_floor(summer)["rmse"].sel(variable="tas"))
    assert FLOOR in said and format_value(rmse) in said
    assert f"{276 * truth.lat.size * truth.lon.size:,} of tas" in said
    main(["evaluate", *files])
    assert FLOOR not in capsys.readouterr().out
    one = [str(tmp_path / "truth.nc"), "--truth", str(tmp_path / "truth.nc"), "--floors"]
    main(["evaluate", *one])
    assert FLOOR in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["evaluate", "runs/demo", "--season", "JJA"])
    assert "--season is for a file" in capsys.readouterr().err


def test_measures_that_compare_climates_have_a_floor_and_no_others():
    names = {name for name, measure in MEASURES.items() if has_floor(measure)}
    assert {"bias", "p98_bias", "ralsd", "cdd_bias", "lag1_autocorrelation_bias"} <= names
    assert not names & {"rmse", "rmse_total", "correlation", "anomaly_correlation", "fss", "used"}


def test_biases_that_members_have_in_common_are_told_from_chance(members, grid, time):
    truth = white(grid, time, 50, shift=0.3)
    scores = evaluate_members(members, truth)["bias"].sel(variable="tas")
    mean = (members["tas"].mean("realization") - truth["tas"]).mean("time")
    area = xr.DataArray(grid.area.reshape(grid.shape), dims=grid.dims)
    signed = float(mean.weighted(area).mean())
    assert float(scores.sel(kind="signed")) == pytest.approx(signed, rel=1e-4)
    assert signed == pytest.approx(-0.3, abs=0.03)
    pooled = float(abs(mean).weighted(area).mean())
    assert float(scores.sel(kind="pooled")) == pytest.approx(pooled, rel=1e-4)
    each = [
        evaluate(members.isel(realization=k), truth)["bias"].sel(variable="tas") for k in (0, 1)
    ]
    assert float(scores.sel(kind="single")) == pytest.approx(float(np.mean(each)), rel=0.05)
    ratio = evaluate_members(members, truth)["variance_ratio"]
    assert np.isnan(ratio.sel(kind="pooled")).all() and np.isfinite(ratio.sel(kind="single")).all()
    with pytest.raises(ValueError, match="no dimension"):
        evaluate_members(truth, truth)


def test_every_measure_can_be_of_one_season(prediction, truth):
    scores = evaluate_by_season(prediction, truth)
    assert list(scores["season"].values) == ["DJF", "MAM", "JJA", "SON"]
    summer = truth["time"].dt.month.isin([6, 7, 8])
    alone = evaluate(prediction.isel(time=summer), truth.isel(time=summer))
    for name in ("rmse", "p98_bias", "cdd_bias", "lag1_autocorrelation_bias", "ralsd"):
        xr.testing.assert_allclose(scores[name].sel(season="JJA", drop=True), alone[name])
    assert float(alone["cdd_bias"].sel(variable="pr")) == float(
        alone["season_dry_spell_bias"].sel(variable="pr")
    )
    winters = of_season(truth, "DJF")
    assert list(evaluate_by_season(winters, winters)["season"].values) == ["DJF"]
    with pytest.raises(ValueError, match="no day of JJA"):
        of_season(winters, "JJA")
    with pytest.raises(ValueError, match="no season"):
        of_season(truth, "winter")
