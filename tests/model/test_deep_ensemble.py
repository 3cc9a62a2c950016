"""An ensemble of networks: its mean, its gradients and its members, network by network."""

import jax
import jax.numpy as jnp
import numpy as np

from graphdown.model.deep_ensemble import divided, rejoined


def test_rows_are_divided_in_turns_and_come_back():
    rows = jnp.arange(2 * 3 * 4).reshape(24, 1)  # 2 days for each of 3 networks, 4 members each
    parts = divided(rows, 3, repeats=4)
    np.testing.assert_array_equal(parts[1, :, 0], [4, 5, 6, 7, 16, 17, 18, 19])
    np.testing.assert_array_equal(rejoined(parts, repeats=4), rows)
    np.testing.assert_array_equal(rejoined(divided(rows, 3)), rows)
    assert jax.tree.leaves(divided(rows, 3))[0].shape == (3, 8, 1)
