import json

import numpy as np
import xarray as xr

from graphdown.check import check


def write(path, start="2000-01-01", days=5, units="K", calendar="standard"):
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    values = np.full((days, 3, 4), 280.0, np.float32)
    coords = {"time": time, "lat": [40.0, 41.0, 42.0], "lon": [0.0, 1.0, 2.0, 3.0]}
    attrs = {} if units is None else {"units": units}
    ds = xr.Dataset({"tas": (("time", "lat", "lon"), values, attrs)}, coords)
    ds.to_netcdf(path)
    return [str(path)]


def test_a_source_and_a_target_are_described_and_compared(tmp_path):
    source = write(tmp_path / "a.nc", calendar="noleap", start="2000-02-27")
    target = write(tmp_path / "b.nc", start="2000-02-28")
    report = check(source, target)
    assert report.ok and len(report.understood) == 2
    line = "4 days in common; 1 days of the source and 1 of the target have no partner."
    assert line in report.to_text()
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_every_problem_is_listed_as_one_sentence(tmp_path):
    report = check(write(tmp_path / "a.nc", units=None), [str(tmp_path / "none.nc")])
    assert not report.ok and len(report.problems) == 2
    assert "'tas' has no units; state them" in report.problems[0]
    assert "No file matches" in report.problems[1]
    assert check([str(tmp_path / "a.nc")], units={"tas": "K"}).ok


def test_files_of_other_periods_have_no_day_in_common(tmp_path):
    report = check(write(tmp_path / "a.nc"), write(tmp_path / "b.nc", start="2010-01-01"))
    assert "have no day in common; choose files of the same period" in report.problems[0]


def test_an_experiment_that_is_missing_is_a_problem(tmp_path):
    report = check([], experiment=tmp_path / "none.yaml")
    assert "does not exist; check the path" in report.problems[0]
