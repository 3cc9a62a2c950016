"""Malformed grids get one clear sentence: what is wrong, where, and what to do."""

import numpy as np
import pytest
import xarray as xr

from meshes import Grid, bilinear, conservative

LAT, LON = np.arange(30.5, 40.0), np.arange(0.5, 12.0)


def on_axes(lat=LAT, lon=LON):
    lat, lon = np.asarray(lat), np.asarray(lon)
    return xr.Dataset(
        {"tas": (("lat", "lon"), np.zeros((lat.size, lon.size)))}, coords={"lat": lat, "lon": lon}
    )


def on_fields(lat, lon):
    ds = xr.Dataset({"tas": (("y", "x"), np.zeros(lat.shape))})
    return ds.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon))


FIELDS = np.meshgrid(np.linspace(0, 200, 12), LAT)[::-1]


def as_text(ds, name):
    return ds.assign_coords({name: [str(v) for v in ds[name].values]})


def moved(ds):
    """Return latitude and longitude on dimensions that share nothing."""
    fields = on_fields(*FIELDS)
    return xr.Dataset({"lat": fields.lat, "lon": ds.lon})


def two_grids():
    ds = on_axes()
    ds["psl"] = (("lat25", "lon25"), np.zeros((4, 5)))
    return ds.assign_coords(lat25=np.arange(4) * 2.5, lon25=np.arange(5) * 2.5)


def stray(value):
    """Return coordinates of which one latitude alone is `value`."""
    lat = FIELDS[0].copy()
    lat[2, 3] = value
    return on_fields(lat, FIELDS[1])


CASES = {
    "swapped axes": (
        on_axes(np.arange(0.0, 200.0, 10.0), np.arange(-40.0, 40.0, 5.0)),
        r"'lat' reaches 190 and the longitude 'lon' only 40: they look swapped; exchange",
    ),
    "swapped fields": (on_fields(FIELDS[1], FIELDS[0]), "look swapped; exchange"),
    "one latitude beyond the pole": (
        stray(95.0), r"'lat' is 95, no latitude in degrees, at y=2, x=3 \(1 in all\); correct"
    ),
    "axis beyond the pole": (
        on_axes([80.0, 85.0, 90.0, 95.0], np.arange(0.0, 200.0, 10.0)),
        r"'lat' is 95, no latitude in degrees, at lat=3 \(1 in all\); correct",
    ),
    "other units": (on_axes(LAT * 1e3, LON), "runs from 30500 to 39500, .*check its units"),
    "one latitude missing": (stray(np.nan), r"'lat' has missing values at y=2, x=3 \(1 in all\)"),
    "all missing": (
        on_fields(*(np.full((4, 5), np.nan) for _ in range(2))),
        "'lat' has no usable value: all are missing or fill values; get the coordinates from",
    ),
    "all fill": (
        on_fields(*(np.full((4, 5), 9.96921e36) for _ in range(2))), "'lat' has no usable value"
    ),
    "fill in an axis": (on_axes(np.where(LAT > 38, 1e20, LAT)), r"'lat' is 1e\+20.*at lat=8"),
    "one latitude": (
        on_axes(LAT[:1]), r"latitude axis 'lat' has only one value \(30.5\).*give the axis bounds"
    ),
    "one longitude": (on_axes(LAT, LON[:1]), "longitude axis 'lon' has only one value"),
    "axis turns back": (
        on_axes([1.0, 3.0, 2.0, 4.0]),
        r"'lat' does not strictly .*3 is followed by 2 at index 2; sort it, .*sortby\('lat'\)",
    ),
    "axis repeats": (on_axes(LAT, [0.0, 1.0, 1.0, 2.0]), "'lon'.*1 is followed by 1 at index 2"),
    "more than a turn": (
        on_axes(LAT, np.arange(0.0, 400.0, 10.0)), "more than once, from 0 to 390"
    ),
    "text": (as_text(on_axes(), "lat"), "'lat' is of type <U4, not numbers; convert it"),
    "no longitude": (on_axes().drop_vars("lon"), "has the latitude 'lat' but no longitude among"),
    "nothing": (on_axes().drop_vars(["lat", "lon"]), "no latitude and longitude .*add them"),
    "unrelated": (moved(on_axes()), "do not belong together .*must be two axes"),
    "two grids": (two_grids(), r"2 horizontal grids: .*Choose the variables of one, such as ds\["),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_sentence_says_what_is_wrong(case):
    ds, message = CASES[case]
    with pytest.raises(ValueError, match=message) as error:
        Grid.from_dataset(ds)
    assert "\n" not in str(error.value)


def test_axes_of_one_value_are_good_with_bounds():
    ds = on_axes(LAT[:1])
    ds["lat_bnds"] = (("lat", "bnds"), [[30.0, 31.0]])
    assert Grid.from_dataset(ds).area.sum() == pytest.approx(
        Grid.regular(1.0, 1.0, (0.0, 30.0, 12.0, 31.0)).area.sum()
    )


def test_points_named_twice_are_merged_not_refused():
    """The two share their cell; interpolation averages them by area."""
    lon, lat = np.array([0.0, 1.0, 0.0, 1.0, 0.5]), np.array([0.0, 0.0, 1.0, 1.0, 0.5])
    twice = [0, 1, 2, 3, 4, 4]
    single, double = Grid.from_points(lon, lat), Grid.from_points(lon[twice], lat[twice])
    np.testing.assert_allclose(double.area[4:], single.area[4] / 2)
    np.testing.assert_allclose(double.area[:4], single.area[:4])
    values = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 3.0])
    at = Grid.from_points([0.5], [0.5], [1e-4])
    assert bilinear(double, at).apply(values)[0] == pytest.approx(2.0)
    box = Grid.regular(0.2, 0.2, (0.4, 0.4, 0.6, 0.6))
    assert conservative(double, box).apply(values)[0] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("lon", "lat", "message"),
    [
        ([0.0, 1.0], [0.0, 95.0], "latitude of point 1 is 95"),
        ([0.0, np.nan], [0.0, 1.0], "longitude of point 1 is nan"),
        (["a", "b"], [0.0, 1.0], "longitudes are not numbers"),
        ([0.0, 180.0], [0.0, 0.0], "around 2 points so far apart; give their areas"),
    ],
)
def test_points_that_tell_no_grid_are_refused(lon, lat, message):
    with pytest.raises(ValueError, match=message):
        Grid.from_points(lon, lat)
