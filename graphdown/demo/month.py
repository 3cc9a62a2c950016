"""A month of a made-up GCM that the installed emulator never saw, and the truth of those days."""

from pathlib import Path

import xarray as xr

from graphdown.config.synthetic import WorldSpec
from graphdown.data.synthetic.make import make_world
from graphdown.output.writer import write

GCM, TRUTH = "gcm.nc", "truth.nc"
WORLD, UNSEEN = WorldSpec(seed=0, years=12), "shifted"  # those of the experiment "demo"
MONTH = "1992-01"  # of the last year, which is warmer than those of the training


def write_month(folder: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Write the GCM's predictors and the truth to netCDF files, and return both."""
    world = make_world(WORLD)
    coarse, truth = (ds.sel(time=MONTH) for ds in (world.views[UNSEEN], world.truth))
    write(coarse, folder / GCM, "graphdown: a month of a made-up GCM")
    write(truth, folder / TRUTH, "graphdown: the truth of that month")
    return coarse, truth
