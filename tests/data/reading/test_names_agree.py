"""A name is taken only where cell methods, levels, frame and units agree with it."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.reading.cell_methods import implied_method, method_of
from graphdown.data.reading.fields import read_files, to_canonical
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.identify import choose
from graphdown.data.reading.rules import Notes
from graphdown.data.reading.standard_names import with_tidy_names
from graphdown.errors import DataError

from ..files import levels, make

CASES = Path(__file__).parents[1] / "cases"
UNITS = {"sfcWind": "m s-1", "pr": "mm day-1", "hurs": "1", "tas": "K"}
# Name in the file, standard name and the method of CMIP variables that are extremes of a day.
EXTREMES = [
    ("sfcWindmax", "wind_speed", "maximum", "sfcWind"),
    ("prhmax", "precipitation_flux", "maximum", "pr"),
    ("hursmin", "relative_humidity", "minimum", "hurs"),
    ("hursmax", "relative_humidity", "maximum", "hurs"),
    ("tasmax", "air_temperature", "maximum", "tas"),
    ("tasmin", "air_temperature", "minimum", "tas"),
]
# How files say a method along time, and whether they do.
TOLD = [
    {"cell_methods": "time: {}"},
    {"cell_methods": "area: mean time: {}"},
    {"cell_methods": "area: time: {} (interval: 1 hour comment: sampled instantaneously)"},
    {"cell_methods": "time: {} within days time: mean over days"},
    {"cell_methods": "time: mean within hours time: {} over hours"},
    {"cell_methods": "area: mean where land Time: {}"},
    {"long_name": "Daily {} of it"},
    {},
]


def one(name, attrs, like="tas"):
    ds = make("tas", days=2).rename(tas=name)
    return ds.assign({name: ds[name].assign_attrs(units=UNITS[like], **attrs)})


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EXTREMES), st.sampled_from(TOLD), st.booleans())
def test_an_extreme_is_not_the_mean_that_shares_its_standard_name(extreme, told, renamed):
    name, standard_name, method, mean = extreme
    attrs = {key: text.format(method) for key, text in told.items()}
    in_file = "v" if renamed and told else name
    ds = one(in_file, {"standard_name": standard_name, **attrs}, mean)
    assert choose(ds, mean, "here", Notes()) is None
    ds[in_file].attrs |= {"cell_methods": "time: mean", "long_name": ""}
    if in_file == "v":
        assert choose(ds, mean, "here", Notes()).file_name == "v"


@pytest.mark.parametrize(("name", "standard_name", "method", "mean"), EXTREMES)
def test_a_mean_by_name_that_is_an_extreme_is_refused(name, standard_name, method, mean):
    ds = one(mean, {"cell_methods": f"time: {method} within days time: mean over days"}, mean)
    with pytest.raises(DataError, match=f"{mean!r} is a {method} by its cell methods") as caught:
        choose(ds, mean, "here", Notes())
    assert caught.value.rule == "cell-methods"
    assert choose(ds, mean, "here", Notes(), stated=True).file_name == mean


def test_a_mean_by_name_that_is_an_extreme_by_its_long_name_is_refused():
    ds = one("sfcWind", {"long_name": "Daily Maximum Near-Surface Wind Speed"}, "sfcWind")
    with pytest.raises(DataError, match="'sfcWind' is a maximum by its long name"):
        choose(ds, "sfcWind", "here", Notes())
    ds.sfcWind.attrs["long_name"] = "10 min mean wind speed"
    assert choose(ds, "sfcWind", "here", Notes()).file_name == "sfcWind"


@pytest.mark.parametrize("method", ["mean", "minimum", "variance"])
def test_a_variable_outside_the_catalogue_has_any_method(method):
    ds = one("hursmin", {"cell_methods": f"time: {method}"}, "hurs")
    assert choose(ds, "hursmin", "here", Notes()).file_name == "hursmin"


METHODS = {
    "time: mean": "mean",
    "time: maximum": "maximum",
    "time: sum (interval: 1 h)": "sum",
    "time: point": "point",
    "area: mean": "",
    "lat: lon: maximum": "",
    "area: maximum time: mean": "mean",
    "time: maximum within days time: mean over days": "maximum",
    "time: mean within days time: maximum over days": "maximum over days",
    "time: minimum within days time: maximum over days": "maximum over days of minimum",
    "time: standard_deviation": "standard_deviation",
    "time: mean (comment: time: maximum of others)": "mean",
    "Time: Maximum": "maximum",
    "": "",
}


@pytest.mark.parametrize(("text", "method"), METHODS.items())
def test_cell_methods_are_read_clause_by_clause(text, method):
    field = xr.DataArray(0.0, name="v", attrs={"cell_methods": text})
    assert method_of(field) == method == implied_method(field)


@pytest.mark.parametrize(
    "over",
    ["time: mean within days time: maximum over days"]
    + [f"time: {method}" for method in ("range", "standard_deviation", "variance")],
)
def test_other_statistics_are_no_variable(over):
    for name in ("tas", "tasmax"):
        assert choose(one("v", {"standard_name": "air_temperature", "cell_methods": over}), name,
                      "here", Notes()) is None  # fmt: skip


def test_levels_that_are_no_pressure_levels_are_refused():
    with pytest.raises(DataError, match="'ta' is on atmosphere hybrid sigma pressure") as caught:
        read_files([str(CASES / "hybrid_850.nc")], Request(()))
    assert caught.value.rule == "level-kind"
    with pytest.raises(DataError, match="'ta' is on atmosphere hybrid sigma pressure"):
        read_files([str(CASES / "hybrid_850.nc")], Request(("ta850",)))


HYBRID = [
    {"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate"},
    {"standard_name": "Atmosphere_Sigma_Coordinate "},
    {"formula_terms": "a: hyam b: hybm p0: P0 ps: PS"},
    {"long_name": "hybrid level at midpoints (1000*(A+B))"},
    {"long_name": "hybrid sigma pressure", "positive": "down"},
    {},
]


@pytest.mark.parametrize("attrs", HYBRID)
@pytest.mark.parametrize("name", ["ta", "t", "v"])
def test_hybrid_levels_in_hpa_are_told_by_any_of_their_marks(attrs, name):
    ds = levels([500, 850, 1000], units="hPa", name="lev").rename(ta=name)
    ds[name].attrs["standard_name"] = "air_temperature"
    assert to_canonical(ds, ("ta850",)).ta850.notnull().all()
    ds.lev.attrs |= attrs
    if not attrs:
        ds["hyam"] = ("lev", np.array([0.1, 0.05, 0.0]))
    with pytest.raises(DataError, match="not on pressure levels; interpolate") as caught:
        to_canonical(ds, ("ta850",))
    assert caught.value.rule == "level-kind"


def test_a_level_in_the_name_must_be_that_of_the_coordinate():
    ds = levels([50000, 85000]).isel(plev=0).rename(ta="ta850")
    with pytest.raises(DataError, match="'ta850' is at 500 hPa by its coordinate") as caught:
        to_canonical(ds, ("ta850",))
    assert caught.value.rule == "level-absent"
    assert to_canonical(levels([85000]).isel(plev=0).rename(ta="ta850"), ("ta850",))


@pytest.mark.parametrize(
    ("coord", "words"),
    [
        (("height", 100.0, {"units": "m", "standard_name": "height"}), "the height 100 m"),
        (("plev", 85000.0, {"units": "Pa", "standard_name": "air_pressure"}), "a pressure level"),
        (("lev", 1.0, {"standard_name": "atmosphere_sigma_coordinate"}), "atmosphere sigma"),
    ],
)
def test_a_name_near_the_surface_must_be_near_the_surface(coord, words):
    name, value, attrs = coord
    ds = make("tas", days=2).assign_coords({name: ((), value, attrs)})
    with pytest.raises(DataError, match=f"'tas' is on {words}") as caught:
        to_canonical(ds, ("tas",))
    assert caught.value.rule == "level-kind"
    near = {"units": "m", "standard_name": "height"}
    assert to_canonical(make("tas", days=2).assign_coords(height=((), 2.0, near)), ("tas",))


@pytest.mark.parametrize("text", ["air_temperature ", "Air_Temperature", " air temperature"])
def test_standard_names_with_blanks_or_capitals_are_known(text):
    ds = one("v", {"standard_name": text})
    assert "tas" in to_canonical(ds, ("tas",))
    assert ds.v.attrs["standard_name"] == text
    flags = one("v", {"standard_name": "air_temperature status_flag"})
    assert choose(with_tidy_names(flags), "tas", "here", Notes()) is None


def test_units_of_another_kind_contradict_a_name():
    ds = one("t2m", {"standard_name": "air_temperature"})
    assert choose(ds, "tas", "here", Notes()).file_name == "t2m"
    ds.t2m.attrs["units"] = "m"
    assert choose(ds, "tas", "here", Notes()) is None


def test_names_of_ncl_are_known():
    ds = xr.open_dataset(CASES / "jra55_ncl.nc", decode_times=False)
    assert choose(ds, "tas", "here", Notes()).file_name == "TMP_GDS4_HTGL"
    assert choose(ds, "ta850", "here", Notes()) is None
    aloft = levels([50000, 85000], name="lv_ISBL1").rename(ta="TMP_P0_L100_ISBL_GLL0")
    assert choose(aloft, "tas", "here", Notes()) is None


NCL = {
    "TMP_GDS0_HTGL": "tas",
    "PRMSL_GDS0_MSL": "psl",
    "2T_GDS4_SFC": "tas",
}


@pytest.mark.parametrize(("in_file", "name"), NCL.items())
def test_surface_names_of_ncl_mean_variables(in_file, name):
    ds = make("psl" if name == "psl" else "tas", days=2)
    ds = ds.rename({next(iter(ds.data_vars)): in_file})
    assert name in to_canonical(ds, (name,))
    assert to_canonical(levels([50000, 85000]).rename(ta="TMP_GDS0_ISBL"), ("ta850",))
