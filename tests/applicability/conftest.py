"""The embedded ensemble with a pair of levels, and an emulator that knows three of its GCMs."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from graphdown.applicability.fit_climate import SourceRecord, fit_climate
from graphdown.config.synthetic import WorldSpec
from graphdown.data.load import source_arrays
from graphdown.data.normalise import Moments, fit_normaliser
from graphdown.data.synthetic import gcm_ensemble
from graphdown.data.synthetic.gcm_ensemble import GCMS, make_ensemble
from graphdown.emulator.domain import TargetDomain
from graphdown.model import ModelSpec
from graphdown.model.channels import Channels, predictor_transforms
from meshes import GraphSpec, Grid

from ..emulators import random_emulator

PREDICTORS = ("tas", "pr", "psl", "hus700", "ua850", "va850", "ta850", "ta500")
TRAIN, HELD_OUT, TEST = ("1981", "1984"), ("1985", "1985"), ("1986", "1986")
SPEC = WorldSpec(years=6, rcm="rcm-1")
MODEL = ModelSpec(channels=8, rounds=1, target_channels=8)


def with_levels(ds):
    """The fields with temperatures of two levels, which follow the one at the ground."""
    noise = np.random.default_rng(0).normal(size=(2, *ds.tas.shape)).astype(np.float32)
    attrs = {"units": "K", "standard_name": "air_temperature"}
    upper = {
        "ta850": 278.0 + 0.9 * (ds.tas - 285.0) + 0.5 * noise[0],
        "ta500": 252.0 + 0.7 * (ds.tas - 285.0) + 0.5 * noise[1],
    }
    return ds.assign({n: v.astype(np.float32).assign_attrs(attrs) for n, v in upper.items()})


def member(letter, number, **character):
    """Another realisation of a GCM's weather, or another character, on the test period."""
    gcm = replace(GCMS[letter], character=replace(GCMS[letter].character, **character))
    with pytest.MonkeyPatch.context() as patch:
        others = {f"filler-{n}": GCMS["a"] for n in range(number - len(GCMS))}
        patch.setattr(gcm_ensemble, "GCMS", {**GCMS, **others, "other": gcm})
        patch.setattr(gcm_ensemble, "VIEWS", ("gcm-other",))
        world = make_ensemble(SPEC, ["gcm-other"])
    return with_levels(world.views["gcm-other"]).sel(time=slice(*TEST))


@pytest.fixture(scope="package")
def world():
    return make_ensemble(SPEC, [f"gcm-{letter}" for letter in "abcd"])


@pytest.fixture(scope="package")
def views(world):
    return {letter: with_levels(world.views[f"gcm-{letter}"]).load() for letter in "abcd"}


def record(ds, name, held_out=False):
    grid, values = source_arrays(ds, PREDICTORS, name)
    return SourceRecord(name, grid, lambda: iter(np.array_split(values, 9)), ds.time, held_out)


@pytest.fixture(scope="package")
def emulator(world, views):
    """An untrained network that knows the climate of gcm-a, gcm-b and gcm-c."""
    records, moments = [], []
    for letter in "abc":
        learned, held_out = (views[letter].sel(time=slice(*p)) for p in (TRAIN, HELD_OUT))
        records += [record(learned, letter), record(held_out, letter, held_out=True)]
        moments.append(moments_of(learned))
    transforms = predictor_transforms(PREDICTORS, {})
    one = Moments()
    one.add(np.random.default_rng(0).normal(size=(5, 1, 1)))
    normaliser = fit_normaliser(PREDICTORS, ("tas",), moments, [one], [0.0], transforms)
    domain = TargetDomain(Grid.from_dataset(world.statics), world.statics, GraphSpec(mesh_level=5))
    climate = fit_climate(records, PREDICTORS, transforms, domain.target, 350.0)
    return replace(random_emulator(MODEL, normaliser, domain), climate=climate)


def moments_of(ds):
    channels = Channels.of(PREDICTORS, predictor_transforms(PREDICTORS, {}))
    values = source_arrays(ds, PREDICTORS, "the source")[1]
    moments = Moments()
    moments.add(np.asarray(channels.values(values)).reshape(-1, len(channels)))
    return moments


@pytest.fixture(scope="package")
def test_days(views):
    """The test period of each GCM, of which gcm-d is unknown."""
    return {letter: ds.sel(time=slice(*TEST)) for letter, ds in views.items()}


def regridded(ds, grid):
    from meshes import conservative

    weights = conservative(Grid.from_dataset(ds), grid)
    fields = {
        name: grid.dataarray(
            weights.apply(Grid.from_dataset(ds).values(v)).astype(np.float32),
            name,
            ("time",),
            {"time": ds.time},
            v.attrs,
        )
        for name, v in ds.data_vars.items()
        if "time" in v.dims
    }
    return xr.Dataset(fields)
