"""Checkpoints: the state comes back as it was, and only a fitting one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from graphdown.errors import GraphdownError
from graphdown.experiment import TrainingSpec
from graphdown.training.checkpoint import KEPT, Checkpoints, Progress
from graphdown.training.step import initial_state, make_optimiser


def make_state(seed=0, layers=2, width=3, step=0):
    rng = np.random.default_rng(seed)
    layer = {"kernel": rng.normal(size=(width, 4)), "bias": rng.normal(size=4)}
    params = {"layers": [layer] * layers, "odd": np.asarray([np.nan, -0.0, 1e-42, -np.inf])}
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
    optimiser = make_optimiser(TrainingSpec(warmup_steps=1))
    _, inner = optimiser.update(params, optimiser.init(params), params)
    ema = jax.tree.map(lambda a: a / 3, params)
    return initial_state(params, optimiser)._replace(
        optimiser=inner, ema=ema, step=jnp.asarray(step, jnp.int32)
    )


def saved(folder, *pairs):
    checkpoints = Checkpoints(folder)
    for state, progress in pairs:
        checkpoints.save(state, progress)
    checkpoints.close()


def restored(folder, template):
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore(template)
    finally:
        checkpoints.close()


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_state_and_progress_come_back_bit_for_bit(tmp_path):
    state, progress = make_state(step=7), Progress(7, 0.1 + 0.2, 5, 2, 12.345678901234567)
    saved(tmp_path, (state, progress))
    again, where = restored(tmp_path, make_state(seed=1))
    assert_same(again, state)
    assert where == progress
    assert where.step == int(again.step) == 7


def test_a_run_without_a_score_yet_has_an_infinite_one(tmp_path):
    saved(tmp_path, (make_state(), Progress(step=3)))
    assert restored(tmp_path, make_state())[1] == Progress(step=3)


def test_an_empty_folder_holds_no_checkpoint(tmp_path):
    assert restored(tmp_path / "new", make_state()) is None


def test_the_newest_checkpoint_is_restored_and_few_are_kept(tmp_path):
    steps = [90, 100, 1000, 1010]
    saved(tmp_path, *((make_state(seed=s, step=s), Progress(s)) for s in steps))
    kept = sorted(int(p.name) for p in tmp_path.iterdir())
    assert kept == steps[-KEPT:]
    state, progress = restored(tmp_path, make_state())
    assert progress.step == 1010
    assert_same(state, make_state(seed=1010, step=1010))


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    saved(tmp_path, (make_state(), Progress(1)))
    with pytest.raises(GraphdownError, match="has shape .*belongs to another model"):
        restored(tmp_path, make_state(width=5))


@pytest.mark.parametrize("layers", [1, 3])
def test_a_checkpoint_of_another_depth_is_refused(tmp_path, layers):
    saved(tmp_path, (make_state(), Progress(1)))
    with pytest.raises(GraphdownError, match="step 1 in .*belongs to another model"):
        restored(tmp_path, make_state(layers=layers))
