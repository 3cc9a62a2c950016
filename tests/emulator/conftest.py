"""An emulator with random parameters, on several targets, and fields for it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr

from graphdown.data.normalise import Normaliser
from graphdown.emulator.domain import TargetDomain
from graphdown.model import ModelSpec
from meshes import GraphSpec, Grid, icosphere

from ..emulators import random_emulator

NORMALISER = Normaliser(
    predictors=("tas", "pr", "ua850"),
    targets=("tas", "pr"),
    mean=(283.0, 2.0, 0.0, 0.8),
    std=(9.0, 2.0, 6.0, 0.6),
    base=(0.0, 0.0),
    scale=(0.5, 1.0),
)
MODEL = ModelSpec(channels=10, rounds=1, target_channels=6)
BOUND = ModelSpec(channels=10, rounds=1, target_channels=6, target_embedding=2, target_regression=5)
ATTENTION = replace(MODEL, channels=12, messages="attention")
SPEC = GraphSpec(mesh_level=5, encode_radius_km=500.0)
POINTS = np.random.default_rng(2).uniform((-3.0, 42.0), (4.0, 47.0), (61, 2)).T
TARGETS = {
    "regular": Grid.regular(0.5, 0.5, (-3.0, 42.0, 4.0, 47.0)),
    "rotated": Grid.rotated(-162.0, 39.25, np.arange(-14, -9, 0.44), np.arange(-7, -3, 0.44)),
    "points": Grid.from_points(*POINTS),
}
GLOBAL = Grid.regular(5.0, 4.0)
MESH = icosphere(6)
NEAR = (np.abs(MESH.lon - 1) < 12) & (np.abs(MESH.lat - 44.5) < 9)
SOURCES = {
    "regular": Grid.regular(1.5, 1.5, (-9.0, 36.0, 12.0, 54.0)),
    "gaussian": Grid.gaussian(96, (-10.0, 36.0, 12.0, 54.0)),
    "rotated": Grid.rotated(-162.0, 39.25, np.arange(-20, -4, 1.3), np.arange(-13, 3, 1.3)),
    "icosahedral": Grid.from_points(MESH.lon[NEAR], MESH.lat[NEAR]),
}


def dataset(grid, days=6, start="2001-03-28"):
    """Smooth fields that drift from day to day."""
    day = np.arange(days)[:, None]
    x, y = np.radians(8 * grid.lon), np.radians(6 * grid.lat)
    wave = np.sin(x + 0.7 * day) * np.sin(y + 0.3 * day)
    fields = {
        "tas": (288.0 + 0.2 * (43 - grid.lat) + 6 * wave, "K"),
        "pr": (np.maximum(8 * wave, 0.0), "mm day-1"),
        "ua850": (5 + 4 * wave, "m s-1"),
    }
    time = xr.date_range(start, periods=days)
    made = {
        n: grid.dataarray(v.astype(np.float32), n, ("time",), {"time": time}, {"units": u})
        for n, (v, u) in fields.items()
    }
    return xr.Dataset(made)


def statics(grid):
    orog = 600 + 500 * np.sin(np.radians(60 * grid.lon))
    land = np.where(grid.lon > -1.0, 1.0, 0.0)
    return xr.Dataset(
        {
            "orog": grid.dataarray(orog.astype(np.float32), attrs={"units": "m"}),
            "sftlf": grid.dataarray(land.astype(np.float32), attrs={"units": "1"}),
        }
    )


@cache
def emulator(target="regular", model=MODEL):
    """An emulator with random parameters."""
    grid = TARGETS[target]
    domain = TargetDomain(grid, statics(grid), SPEC)
    return random_emulator(model, NORMALISER, domain)


@pytest.fixture(scope="module")
def coarse():
    return dataset(SOURCES["regular"])


@pytest.fixture(scope="module")
def fine(coarse):
    return emulator().downscale(coarse)
