"""Explanations of emulators with random parameters, with and without parts in closed form."""

from dataclasses import replace
from functools import cache

import numpy as np

from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.eofs import fit_eofs
from graphdown.explanation.explain import explain
from meshes import Grid

from ..emulator.conftest import BOUND, MODEL, NORMALISER, SPEC, TARGETS, dataset, statics
from ..emulators import random_emulator

AT = (1.3, 43.8)
DAYS = 5
SOURCE = Grid.regular(1.5, 1.5, (-9.0, 36.0, 12.0, 54.0))


def fitted_eofs(target):
    """EOFs of smooth fields on a fine grid and of the targets that go with them."""
    grid = Grid.regular(1.0, 1.0, (-9.0, 36.0, 12.0, 54.0))
    learned = [dataset(place, days=30, start="2000-01-01") for place in (grid, target)]
    fields, fine = (
        np.stack([place.values(ds[name]) for name in names], axis=-1)
        for place, ds, names in (
            (grid, learned[0], NORMALISER.predictors),
            (target, learned[1], NORMALISER.targets),
        )
    )
    eofs = fit_eofs(grid, fields, fine, 8, np.array([0, 1]), np.zeros(3), np.zeros(2))
    return replace(eofs, noise=np.full((1, 2), 0.1))


@cache
def emulator(kind):
    """An emulator with a network alone, with a regression, or with EOFs."""
    target = TARGETS["regular"]
    eofs = fitted_eofs(target) if kind == "eofs" else None
    domain = TargetDomain(target, statics(target), SPEC, eofs)
    return random_emulator(BOUND if kind == "regression" else MODEL, NORMALISER, domain)


@cache
def fields():
    return dataset(SOURCE, days=8)


@cache
def explanation(kind, variable="tas"):
    return explain(emulator(kind), fields(), variable, at=AT, days=DAYS, steps=48)
