"""A month of a made-up GCM that the installed emulator never saw, and the truth of those days."""

from pathlib import Path

import xarray as xr

from graphdown.config.experiment_file import load_experiment
from graphdown.config.packaged import packaged_config
from graphdown.data.synthetic.make import make_world
from graphdown.output.writer import write

GCM, TRUTH = "gcm.nc", "truth.nc"
MONTH = "1992-01"  # of the last year, which is warmer than those of the training


def write_month(folder: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Write the GCM's predictors and the truth to netCDF files, and return both.

    The world is that of the experiment "demo", the GCM the one that its training leaves out.
    """
    experiment = load_experiment(packaged_config("demo"))
    world = make_world(experiment.data.world)
    (unseen,) = experiment.data.unseen
    assert unseen.view is not None
    coarse, truth = (ds.sel(time=MONTH) for ds in (world.views[unseen.view], world.truth))
    write(coarse, folder / GCM, "graphdown: a month of a made-up GCM")
    write(truth, folder / TRUTH, "graphdown: the truth of that month")
    return coarse, truth
