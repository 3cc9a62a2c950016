"""Scores by blocks of cells and of days against those of everything at once, in memory."""

import numpy as np
import pytest
import xarray as xr

from graphdown.baselines import field_blocks
from graphdown.evaluation.cases import Case, score_cases
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.measures import MEASURES, register_measure


@pytest.fixture
def whole_measure():
    """A measure that needs the whole field, as one of an extension may."""

    @register_measure("range_ratio", "range ratio", "1", 1.0, "ratio of the ranges of all values")
    def range_ratio(pair):
        return float(np.nanmax(pair.prediction) / np.nanmax(pair.truth))

    yield
    del MEASURES._items["range_ratio"]


def test_blocks_change_no_score(gappy, prediction, truth, whole_measure, monkeypatch):
    for sides in (gappy, (prediction, truth)):
        reference = tuple(ds.isel(time=slice(300, None)) for ds in sides)
        whole = evaluate(*sides, reference)
        row = 4 * truth.sizes["lon"] * (len(truth.time) + len(reference[0].time)) * 2
        monkeypatch.setattr(field_blocks, "BLOCK_BYTES", 2 * row)  # of two rows, or of many days
        for lazy in (False, True):
            y, x = (ds.chunk(time=200) if lazy else ds for ds in sides)
            by_blocks = evaluate(y, x, reference)
            assert list(by_blocks) == list(whole)
            xr.testing.assert_allclose(by_blocks, whole, rtol=1e-9, atol=1e-12)
        monkeypatch.undo()


def test_cases_with_few_maps_have_the_same_scores(gappy, prediction, monkeypatch):
    y, x = gappy
    methods = {"with gaps": y, "whole": prediction}
    reference = {m: ds.isel(time=slice(400)) for m, ds in methods.items()}, x
    all_maps = Case("a", True, x, x, methods, reference)
    monkeypatch.setattr(field_blocks, "BLOCK_BYTES", 2**16)
    lazy = {m: ds.chunk(time=100) for m, ds in methods.items()}
    few = Case("a", True, x, x.chunk(time=90), lazy, reference, ("bias", "signal_truth"))
    few.settle()
    before, after = (score_cases([case]) for case in (all_maps, few))
    names = ["method", "variable", "measure"]
    assert before[names].equals(after[names])
    np.testing.assert_allclose(after["value"], before["value"], rtol=1e-9, atol=1e-9)
    maps = {name for name in few.evaluations["whole"] if name.endswith("_map")}
    assert maps == {"bias_map", "signal_truth_map"}
    for one, other in zip(all_maps.shown, few.shown, strict=True):
        assert (one.name, one.time, one.variables) == (other.name, other.time, other.variables)
        for v in one.variables:
            np.testing.assert_array_equal(one.truth[v], other.truth[v])
            for method in methods:
                ours = one.predictions[method][v], other.predictions[method][v]
                np.testing.assert_array_equal(*ours)


def test_a_measure_by_cell_must_return_a_map(prediction, truth):
    @register_measure("some number", "n", "1", 1.0, "a number", by_cell=True)
    def some_number(pair):
        return 1.0

    try:
        with pytest.raises(ValueError, match="'some number' is registered with by_cell"):
            evaluate(prediction, truth)
    finally:
        del MEASURES._items["some number"]
