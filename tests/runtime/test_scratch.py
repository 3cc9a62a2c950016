import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.errors import GraphdownError
from graphdown.runtime import scratch
from graphdown.runtime.scratch import Scratch


def fields(*sizes: int) -> xr.Dataset:
    rng = np.random.default_rng(0)
    dims = ("time", "y", "x")[: len(sizes)]
    tas = xr.Variable(dims, rng.normal(size=sizes).astype("float32"), {"units": "K"})
    time = pd.date_range("2001-01-01", periods=sizes[0])
    bounds = ("time", "bnds"), np.stack([time, time + pd.Timedelta("1D")], axis=1)
    coords = {"time": time, "time_bnds": bounds, "y": np.arange(sizes[1]) * 1.0}
    return xr.Dataset({"tas": tas, "pr": np.abs(tas)}, coords)


def parts(ds: xr.Dataset, days: int):
    return (ds.isel(time=slice(k, k + days)) for k in range(0, ds.sizes["time"], days))


@pytest.mark.parametrize("sizes", [(100, 13, 7), (30, 11)])
def test_any_part_of_kept_fields_is_as_it_was(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(scratch, "BAND_BYTES", 4 * 100 * 7 * 3)  # of three rows
    ds = fields(*sizes)
    with Scratch(tmp_path, "advice") as folder:
        kept = folder.keep(parts(ds, 32), sizes[0])
        assert kept["tas"].chunks is not None
        xr.testing.assert_identical(kept.compute(), ds)
        for some in (
            {"time": slice(3, 71, 5), "y": slice(1, 9)},
            {"time": slice(None, None, -1), "y": [10, 2, 5]},
            {"time": 4},
            {"y": slice(4, 4)},
        ):
            xr.testing.assert_identical(kept.isel(some).compute(), ds.isel(some))
        assert not list(tmp_path.iterdir())  # the file has no name


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with (
        Scratch(tmp_path, "make room") as folder,
        pytest.raises(GraphdownError, match=r"\(No space left on device\); make room\."),
    ):
        folder.keep([fields(3, 4, 5)], 3)
