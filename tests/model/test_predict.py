"""Physical units in, physical units out: standardising, interpolating, correcting."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from graphdown.model.padding import pad_nodes
from graphdown.model.predict import standardise, uncorrected
from meshes import bilinear

from .conftest import SCALES, SOURCE, TARGET, corrected, predicted, weather

VALUES = weather(SOURCE.size)
COLUMN_OF = {0: 1, 1: 0}  # targets pr and tas are corrections of these predictors


def interpolated():
    """Bilinear interpolation [days, Nt, 2] by the sparse matrix in double precision."""
    weights = bilinear(SOURCE, TARGET)
    return np.stack([weights.apply(VALUES[..., i].astype(np.float64)) for i in (0, 1)], axis=-1)


def test_an_untrained_network_predicts_the_bilinear_interpolation_or_the_base(untrained, listing):
    made = predicted(untrained, VALUES, listing)
    assert made.shape == (3, TARGET.size, 3)
    for target, column in COLUMN_OF.items():
        np.testing.assert_allclose(made[..., target], interpolated()[..., column], atol=2e-6)
    assert np.all(made[..., 2] == 5.0)


def test_standardised_channels_by_hand():
    values = jnp.array([[3.0, 0.0], [-1.0, 2.0], [1.0, -0.5]])
    expected = [
        [1.0, -0.7 / 1.5, -0.5 / 0.3],
        [-1.0, 1.3 / 1.5, (np.log(3.0) - 0.5) / 0.3],
        [0.0, -1.2 / 1.5, -0.5 / 0.3],  # no logarithm of less than none
    ]
    np.testing.assert_allclose(standardise(SCALES, values), expected, rtol=1e-6)


def test_what_the_network_corrects_are_interpolated_predictors_or_a_base(arrays):
    made = np.asarray(uncorrected(SCALES, np.swapaxes(pad_nodes(VALUES), 0, 1), arrays))
    for target, column in COLUMN_OF.items():
        expected = np.swapaxes(interpolated()[..., column], 0, 1)
        np.testing.assert_allclose(made[..., target], expected, atol=2e-6)
    assert np.all(made[..., 2] == 5.0)


def test_a_wind_is_corrected_from_the_wind_interpolated_as_a_vector(arrays):
    scales = SCALES._replace(column=jnp.array([0, 1, 2]), winds=jnp.array([[0, 1]]))
    made = np.asarray(uncorrected(scales, np.swapaxes(pad_nodes(VALUES), 0, 1), arrays))
    wind = np.einsum("tnc,cnk->tkn", VALUES, axes(SOURCE))
    at_target = bilinear(SOURCE, TARGET).apply(wind)
    expected = np.einsum("tkn,cnk->ntc", at_target, axes(TARGET))
    np.testing.assert_allclose(made[..., :2], expected, atol=5e-6)
    assert np.all(made[..., 2] == 5.0)


def axes(grid):
    """Unit vectors east and north [2, N, 3] by the textbook's formulas."""
    lon, lat = np.radians(grid.lon), np.radians(grid.lat)
    east = [-np.sin(lon), np.cos(lon), np.zeros_like(lon)]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.swapaxes([east, north], 1, 2)


def test_the_correction_is_scaled_and_added(network, arrays):
    inputs = np.swapaxes(pad_nodes(VALUES), 0, 1)
    correction = corrected(network, np.asarray(standardise(SCALES, inputs)), arrays)
    base = [interpolated()[..., 1], interpolated()[..., 0], np.full((3, TARGET.size), 5.0)]
    expected = np.stack(base, axis=-1) + np.swapaxes(correction, 0, 1) * [0.5, 1.0, 0.7]
    made = predicted(network, VALUES, arrays)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert np.all(np.abs(made - np.stack(base, axis=-1)).mean(axis=(0, 1)) > 0.3)


def test_a_constant_correction_counts_in_units_of_the_scale(untrained, listing):
    constant = nnx.clone(untrained)
    constant.head.bias[...] = jnp.array([1.0, 2.0, -1.0])
    made = predicted(constant, VALUES, listing)
    np.testing.assert_allclose(made[..., 0], interpolated()[..., 1] + 0.5, atol=3e-6)
    np.testing.assert_allclose(made[..., 1], interpolated()[..., 0] + 2.0, atol=3e-6)
    np.testing.assert_allclose(made[..., 2], 5.0 - 0.7, atol=1e-6)


def test_values_at_padding_nodes_have_no_influence(network, arrays):
    wild = pad_nodes(VALUES)
    wild[:, SOURCE.size :] = 1e5
    np.testing.assert_array_equal(
        predicted(network, wild, arrays), predicted(network, VALUES, arrays)
    )
