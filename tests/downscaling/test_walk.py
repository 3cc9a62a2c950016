"""One walk from a request to its output: inputs opened once, output checked once, one lock."""

import os
from collections import Counter

import netCDF4
import numpy as np
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.downscaling import downscale
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.storage import save
from graphdown.model import ModelSpec
from graphdown.runtime import locks
from meshes import GraphSpec, Grid
from tests.emulators import random_emulator

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

MODEL = ModelSpec(channels=4, rounds=1, target_channels=4)
NORMALISER = Normaliser(("tas", "pr"), ("tas", "pr"), (280, 2, 1), (9, 3, 1), (0, 0), (1, 1))
TARGET = Grid.regular(0.5, 0.5, (-1.0, 43.0, 2.0, 45.5))
FILES = ("in_a.nc", "in_b.nc")
LABELS = ("r1i1p1f1", "r2i1p1f1")
INPUTS = {
    "one member": FILES,
    "two members in files of their own": [f"{LABELS[0]}=in_*.nc", f"{LABELS[1]}=second.nc"],
    "two members along a dimension": ["both.nc"],
}
FILES_OPENED = Counter()
SOURCES = (*FILES, "second.nc", "both.nc")
OPENED = {
    "one member": FILES,
    "two members in files of their own": (*FILES, "second.nc"),
    "two members along a dimension": ("both.nc",),
}


class CountingFile(netCDF4.Dataset):
    """A file that counts; found by its name, since dask copies what it is read by."""

    def __init__(self, path, *arguments, **options):
        FILES_OPENED[os.path.basename(str(path))] += 1
        super().__init__(path, *arguments, **options)


def source(seed, days=40):
    grid = Grid.regular(4.0, 4.0, (-12.0, 34.0, 12.0, 54.0))
    rng = np.random.default_rng(seed)
    time = {"time": xr.date_range("2000-01-01", periods=days)}
    return xr.Dataset(
        {
            name: grid.dataarray(
                (mean + rng.random((days, grid.size))).astype(np.float32),
                name,
                ("time",),
                time,
                {"units": units},
            )
            for name, mean, units in (("tas", 280, "K"), ("pr", 2, "mm day-1"))
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an emulator and inputs."""
    folder = tmp_path_factory.mktemp("walk")
    domain = TargetDomain(TARGET, xr.Dataset(), GraphSpec(mesh_level=5, encode_radius_km=600.0))
    save(random_emulator(MODEL, NORMALISER, domain), folder / "run" / "emulator")
    first, second = source(0), source(1)
    for name, days in zip(FILES, (slice(0, 15), slice(15, None)), strict=True):
        first.isel(time=days).to_netcdf(folder / name)
    second.to_netcdf(folder / "second.nc")
    labels = xr.Variable("member_id", list(LABELS))
    both = xr.concat([first, second], labels, coords="minimal", compat="override")
    both.transpose("time", ...).to_netcdf(folder / "both.nc")
    return folder


@pytest.fixture
def counts(folder, monkeypatch):
    """Count what is opened, checked and locked while a test works in the folder."""
    monkeypatch.chdir(folder)
    counted = Counter()

    def count(owner, name, key):
        real = getattr(owner, name)

        def counting(*arguments, **options):
            counted[key(*arguments)] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    def opened(path, *_):
        path = getattr(path, "ds", path)  # a store of xarray's has its file
        path = path.filepath() if hasattr(path, "filepath") else path
        return "dataset", os.path.basename(str(path))

    count(xr, "open_dataset", opened)
    FILES_OPENED.clear()
    monkeypatch.setattr(netCDF4, "Dataset", CountingFile)
    count(downscale, "check_output", lambda *_: "output checked")
    count(locks, "_acquired", lambda *_: "lock taken")
    return counted


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("inputs", INPUTS)
def test_inputs_are_opened_once_the_output_checked_once_and_one_lock_taken(
    inputs, ending, counts, capsys
):
    output = f"{inputs.replace(' ', '_')}.{ending}"
    call = ["downscale", "run", *INPUTS[inputs], "-o", output]
    if ending == "nc" and inputs != "one member":
        with pytest.raises(SystemExit):
            main(call)
        assert "Several members of the driving model go to one zarr" in capsys.readouterr().err
    else:
        main(call)
        assert capsys.readouterr().out.startswith("Wrote 40 days of tas, pr")
    opened = {name: counts["dataset", name] for name in SOURCES}
    once = {name: int(name in OPENED[inputs]) for name in opened}
    assert opened == once
    assert {name: FILES_OPENED[name] for name in opened} == once
    assert counts["output checked"] == counts["lock taken"] == 1
