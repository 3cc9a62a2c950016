"""Winds carried between grids as vectors, against vectors made from the formulas of the sphere."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from graphdown.baselines import Bilinear, Nearest
from graphdown.variables.winds import carried, corrected_winds, wind_pairs
from meshes import Grid, bilinear
from meshes.geometry.sphere import east_and_north

ARCTIC = Grid.regular(10.0, 4.0, (-180.0, 60.0, 180.0, 90.0))
NEAR_POLE = Grid.from_points([0.0, 45.0, 130.0, -100.0, 20.0], [89.0, 86.5, 82.3, 77.7, 71.0])
OVER_THE_POLE = np.array([0.0, 20.0, 3.0])  # rotation vector, m s-1: a flow across the pole


def axes(grid):
    """East and north [2, 3, N] by the textbook's formulas."""
    lon, lat = np.radians(grid.lon), np.radians(grid.lat)
    east = [-np.sin(lon), np.cos(lon), np.zeros_like(lon)]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.array([east, north])


def rotation(grid):
    """Components [N] of the wind of a solid rotation, which is linear in the position."""
    wind = np.cross(OVER_THE_POLE, grid.xyz)
    return [np.einsum("kn,nk->n", axis, wind) for axis in axes(grid)]


def test_axes_are_those_of_the_textbook():
    np.testing.assert_allclose(east_and_north(ARCTIC.xyz), axes(ARCTIC), atol=1e-12)


def test_a_wind_across_the_pole_keeps_its_direction():
    weights = bilinear(ARCTIC, NEAR_POLE)
    truth = rotation(NEAR_POLE)
    made = carried(weights.apply, *rotation(ARCTIC), axes(ARCTIC), axes(NEAR_POLE))
    np.testing.assert_allclose(made, truth, atol=0.15)  # the chords' sagitta, under 1 %
    scalars = [weights.apply(part) for part in rotation(ARCTIC)]
    assert np.abs(np.subtract(scalars, truth)).max() > 10.0


def test_arrays_of_jax_are_carried_alike():
    weights = bilinear(ARCTIC, NEAR_POLE)
    matrix = jnp.asarray(weights.matrix().toarray())
    expected = carried(weights.apply, *rotation(ARCTIC), axes(ARCTIC), axes(NEAR_POLE))
    wind = map(jnp.asarray, rotation(ARCTIC))
    made = carried(lambda v: matrix @ v, *wind, axes(ARCTIC), axes(NEAR_POLE))
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_components_pair_within_their_step_and_level():
    assert wind_pairs(("vas", "tas", "uas", "ua850", "va500")) == ((2, 0),)
    names = ("uas", "vas", "uas@-1", "vas@-1", "uas#1")
    assert wind_pairs(names) == ((0, 1), (2, 3))
    assert wind_pairs(("va850", "ua850")) == ((1, 0),)


def test_winds_that_the_source_lacks_in_part_are_no_corrections():
    assert corrected_winds(("tas", "uas", "vas"), ("uas", "vas", "tas")) == ((1, 2),)
    assert corrected_winds(("uas", "vas"), ("uas", "tas")) == ()


def dataset(grid, names):
    time = {"time": xr.date_range("2001-01-01", periods=4)}
    size = np.arange(1.0, 5.0)[:, None]
    fields = {
        name: grid.dataarray((size * part).astype(np.float32), name, ("time",), time)
        for name, part in zip(("uas", "vas"), rotation(grid), strict=True)
        if name in names
    }
    return xr.Dataset(fields)


@pytest.mark.parametrize("method", [Bilinear, Nearest])
def test_baselines_carry_both_components_together(method):
    both, target = ("uas", "vas"), Grid.regular(7.0, 1.5, (-180.0, 72.0, 180.0, 88.5))
    fitted = method().fit([(dataset(ARCTIC, both), dataset(target, both))])
    made = fitted.predict(dataset(ARCTIC, both))
    expected = carried(
        method.weights(ARCTIC, target).apply, *rotation(ARCTIC), axes(ARCTIC), axes(target)
    )
    for name, part in zip(both, expected, strict=True):
        np.testing.assert_allclose(target.values(made[name])[1], 2 * part, atol=1e-4)
    alone = method().fit([(dataset(ARCTIC, ["uas"]), dataset(target, ["uas"]))])
    np.testing.assert_allclose(
        target.values(alone.predict(dataset(ARCTIC, ["uas"])).uas)[0],
        method.weights(ARCTIC, target).apply(rotation(ARCTIC)[0]),
        atol=1e-4,
    )
