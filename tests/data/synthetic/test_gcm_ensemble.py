"""Several made-up GCMs, each with weather of its own, that drive two regional models."""

import dataclasses

import numpy as np
import pytest

from graphdown.config.experiment_file import parse_experiment
from graphdown.data.load import load_data
from graphdown.data.synthetic import WorldSpec, make_ensemble
from graphdown.data.synthetic.gcm_ensemble import GCMS, RCMS, VIEWS
from graphdown.data.synthetic.target_region import make_region
from graphdown.data.synthetic.views import PREDICTORS
from graphdown.data.synthetic.waves import Waves
from graphdown.data.synthetic.weather import Character, simulate
from graphdown.errors import DataError
from graphdown.training.paired_days import training_days
from meshes import Grid, conservative

SPEC = WorldSpec(seed=3, years=1, size=12, rcm="rcm-1")


@pytest.fixture(scope="module")
def first():
    return make_ensemble(SPEC, ["gcm-a", "gcm-b", "rcmu-a"])


@pytest.fixture(scope="module")
def second():
    return make_ensemble(dataclasses.replace(SPEC, rcm="rcm-2"), ["gcm-a"])


def area_mean(field):
    grid = Grid.from_dataset(field.to_dataset(name="field"))
    return grid.values(field).astype(float) @ (grid.area / grid.area.sum())


def test_there_are_at_least_four_gcms_and_two_rcms_that_differ_in_all():
    assert len(GCMS) >= 4 and len(RCMS) == 2
    for part in ("grid", "character", "errors"):
        assert len({getattr(gcm, part) for gcm in GCMS.values()}) == len(GCMS)
    assert len({gcm.character.warming for gcm in GCMS.values()}) == len(GCMS)
    assert len(VIEWS) == 2 * len(GCMS)


def test_each_view_is_canonical_and_has_the_truth_that_it_drives(first):
    assert set(first.views) == set(first.truths) == {"gcm-a", "gcm-b", "rcmu-a"}
    for view, shown in first.views.items():
        assert set(shown) == {*PREDICTORS, "orog"}
        assert all(np.isfinite(v).all() and v.dtype == np.float32 for v in shown.values())
        assert float(shown.pr.min()) >= 0
        truth = first.truths[view]
        assert truth.tas.shape == (365, 12, 12)
        day = np.corrcoef(area_mean(shown.tas), area_mean(truth.tas))[0, 1]
        assert day > 0.9
    assert first.truths["gcm-a"].identical(first.truths["rcmu-a"])
    assert first.noise_floor["tas"] == pytest.approx(0.25, rel=0.02)


def test_gcms_have_weather_of_their_own(first):
    a, b = (first.truths[view].tas for view in ("gcm-a", "gcm-b"))
    anomalies = [
        area_mean(t - t.rolling(time=31, center=True, min_periods=1).mean()) for t in (a, b)
    ]
    assert abs(np.corrcoef(*anomalies)[0, 1]) < 0.25
    assert -2.5 < float(b.mean() - a.mean()) < 0.0


def test_what_is_upscaled_is_the_regional_model_itself(first):
    fine, coarse = Grid.from_dataset(first.truths["rcmu-a"]), first.views["rcmu-a"]
    grid = Grid.from_dataset(coarse[["tas"]])
    means = conservative(fine, grid, 0.999)
    rows = np.unique(means.rows)
    assert len(rows) == 36
    for name in ("tas", "pr"):
        expected = means.apply(fine.values(first.truths["rcmu-a"][name]).astype(float))
        made = grid.values(coarse[name])
        np.testing.assert_allclose(made[:, rows], expected[:, rows], atol=2e-3, rtol=1e-4)


def test_both_rcms_follow_the_same_weather_on_other_grids_with_other_physics(first, second):
    own, other = first.truths["gcm-a"], second.truths["gcm-a"]
    assert Grid.from_dataset(own).kind == "rotated_pole"
    assert Grid.from_dataset(other).kind == "regular"
    assert second.views["gcm-a"].identical(first.views["gcm-a"])
    for name in ("tas", "pr"):
        assert np.corrcoef(area_mean(own[name]), area_mean(other[name]))[0, 1] > 0.95
    assert second.statics.orog.shape == other.tas.shape[1:]


def test_a_gcm_is_the_same_whichever_others_are_asked_for(first):
    alone = make_ensemble(SPEC, ["gcm-b"])
    assert alone.views["gcm-b"].identical(first.views["gcm-b"])
    assert alone.truth.identical(first.truths["gcm-b"])


def test_a_character_sets_warming_warmth_and_vigour():
    region = make_region(8)
    waves, spec = Waves(region.x_km, region.y_km), WorldSpec(years=1, size=8)
    made = [
        next(simulate(spec, region, waves, np.random.default_rng(1), c))
        for c in (Character(), Character(warmth=2.0, warming=1.5, vigour=1.2, moisture=0.3))
    ]
    np.testing.assert_allclose(made[1].warming, 1.5 * made[0].warming, rtol=1e-5)
    wind = [np.std(w.v) for w in made]
    assert wind[1] == pytest.approx(1.2 * wind[0], rel=1e-4)
    assert 1.8 < float(np.mean(made[1].temperature - made[0].temperature)) < 2.3
    assert float(np.mean(made[1].humidity)) > float(np.mean(made[0].humidity)) + 0.03


def experiment_of(folder, **changes):
    raw = {
        "name": "ensemble",
        "output": str(folder),
        "predictors": ["tas", "pr"],
        "targets": ["tas", "pr"],
        "data": {
            "world": {"years": 1, "size": 12, "rcm": "rcm-1", "seed": 3},
            "sources": [{"name": "A", "view": "gcm-a"}, {"name": "B", "view": "gcm-b"}],
        },
        "periods": {
            "train": ["1981-01", "1981-02"],
            "validation": ["1981-03", "1981-03"],
            "test": ["1981-04", "1981-04"],
        },
    }
    return parse_experiment({**raw, **changes}, "the test")


def test_an_experiment_pairs_each_gcm_with_its_own_truth_in_memory_and_on_disk(first, tmp_path):
    experiment = experiment_of(tmp_path)
    target = Grid.from_dataset(first.truth)
    for data in (load_data(experiment), load_data(experiment, tmp_path / "samples")):
        for name, view in (("A", "gcm-a"), ("B", "gcm-b")):
            days = training_days(data, experiment, name, target)
            truth = target.values(first.truths[view].tas)[:59]
            np.testing.assert_array_equal(days.fine[:][..., 0], truth)
            coarse, fine = data.pair(experiment, name, "test")
            assert coarse.sizes["time"] == 30
            np.testing.assert_array_equal(fine.tas, first.truths[view].tas.sel(time="1981-04"))


def test_an_unknown_member_is_refused(tmp_path):
    sources = [{"name": "A", "view": "gcm-z"}]
    data = {"world": {"years": 1, "size": 12, "rcm": "rcm-1"}, "sources": sources}
    with pytest.raises(DataError, match="'gcm-z'; the embedded world has gcm-a, gcm-b"):
        load_data(experiment_of(tmp_path, data=data))
