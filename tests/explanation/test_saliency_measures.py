"""Measures of saliency maps on maps whose answer is known."""

import numpy as np
import pytest

from graphdown.explanation.saliency_measures import SaliencySums, distance_edges, shares
from meshes import Grid
from meshes.geometry.sphere import EARTH_RADIUS_KM, lonlat_to_xyz

GRID = Grid.regular(1.0, 1.0, (-5.0, -5.0, 6.0, 6.0))
POINT = lonlat_to_xyz(0.5, 0.5)
DEGREE = EARTH_RADIUS_KM * np.pi / 180.0


def node(lon, lat):
    return int(np.flatnonzero((GRID.lon == lon) & (GRID.lat == lat))[0])


def test_shares_are_absolute_without_noise_and_add_up_to_one():
    maps = np.zeros((2, 3, 2))
    maps[0] = [[-8.0, 0.7], [0.9, 0.0], [1.1, 0.0]]
    found = shares(maps)
    np.testing.assert_allclose(found[0], [[8 / 10.0, 0], [0.9 / 10.0, 0], [1.1 / 10.0, 0]])
    assert not found[1].any()


def test_dispersion_distance_and_upwind_of_single_nodes():
    sums = SaliencySums(GRID.xyz, distance_edges(GRID, np.arange(GRID.size), POINT[None]), (1, 2))
    fields = np.zeros((GRID.size, 3))
    fields[:, 1] = 10.0  # a westerly: upwind is in the west
    west = np.zeros((GRID.size, 3))
    west[node(-2.5, 0.5), 0] = 0.75
    west[node(2.5, 0.5), 1] = 0.25
    sums.add(west, fields, POINT)
    (dispersion,) = sums.dispersion
    assert dispersion == pytest.approx(0.75 * 3 * DEGREE + 0.25 * 2 * DEGREE, rel=1e-3)
    np.testing.assert_allclose(sums.mean_upwind[:2], [3 * DEGREE, -2 * DEGREE], rtol=1e-3)
    assert np.isnan(sums.mean_upwind[2])
    edges, classes = sums.edges, np.asarray(sums.by_distance)
    place = np.argmax(classes[:, 0])
    assert edges[place] <= 3 * DEGREE < edges[place + 1] and classes.sum() == pytest.approx(1.0)
    fields[:, 1:] = [0.0, 5.0]
    sums.add(west, fields, POINT)
    np.testing.assert_allclose(sums.mean_upwind[:2], [1.5 * DEGREE, -1 * DEGREE], rtol=5e-3)
