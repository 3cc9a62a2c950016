import numpy as np
import pytest
import xarray as xr

from graphdown.data.reading.files import Piece
from graphdown.data.reading.series import ORIGIN, series_of

from ..files import make


def pieces(*datasets):
    return [Piece(f"{i}.nc", ds) for i, ds in enumerate(datasets)]


def cut(ds, *lengths):
    ends = np.cumsum(lengths)
    return [ds.isel(time=slice(end - n, end)) for n, end in zip(lengths, ends, strict=True)]


KEYS = [
    {"time": 4},
    {"time": -1, "lat": 2},
    {"time": [8, 0, 3, 3]},
    {"time": [7, 1], "lon": [5, 2], "lat": 1},
    {"time": slice(2, 9, 3), "lon": slice(None, None, -1)},
    {"time": slice(0, 0)},
    {"lat": [0, 3]},
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lat", "time", "lon")])
def test_any_part_of_a_series_is_that_of_the_whole(key, dims):
    whole = make("tas", "psl").transpose(*dims)
    (series,) = series_of(pieces(*cut(whole, 3, 1, 4, 2)))
    assert series.ds[ORIGIN].values.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]
    assert series.where == "0.nc and 3 more"
    got = series.ds.drop_vars(ORIGIN).isel(key)
    xr.testing.assert_identical(got.load(), whole.isel(key))


def test_values_are_read_when_they_are_asked_for_and_only_those(tmp_path):
    for i, part in enumerate(cut(make(), 5, 5)):
        part.to_netcdf(tmp_path / f"{i}.nc")
    opened = [xr.open_dataset(tmp_path / f"{i}.nc", cache=False) for i in range(2)]
    (series,) = series_of(pieces(*opened))
    (tmp_path / "1.nc").unlink()
    opened[1].close()
    np.testing.assert_array_equal(series.ds.tas[4], make().tas[4])
    with pytest.raises(OSError, match=r"1\.nc"):
        series.ds.tas[5].load()
    opened[0].close()


def other_units(ds):
    return ds.assign(tas=ds.tas.assign_attrs(units="degC"))


APART = {
    "attributes": other_units,
    "positions": lambda ds: ds.assign_coords(lon=ds.lon + 1e-9),
    "size": lambda ds: ds.isel(lon=slice(1, None)),
    "type": lambda ds: ds.astype("f8"),
    "variables": lambda ds: ds.rename(tas="ts"),
    "calendar": lambda ds: ds.convert_calendar("noleap"),
    "order": lambda ds: ds.isel(time=slice(None, None, -1)),
    "dask": lambda ds: ds.chunk(),
    "times": lambda ds: ds.assign_coords(time=ds.time - np.timedelta64(1, "D")),
    "no time": lambda ds: ds.isel(time=0, drop=True),
}


@pytest.mark.parametrize("difference", APART)
def test_what_differs_stays_apart(difference):
    first, second = cut(make(), 5, 5)
    assert len(series_of(pieces(first, second))) == 1
    found = series_of(pieces(first, APART[difference](second)))
    assert [s.places for s in found] == [("0.nc",), ("1.nc",)]


def test_series_of_several_kinds_may_alternate():
    tas, psl = (cut(make(name), 5, 5) for name in ("tas", "psl"))
    found = series_of(pieces(tas[0], psl[0], tas[1], psl[1]))
    assert [s.places for s in found] == [("0.nc", "2.nc"), ("1.nc", "3.nc")]


def test_reference_times_may_differ():
    attrs = {"units": "hours since 2000-01-01"}
    parts = [p.assign_coords(run=((), i, attrs)) for i, p in enumerate(cut(make(), 5, 5))]
    assert len(series_of(pieces(*parts))) == 1
