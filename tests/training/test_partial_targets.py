"""Targets that have values at different points: rain on land only, temperature everywhere."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from graphdown.comparison import GNN, make_cases
from graphdown.data.load import upscaled
from graphdown.data.reading.horizontal import grid_with_masks
from graphdown.emulator.storage import load
from graphdown.errors import DataError
from graphdown.evaluation.cases import score_cases
from graphdown.training import finetune_experiment, prepare_training, train

from .conftest import COARSE, FINE, make_data, make_experiment, source, truth

LAND = FINE.lon < 3.6
LAKE = np.arange(FINE.size) == 5  # has rain and no temperature
OUTSIDE = np.arange(FINE.size) == 11  # has neither


def fine():
    ds = truth()
    there = {"tas": ~LAKE & ~OUTSIDE, "pr": LAND & ~OUTSIDE}
    return ds.assign({n: ds[n].where(FINE.dataarray(mask)) for n, mask in there.items()})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "partial"
    data = make_data(fine())
    experiment = make_experiment(folder, data)
    emulator = train(experiment, data)
    return folder, experiment, data, emulator


def test_the_mask_of_the_grid_is_where_any_target_has_values():
    grid, masks = grid_with_masks(fine(), ["tas", "pr"], "here")
    np.testing.assert_array_equal(grid.mask, ~OUTSIDE)
    np.testing.assert_array_equal(masks["tas"], ~LAKE & ~OUTSIDE)
    np.testing.assert_array_equal(masks["pr"], LAND & ~OUTSIDE)


def test_a_target_without_any_value_is_refused():
    ds = fine()
    with pytest.raises(DataError, match="'pr' has no value"):
        grid_with_masks(ds.assign(pr=ds.pr * np.nan), ["tas", "pr"], "the target")


def test_each_target_is_written_where_it_has_values(run):
    folder, _, data, emulator = run
    for one in (emulator, load(folder)):
        made = one.downscale(source(COARSE).isel(time=slice(3)))
        for name in ("tas", "pr"):
            ours = np.isfinite(FINE.values(made[name])).all(axis=0)
            theirs = np.isfinite(FINE.values(data.fine[name])).all(axis=0)
            np.testing.assert_array_equal(ours, theirs)


def test_points_with_one_target_only_are_learned_from(run):
    """At sea, the temperature is as good as on land: its loss counts there."""
    _, experiment, data, emulator = run
    coarse, right = data.pair(experiment, "a", "train")
    made = emulator.downscale(coarse)
    error = np.square(FINE.values(made.tas) - FINE.values(right.tas)).mean(axis=0)
    assert np.nanmean(error[~LAND]) < 1.5 * np.nanmean(error[LAND])


def test_all_methods_are_scored_on_the_same_values(run):
    _, experiment, data, emulator = run
    chosen = replace(experiment, baselines=("bilinear", "lapse rate", "mean bias", "ridge"))
    (case,) = make_cases(chosen, data, emulator)
    scores = score_cases([case])
    assert GNN in set(scores["method"]) and "ridge" in set(scores["method"])
    used = scores[scores["measure"] == "used"].groupby("variable")["value"]
    days = case.truth.sizes["time"]
    assert used.nunique().to_dict() == {"tas": 1, "pr": 1}
    assert used.max()["tas"] == days * (FINE.size - 2)
    assert used.max()["pr"] == days * (LAND & ~OUTSIDE).sum()
    lacking = scores[scores["measure"] == "lacking"]
    assert (lacking["value"] == 0).all()


def test_stamps_and_calendar_of_the_source_do_not_matter(run):
    """A source at 12 UTC without leap days beside a target at 00 UTC is scored like another."""
    _, experiment, data, emulator = run
    noon = source(COARSE)
    noon = noon.assign_coords(time=noon.time + np.timedelta64(12, "h"))
    noon = noon.convert_calendar("noleap", use_cftime=True)
    chosen = replace(experiment, baselines=("bilinear", "ridge"))
    tables = [
        score_cases(make_cases(chosen, fields, emulator))
        for fields in (data, make_data(data.fine, a=noon))
    ]
    ours, theirs = (t.set_index(["method", "variable", "measure"])["value"] for t in tables)
    # The season enters the network by the calendar.
    pd.testing.assert_series_equal(ours["ridge"], theirs["ridge"], rtol=1e-4)
    pd.testing.assert_series_equal(ours["bilinear"], theirs["bilinear"], rtol=1e-4)
    assert float(ours[GNN]["tas"]["rmse"]) == pytest.approx(float(theirs[GNN]["tas"]["rmse"]), 0.1)


def test_fine_tuning_adds_the_points_of_its_data(run, tmp_path):
    folder, _, _, emulator = run
    whole = make_data()
    made = finetune_experiment(folder, make_experiment(tmp_path / "unused", whole), tmp_path / "b")
    domain = prepare_training(made, whole).domain
    np.testing.assert_array_equal(emulator.domain.present(["pr"])[:, 0], LAND & ~OUTSIDE)
    for present in domain.present(["tas", "pr"]).T:
        np.testing.assert_array_equal(present, ~OUTSIDE)


def test_blocks_of_a_target_with_other_points_for_each_variable():
    """Sources of the perfect framework: a block has the mean of the values that it has."""
    ds = fine().isel(time=slice(3))
    apart = ds.assign(pr=ds.pr.where(FINE.dataarray(LAND)), tas=ds.tas.where(FINE.dataarray(~LAND)))
    means = upscaled(apart, 3)
    block = np.nanmean(apart.tas.values[:, :3, -3:].astype(float), axis=(1, 2))
    np.testing.assert_allclose(means.tas.values[:, 0, -1], block, rtol=1e-6)
    assert means.tas.isel(lon=0).isnull().all() and means.pr.isel(lon=-1).isnull().all()
