import jax
import jax.numpy as jnp
import numpy as np
import pytest

from graphdown.model import chunks
from graphdown.model.chunks import by_rows, map_rows

ROWS = {"a": np.arange(22.0).reshape(11, 2), "b": np.arange(11.0)}


def limited(monkeypatch, rows):
    """Let a chunk hold so many rows of three numbers."""
    monkeypatch.setattr(chunks, "CHUNK", {jax.default_backend(): 3 * rows})


@pytest.mark.parametrize(
    ("limit", "sizes"), [(100, {11}), (11, {11}), (6, {6}), (4, {4}), (1, {1})]
)
def test_chunks_give_what_all_rows_give_at_once(monkeypatch, limit, sizes):
    limited(monkeypatch, limit)
    seen = set()

    def body(carry, rows):
        seen.add(len(rows["b"]))
        return carry + rows["a"].sum(), {"c": rows["a"] * rows["b"][:, None], "none": None}

    total, made = by_rows(body, jnp.asarray(5.0), ROWS, 3)
    assert seen == sizes
    assert total == 5.0 + ROWS["a"].sum()
    np.testing.assert_array_equal(made["c"], ROWS["a"] * ROWS["b"][:, None])
    assert made["none"] is None


@pytest.mark.parametrize("limit", [100, 4])
def test_mapped_rows_have_the_gradients_of_the_function(monkeypatch, limit):
    limited(monkeypatch, limit)

    def through(apply, matrix, rows):
        return apply(lambda some: jnp.sin(some @ matrix), rows)

    matrix = np.random.default_rng(0).normal(size=(2, 3))

    def loss(apply):
        return lambda *inputs: (through(apply, *inputs) ** 3).sum()

    made = jax.value_and_grad(loss(lambda f, rows: map_rows(f, rows, 3)), (0, 1))(matrix, ROWS["a"])
    plain = jax.value_and_grad(loss(lambda f, rows: f(rows)), (0, 1))(matrix, ROWS["a"])
    for one, expected in zip(*map(jax.tree.leaves, (made, plain)), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-6)
