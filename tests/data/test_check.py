import json

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.cli import main
from graphdown.data import Request, holders
from graphdown.data.check import check
from graphdown.data.reading import value_samples

from .files import make

INNER, WIDE = ((0.0, 4.0), (40.0, 43.0)), ((-8.0, 12.0), (32.0, 51.0))


def write(
    path, start="2000-01-01", days=5, units="K", calendar="standard", name="tas", region=INNER
):
    """Write 280 everywhere on a grid of 1 degree in a region ((west, east), (south, north))."""
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    lon, lat = (np.arange(*ends) for ends in region)
    values = np.full((days, len(lat), len(lon)), 280.0, np.float32)
    attrs = {} if units is None else {"units": units}
    ds = xr.Dataset({name: (("time", "lat", "lon"), values, attrs)}, {"time": time})
    ds.assign_coords(lat=lat, lon=lon).to_netcdf(path)
    return [str(path)]


def experiment(folder, source, target, margin_km):
    path = folder / "experiment.yaml"
    raw = {
        "name": "x",
        "output": "x",
        "predictors": ["tas"],
        "targets": ["tas"],
        "data": {"target": {"files": target}, "sources": [{"name": "gcm", "files": source}]},
        "periods": {
            "train": ["2000-01-01", "2000-01-03"],
            "validation": ["2000-01-04", "2000-01-04"],
            "test": ["2000-01-05", "2000-01-05"],
        },
        "graph": {"margin_km": margin_km},
    }
    path.write_text(yaml.safe_dump(raw))
    return path


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
    assert check([str(tmp_path / "a.nc")], stated=Request((), units={"tas": "K"})).ok


def test_files_of_other_periods_have_no_day_in_common(tmp_path):
    report = check(write(tmp_path / "a.nc"), write(tmp_path / "b.nc", start="2010-01-01"))
    assert "have no day in common; choose files of the same period" in report.problems[0]


def test_an_experiment_that_is_missing_is_a_problem(tmp_path):
    report = check([], experiment=tmp_path / "none.yaml")
    assert "does not exist; check the path" in report.problems[0]


def test_the_grid_of_each_set_of_files_is_told(tmp_path):
    source = write(tmp_path / "a.nc", region=WIDE)
    with xr.open_dataset(write(tmp_path / "b.nc")[0]) as ds:
        ds.where(ds.lon > 0).to_netcdf(tmp_path / "c.nc")
    report = check(source, [str(tmp_path / "c.nc")])
    found = json.loads(report.to_json())["grids"]
    assert [(g["kind"], g["points"], g["used"]) for g in found.values()] == [
        ("regular", 380, 380),
        ("regular", 12, 9),
    ]
    assert 70.0 < found[source[0]]["spacing_km"] < 111.2
    assert f"The grid of {source[0]}: regular, 380 points, " in report.to_text()
    assert "km apart, 9 of them with values." in report.to_text()


def test_a_grid_that_is_not_understood_is_a_problem(tmp_path):
    with xr.open_dataset(write(tmp_path / "a.nc")[0]) as ds:
        ds.isel(lat=[0, 2, 1]).to_netcdf(tmp_path / "b.nc")
    report = check([str(tmp_path / "b.nc")])
    assert len(report.problems) == 1 and "does not strictly increase" in report.problems[0]


REGIONS = {
    "around": (WIDE, 1.0, 1.0),
    "ends in the margin": (INNER, 1.0, 0.0),
    "half": (((0.0, 2.0), (40.0, 43.0)), 0.5, 0.0),
    "elsewhere": (((100.0, 104.0), (40.0, 43.0)), 0.0, 0.0),
    "swapped": (WIDE[::-1], 0.0, 0.0),
}


@pytest.mark.parametrize("case", REGIONS)
def test_the_source_s_cover_of_the_target_and_its_margin_is_told(case, tmp_path):
    region, share, margin = REGIONS[case]
    source = write(tmp_path / "a.nc", region=region)
    report = check(source, write(tmp_path / "b.nc"))
    found = json.loads(report.to_json())["coverage"][source[0]]
    assert found == pytest.approx({"target": share, "margin": margin, "margin_km": 400.0}, abs=0.1)
    percent = f"{100 * found['target']:.3g}"
    assert f"{source[0]} covers {percent} % of the target and " in report.to_text()
    assert report.ok == (share == 1.0)
    problems, remarks = "".join(report.problems), "".join(report.remarks)
    assert ("choose a source around the target" in problems) == (case in ("half", "elsewhere"))
    assert ("so they may be swapped: exchange their names" in problems) == (case == "swapped")
    assert ("of the 400 km around it [margin]" in remarks) == (case == "ends in the margin")


def test_the_experiment_s_sources_and_files_beside_it_are_held_against_its_target(tmp_path):
    source = write(tmp_path / "a.nc", region=WIDE)
    target = write(tmp_path / "b.nc")
    other = write(tmp_path / "c.nc", region=((0.0, 2.0), (40.0, 43.0)))
    report = check(other, experiment=experiment(tmp_path, source, target, 5000.0))
    assert report.coverage["the source 'gcm'"].target == 1.0
    assert set(report.grids) == {other[0], "the target", "the source 'gcm'"}
    assert report.coverage["the source 'gcm'"].margin < 0.2
    assert any("5000 km around it [margin]" in str(n) for u in report.understood for n in u.notes)
    assert report.coverage[other[0]].target == pytest.approx(0.5, abs=0.1)
    assert len(report.problems) == 1 and f"{other[0]}: it (lat" in report.problems[0]


def test_statements_are_about_the_files_that_they_name(tmp_path):
    source, target = write(tmp_path / "a.nc", name="warmth"), write(tmp_path / "b.nc", name="heat")
    stated = [Request((), rename={name: "tas"}) for name in ("warmth", "heat")]
    found = check(source, target, None, *stated).understood
    assert [u.variables[0].name for u in found] == ["tas", "tas"]
    problems = check(source, target, stated=Request((), rename={"warmt": "tas"})).problems
    assert "'warmt', which is not in the file; did you mean 'warmth'?" in problems[0]


def test_units_of_the_source_are_not_put_on_the_target(tmp_path, capsys):
    """A source in degC without units beside a right target in K, and the reverse."""
    for name, offset, units in (("bare", -273.15, None), ("right", 0.0, "K")):
        write(tmp_path / f"{name}.nc", units="K")
        with xr.open_dataset(tmp_path / f"{name}.nc") as ds:
            made = ds.load()
        made["tas"] = made.tas + offset
        made.tas.attrs = {} if units is None else {"units": units}
        made.to_netcdf(tmp_path / f"{name}.nc")
    bare, right = str(tmp_path / "bare.nc"), str(tmp_path / "right.nc")
    main(["check", bare, "--units", "tas=degC", "--target", right])
    main(["check", right, "--target", bare, "--target-units", "tas=degC"])
    for wrong in (["--target-units", "tas=degC"], ["--units", "tas=degC"]):
        order = [right, "--target", bare] if wrong[0] == "--units" else [bare, "--target", right]
        with pytest.raises(SystemExit) as left:
            main(["check", *order, *wrong])
        assert left.value.code == 1
    assert "tas" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["a.nc", "--target-units", "tas=K"], "--target-units is for the files of --target"),
        (["--experiment", "e.yaml", "--daily", "mean"], "--daily is for FILE"),
    ],
)
def test_options_on_files_that_are_not_there_are_refused(words, part, capsys):
    with pytest.raises(SystemExit) as left:
        main(["check", *words])
    assert left.value.code == 2 and part in capsys.readouterr().err


def test_a_target_of_fixed_fields_has_no_days_to_compare(tmp_path):
    write(tmp_path / "a.nc", region=WIDE)
    orog = xr.open_dataset(write(tmp_path / "b.nc", units="m", name="orog")[0]).isel(time=0)
    orog.drop_vars("time").to_netcdf(tmp_path / "c.nc")
    report = check([str(tmp_path / "a.nc")], [str(tmp_path / "c.nc")])
    assert report.ok and not report.remarks and len(report.coverage) == 1


RATES = {"mm day-1": 1.0, "kg m-2 s-1": 86400.0, "m day-1": 1000.0, "mm h-1": 24.0}


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(sorted(RATES)), st.sampled_from(sorted(RATES)))
def test_units_are_put_on_the_files_that_they_name(tmp_path_factory, of_source, of_target):
    folder = tmp_path_factory.mktemp("units")
    for name, units, seed in (("source", of_source, 1), ("target", of_target, 2)):
        ds = make("pr", seed=seed)
        ds["pr"] = (ds.pr * 86400.0 / RATES[units]).drop_attrs()
        ds.to_netcdf(folder / f"{name}.nc")
    files = [str(folder / f"{name}.nc") for name in ("source", "target")]
    stated = [Request((), units={"pr": units}) for units in (of_source, of_target)]
    report = check(files[:1], files[1:], None, *stated, full=True)
    assert report.ok, report.problems
    for understood, seed in zip(report.understood, (1, 2), strict=True):
        expected = 86400.0 * float(make("pr", seed=seed).pr.max())
        assert understood.variables[0].maximum == pytest.approx(expected, rel=1e-5)


def test_an_experiment_is_checked_by_a_few_days_or_by_all_but_never_loaded(tmp_path, monkeypatch):
    source, target = write(tmp_path / "a.nc", region=WIDE), write(tmp_path / "b.nc")
    with xr.open_dataset(target[0]) as ds:
        bad = ds.load()
    bad["tas"][1] = 500.0
    bad["tas"][:, 0, 0] = np.nan
    bad.to_netcdf(target[0])
    path, read, sizes = experiment(tmp_path, source, target, 100.0), holders.read, []

    def counted(ds, where):
        sizes.append(ds.sizes["time"])
        return read(ds, where)

    monkeypatch.setattr(holders, "read", counted)
    monkeypatch.setattr(value_samples, "CHUNK_TIMES", 1)
    few = check([], experiment=path)
    assert few.ok and sizes == [holders.TIMES] * 2
    assert few.grids["the target"].used == few.grids["the target"].points - 1
    assert few.to_dict()["coverage"]["the source 'gcm'"]["target"] == 1.0
    every = check([], experiment=path, full=True)
    assert "on 2000-01-02" in every.problems[0] and "of 500" in every.problems[0]
