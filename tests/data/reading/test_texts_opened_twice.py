"""A file with texts that a notebook has open, and graphdown opens and closes again."""

import subprocess
import sys

import numpy as np
import xarray as xr

from ..files import make

SCRIPT = """
import sys
import xarray as xr
from graphdown.data.reading.fields import open_fields

held = xr.open_dataset(sys.argv[1])
for _ in range(20):
    open_fields(sys.argv[1:], ["tas"])
    with open_fields(sys.argv[1:], ["tas"]) as fields:
        fields.load()
print(held.name_of_row.values[0])
"""


def test_file_with_texts_is_opened_again_and_again(tmp_path):
    ds = make("tas").assign_coords(name_of_row=("lat", np.array(list("abcde"), object)))
    ds.to_netcdf(tmp_path / "a.nc")
    words = [sys.executable, "-c", SCRIPT, str(tmp_path / "a.nc")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == ["a"]


def test_texts_do_not_keep_files_apart(tmp_path):
    for number, start in enumerate(("2000-01-01", "2000-01-11")):
        labels = np.array([f"{number}{letter}" for letter in "abcde"], object)
        make("tas", start=start).assign_coords(label=("lat", labels)).to_netcdf(
            tmp_path / f"{number}.nc"
        )
    from graphdown.data.reading.fields import open_fields

    with open_fields([str(tmp_path / "*.nc")], ["tas"]) as joined:
        assert joined.sizes["time"] == 20
    assert isinstance(joined, xr.Dataset)
