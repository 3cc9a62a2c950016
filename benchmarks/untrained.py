"""Untrained emulators of any size for benchmarks, and synthetic years for them."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml
from epoch import MEAN, PREDICTORS, ROOT, SPREAD, TARGETS, days

from meshes import GraphSpec, Grid

DEMO = ROOT / "configs" / "demo.yaml"
AROUND = 12.0  # degrees that the source reaches beyond the target


def demo() -> dict[str, Any]:
    """Return the experiment that gives networks their sizes."""
    return dict(yaml.safe_load(DEMO.read_text(encoding="utf-8")))


def normaliser() -> Any:
    from graphdown.data.normalise import Normaliser

    mean, std = ([by[name] for name in PREDICTORS] for by in (MEAN, SPREAD))
    ends = [tuple(m + n * s for m, s in zip(mean, std, strict=True)) for n in (-6, 6)]
    return Normaliser(
        PREDICTORS,
        TARGETS,
        (*mean, 0.8),
        (*std, 0.6),
        (0.0, 0.0),
        (1.0, 1.0),
        least=ends[0],
        greatest=ends[1],
    )


def square(side: int) -> Grid:
    """Return a regular target of side x side cells of 0.11 degrees."""
    degrees = 0.11 * (side - 1)
    return Grid.regular(0.11, 0.11, (3.0, 40.0, 3.0 + degrees + 0.1, 40.0 + degrees + 0.1))


def domain(target: Grid) -> Any:
    """Return a target with synthetic mountains and coast, and the demo's graph."""
    from graphdown.emulator.domain import TargetDomain

    waves = np.sin(np.radians(20 * target.lon)) * np.cos(np.radians(25 * target.lat))
    statics = xr.Dataset(
        {
            "orog": target.dataarray((600 + 500 * waves).astype(np.float32), attrs={"units": "m"}),
            "sftlf": target.dataarray((waves > -0.5).astype(np.float32), attrs={"units": "1"}),
        }
    )
    return TargetDomain(target, statics, GraphSpec(**demo()["graph"]))


def write_emulator(folder: Path, target: Grid) -> None:
    """Save an untrained emulator with the network of configs/demo.yaml."""
    from flax import nnx

    from graphdown.emulator.build_network import new_network
    from graphdown.emulator.emulator import Emulator
    from graphdown.emulator.storage import save
    from graphdown.model import ModelSpec
    from graphdown.model.parameters import named_values

    model, place, statistics = ModelSpec(**demo()["model"]), domain(target), normaliser()
    network = new_network(model, place, statistics, seed=0)
    weights = named_values(nnx.state(network))
    save(Emulator("untrained", model, statistics, place, weights), folder / "emulator")


def source_grid(target: Grid) -> Grid:
    """Return a Gaussian grid of 1.125 degrees around a target."""
    lon, lat = (target.lon + 180.0) % 360.0 - 180.0, target.lat
    west, south = lon.min() - AROUND, lat.min() - AROUND
    return Grid.gaussian(160, (west, south, lon.max() + AROUND, lat.max() + AROUND))


def write_source(path: Path, target: Grid, years: int = 1) -> None:
    """Write years of daily predictors around a target to a netCDF file."""
    parts = [days(source_grid(target), PREDICTORS, 1981 + year) for year in range(years)]
    xr.concat(parts, "time").to_netcdf(path)
