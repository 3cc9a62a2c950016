"""Methods are compared on the values that all of them and the truth have."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.evaluation.cases import Case, score_cases
from graphdown.evaluation.compared import Compared
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.report import write_report
from graphdown.evaluation.table import format_table
from meshes import Grid

from .conftest import daily

GRID = Grid.regular(1.0, 1.0, (0.0, 40.0, 4.0, 43.0))
DAYS = 40
TIME = xr.date_range("2001-01-01", periods=DAYS)
LAND = GRID.lon < 2.0


def field(seed: int, at: float = 280.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (at + rng.normal(0, 3, (DAYS, GRID.size))).astype("float32")


def fields(seed: int) -> xr.Dataset:
    return daily(GRID, TIME, tas=field(seed), pr=np.abs(field(seed + 100, 3.0)))


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    """Truth with rain on land only and tas everywhere."""
    land = GRID.dataarray(LAND)
    ds = fields(0)
    return ds.assign(pr=ds.pr.where(land))


@pytest.fixture(scope="module")
def case(truth) -> Case:
    holes = fields(2)
    holes["tas"][3:5, 0, 0] = np.nan  # two values
    methods = {"whole": fields(1), "with holes": holes, "late": fields(3).isel(time=slice(1, None))}
    return Case("somewhere", True, truth, truth, methods)


def test_every_method_is_scored_on_the_same_values(case):
    used = {m: scores["used"].values.tolist() for m, scores in case.evaluations.items()}
    days = DAYS - 1
    assert set(map(tuple, used.values())) == {(days * GRID.size - 2, days * LAND.sum())}
    # By hand: one method alone, on the values that all have.
    there = case.predictions["with holes"].tas.isel(time=slice(1, None)).notnull()
    kept = case.truth.tas.isel(time=slice(1, None)).where(there)
    alone = evaluate(case.predictions["whole"], case.truth.assign(tas=kept)[["tas"]])
    ours = case.evaluations["whole"]["rmse"].sel(variable="tas")
    assert float(ours) == float(alone["rmse"].sel(variable="tas"))


def test_a_method_that_lacks_values_is_marked_and_their_number_shown(case, tmp_path):
    scores = score_cases([case])
    text = format_table(scores)
    assert "all methods and the truth have: 466 of tas, 234 of pr." in text
    assert "\N{DAGGER} with holes lacks values that the truth has: 2 of tas." in text
    assert "\N{DAGGER} late lacks values that the truth has: 12 of tas, 6 of pr." in text
    rows = [line.split("  ")[0] for line in text.splitlines()]
    assert {"whole", "with holes \N{DAGGER}", "late \N{DAGGER}"} <= set(rows)
    page = write_report(tmp_path, "holes", [case], scores).read_text(encoding="utf-8")
    assert "466 of tas, 234 of pr." in page and "with holes \N{DAGGER}" in page


def test_whole_methods_are_not_marked(truth):
    case = Case("somewhere", True, truth, truth, {"a": fields(1), "b": fields(2)})
    text = format_table(score_cases([case]))
    assert "\N{DAGGER}" not in text
    assert f"{DAYS * GRID.size} of tas, {DAYS * LAND.sum()} of pr." in text


def test_a_method_without_any_value_of_a_variable_does_not_empty_it(truth):
    none = fields(2)
    none["pr"] = xr.full_like(none.pr, np.nan)
    case = Case("somewhere", True, truth, truth, {"whole": fields(1), "no rain": none})
    assert float(case.evaluations["whole"]["used"].sel(variable="pr")) == DAYS * LAND.sum()
    assert float(case.evaluations["no rain"]["lacking"].sel(variable="pr")) == DAYS * LAND.sum()


def test_the_historical_period_is_compared_alike(truth):
    before = fields(5)
    holes = fields(6)
    holes["tas"][:, 1, 1] = np.nan  # a cell without a past has no change
    methods = {"a": fields(1), "b": fields(2)}
    reference = ({"a": fields(4), "b": holes}, before)
    case = Case("somewhere", True, truth, truth, methods, reference)
    for scores in case.evaluations.values():
        change = scores["signal_prediction_map"].sel(variable="tas")
        assert int(change.isnull().sum()) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0.0, 0.4), st.booleans())
def test_what_is_compared_is_the_intersection(seed, count, share, shuffled):
    rng = np.random.default_rng(seed)
    there = rng.random((count + 1, DAYS, GRID.size)) >= share
    kept = [rng.random(DAYS) >= share / 2 for _ in range(count)]
    kept = [days | (np.arange(DAYS) == 7) for days in kept]  # one day that all have
    truth = daily(GRID, TIME, tas=np.where(there[0], field(0), np.nan).astype("float32"))
    methods = {}
    for n in range(count):
        values = np.where(there[n + 1], field(n + 1), np.nan).astype("float32")
        days = np.flatnonzero(kept[n])
        days = rng.permutation(days) if shuffled else days
        methods[f"m{n}"] = daily(GRID, TIME, tas=values).isel(time=days)
    compared = Compared.of(methods, truth)
    shared = there.all(axis=0) & np.logical_and.reduce(kept)[:, None]
    every = np.logical_and.reduce(kept)
    expected = np.where(shared, field(0), np.nan)[every].reshape(-1, *GRID.shape)
    np.testing.assert_array_equal(compared.truth.tas.values, expected)
    for n in range(count):
        lacking = (there[0] & ~(there[n + 1] & kept[n][:, None])).sum()
        assert compared.lacking[f"m{n}"]["tas"] == lacking
        of_method = np.where(there[n + 1], field(n + 1), np.nan)[every]
        ours = GRID.values(compared.predictions[f"m{n}"].tas)
        np.testing.assert_array_equal(ours, of_method.astype("float32"))
