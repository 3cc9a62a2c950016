"""Checkpoints: the state comes back as it was, and only a fitting one."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from graphdown.config.training import TrainingSpec
from graphdown.errors import GraphdownError
from graphdown.training.run import checkpoint
from graphdown.training.run.checkpoint import DAMAGED, KEPT, PROGRESS, Checkpoints, RunProgress
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


def restored(folder, template, first=0):
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore(template, first)
    finally:
        checkpoints.close()


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_state_and_progress_come_back_bit_for_bit(tmp_path):
    state, progress = make_state(step=7), RunProgress(7, 0.1 + 0.2, 5, 2, 12.345678901234567)
    saved(tmp_path, (state, progress))
    again, where = restored(tmp_path, make_state(seed=1))
    assert_same(again, state)
    assert where == progress
    assert where.step == int(again.step) == 7


def test_a_run_without_a_score_yet_has_an_infinite_one(tmp_path):
    saved(tmp_path, (make_state(), RunProgress(step=3)))
    assert restored(tmp_path, make_state())[1] == RunProgress(step=3)


def test_an_empty_folder_holds_no_checkpoint(tmp_path):
    assert restored(tmp_path / "new", make_state()) is None


def test_the_newest_checkpoint_is_restored_and_few_are_kept(tmp_path):
    steps = [90, 100, 1000, 1010]
    saved(tmp_path, *((make_state(seed=s, step=s), RunProgress(s)) for s in steps))
    kept = sorted(int(p.name) for p in tmp_path.iterdir())
    assert kept == steps[-KEPT:]
    state, progress = restored(tmp_path, make_state())
    assert progress.step == 1010
    assert_same(state, make_state(seed=1010, step=1010))


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path):
    steps = [5, 10, 15, 20, 25]
    saved(tmp_path, *((make_state(seed=s), RunProgress(s, best_step=min(s, 10))) for s in steps))
    assert sorted(int(p.name) for p in tmp_path.iterdir()) == [10, 20, 25]
    checkpoints = Checkpoints(tmp_path)
    assert_same(checkpoints.best(make_state()), make_state(seed=10))
    checkpoints.close()


def test_older_ones_stay_until_a_newer_one_was_read_back(tmp_path, monkeypatch):
    steps = (5, 10, 15)
    saved(tmp_path, *((make_state(seed=s), RunProgress(s)) for s in steps[:2]))

    def unreadable(*_):
        raise ValueError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_read", unreadable)
        with pytest.raises(GraphdownError, match="'.*15' was not written: no such thing; the same"):
            saved(tmp_path, (make_state(seed=15), RunProgress(15)))
    assert {p.name for p in tmp_path.iterdir()} == {"5", "10"}
    saved(tmp_path, (make_state(seed=15), RunProgress(15)))
    assert {p.name for p in tmp_path.iterdir()} == {"10", "15"}


def damaged(folder, random):
    """Truncate a file of a checkpoint, change a byte of it or delete it."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    path = files[random.integers(len(files))]
    content = bytearray(path.read_bytes())
    kind = random.integers(3)
    if kind == 2:
        path.unlink()
        return
    place = int(random.integers(len(content)))
    content[place] ^= 1 << int(random.integers(8))
    path.write_bytes(content[:place] if kind else content)


def test_of_damaged_checkpoints_the_one_before_serves(tmp_path, caplog, capfd):
    folder, whole, random = tmp_path / "checkpoints", tmp_path / "12", np.random.default_rng(0)
    saved(folder, *((make_state(seed=s, step=s), RunProgress(s)) for s in (6, 12)))
    shutil.copytree(folder / "12", whole)
    fell_back, rounds = 0, 12
    for _ in range(rounds):
        damaged(folder / "12", random)
        caplog.clear()
        state, progress = restored(folder, make_state())
        assert_same(state, make_state(seed=progress.step, step=progress.step))
        if progress.step == 6:
            fell_back += 1
            assert "checkpoint of step 12 is damaged (" in caplog.text
            assert (tmp_path / DAMAGED / "12").is_dir()
        shutil.rmtree(folder / "12", ignore_errors=True)
        shutil.copytree(whole, folder / "12")
    assert fell_back == rounds
    assert capfd.readouterr().err == ""


def test_without_any_readable_checkpoint_nothing_is_begun_anew(tmp_path):
    saved(tmp_path, *((make_state(seed=s), RunProgress(s)) for s in (6, 12)))
    for step in (6, 12):
        (tmp_path / str(step) / "state" / "manifest.ocdbt").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(GraphdownError, match="No checkpoint in .* can be read .* of step 6"):
            restored(tmp_path, make_state(), first=6)
        assert {p.name for p in tmp_path.iterdir()} == {"6", "12"}


def test_before_the_first_checkpoint_is_the_beginning(tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    for _ in range(2):
        saved(folder, (make_state(seed=6), RunProgress(6)))
        (folder / "6" / "state" / "manifest.ocdbt").write_bytes(b"")
        with pytest.raises(GraphdownError, match="No checkpoint in .* can be read"):
            restored(folder, make_state(), first=5)
        assert restored(folder, make_state(), first=6) is None
        assert "checkpoint of step 6 is damaged (" in caplog.text
        assert "the run begins anew" in caplog.text
        assert (tmp_path / DAMAGED / "6").is_dir()


def test_a_checkpoint_of_a_newer_version_is_refused_and_stays(tmp_path, monkeypatch):
    saved(tmp_path, (make_state(), RunProgress(6)))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 2)
        saved(tmp_path, (make_state(), RunProgress(12)))
    with pytest.raises(GraphdownError, match="step 12 .* by a newer graphdown .format 2; this"):
        restored(tmp_path, make_state())
    assert sorted(int(p.name) for p in tmp_path.iterdir()) == [6, 12]


def test_a_forged_size_is_refused_before_memory_is_taken(tmp_path):
    import tensorstore as ts

    saved(tmp_path, (make_state(), RunProgress(6)))
    described = json.loads((tmp_path / "6" / PROGRESS).read_text())
    kvstore = {"driver": "ocdbt", "base": f"file://{tmp_path}/6/state/", "path": "params.odd/"}
    array = ts.open({"driver": "zarr", "kvstore": kvstore}, open=True).result()
    array.resize(exclusive_max=[2**50]).result()
    described["files"] = checkpoint._hashes(tmp_path / "6")
    (tmp_path / "6" / PROGRESS).write_text(json.dumps(described))
    with pytest.raises(GraphdownError, match="'params.odd' has shape .1125899906842624,."):
        restored(tmp_path, make_state())


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    saved(tmp_path, (make_state(), RunProgress(1)))
    with pytest.raises(GraphdownError, match="has shape .*belongs to another model"):
        restored(tmp_path, make_state(width=5))


@pytest.mark.parametrize("layers", [1, 3])
def test_a_checkpoint_of_another_depth_is_refused(tmp_path, layers):
    saved(tmp_path, (make_state(), RunProgress(1)))
    with pytest.raises(GraphdownError, match="step 1 in .*belongs to another model"):
        restored(tmp_path, make_state(layers=layers))
