"""The arithmetic of gaps, gains and forgetting on numbers made by hand."""

import numpy as np
import pytest
import xarray as xr

from graphdown.transfer.findings import verdicts
from graphdown.transfer.plan import Cell, Task
from graphdown.transfer.seed_scores import Scored, Values
from graphdown.transfer.tables import (
    adaptation_table,
    gap_table,
    group_table,
    score_table,
    scores_dataset,
)

START, FULL = Task("network", ("A", "B")), Task("full", ("A", "B"), ("D",), 3)
APPLY = ("A", "B", "D")
CELLS = [
    Cell("out", "network", ("A", "B"), None, START, APPLY),
    Cell("few", "full", ("A", "B"), 0, START, APPLY, ("D",), START),
    Cell("few", "full", ("A", "B"), 3, FULL, APPLY, ("D",), START),
]


def run(rmse, bias):
    """Scores of tas on A, B and D, with draws around them."""
    values = {"rmse": rmse, "mean_bias": bias}
    shift = np.array([-0.2, 0.0, 0.2])
    fields = {name: (("source", "variable"), np.array(v)[:, None]) for name, v in values.items()}
    draws = np.array(rmse)[:, None, None] + shift * np.array([1.0, 1.0, 2.0])[:, None, None]
    fields["rmse_draws"] = (("source", "variable", "draw"), draws)
    coords = {"source": list(APPLY), "variable": ["tas"], "units": ("variable", ["K"])}
    return xr.Dataset(fields, coords)


RUNS = {
    START: [run([1.0, 2.0, 4.0], [0.1, -0.3, -1.0]), run([1.2, 2.2, 4.4], [-0.1, 0.3, -0.6])],
    FULL: [run([1.1, 2.1, 2.5], [0.0, 0.0, 0.0]), run([1.3, 2.3, 2.7], [0.0, 0.0, 0.2])],
}
RESULTS = {task: Scored.of(runs) for task, runs in RUNS.items()}


def row(table, **wanted):
    for key, value in wanted.items():
        table = table[table[key] == value]
    (found,) = table.to_dict("records")
    return found


def test_scores_are_means_over_the_seeds():
    table = score_table(CELLS, RESULTS)
    found = row(table, block="out", source="D", measure="rmse")
    assert found["value"] == pytest.approx(4.2)
    assert found["spread"] == pytest.approx(np.std([4.0, 4.4], ddof=1))
    assert (found["seen"], found["seeds"], found["units"]) == (False, 2, "K")
    assert found["low"] < 4.2 < found["high"]
    signed = row(table, block="out", source="D", measure="mean_bias")
    assert signed["value"] == pytest.approx(-0.8) and np.isnan(signed["low"])
    assert row(table, block="few", years=3, source="D", measure="rmse")["seen"]


def test_a_gap_is_the_unseen_score_minus_the_mean_of_those_learned_from():
    table = gap_table(CELLS, RESULTS)
    found = row(table, source="D", measure="rmse")
    assert found["value"] == pytest.approx(np.mean([4.0 - 1.5, 4.4 - 1.7]))
    # Of distances from perfect: |-1| - mean(|0.1|, |-0.3|), |-0.6| - mean(|-0.1|, |0.3|).
    assert row(table, source="D", measure="mean_bias")["value"] == pytest.approx((0.8 + 0.4) / 2)
    grouped = row(group_table(CELLS, RESULTS), block="out", group="unseen", measure="rmse")
    assert (grouped["value"], grouped["gap"]) == pytest.approx((4.2, found["value"]))
    assert (grouped["gap_low"], grouped["gap_high"]) == (found["low"], found["high"])
    learned = row(group_table(CELLS, RESULTS), block="out", group="learned", measure="rmse")
    assert learned["value"] == pytest.approx(1.6) and np.isnan(learned["gap"])
    first = row(group_table(CELLS, RESULTS), block="few", group="first", years=3, measure="rmse")
    assert first["value"] == pytest.approx(np.mean([1.1, 2.1, 1.3, 2.3]))


def test_strategies_are_compared_on_the_same_days_and_sources():
    other = Task("per-source", ("A", "B"))
    cells = [CELLS[0], Cell("out", "per-source", ("A", "B"), None, other, APPLY)]
    results = {**RESULTS, other: Scored.of([run([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])])}
    table = group_table(cells, results)
    found = row(table, strategy="per-source", group="unseen", measure="rmse")
    assert found["difference"] == pytest.approx(3.0 - 4.2)
    one = group_table(cells, {**results, START: Scored.of(RUNS[START][:1])})
    found = row(one, strategy="per-source", group="unseen", measure="rmse")
    # Both meet the same draws, which cancel.
    assert (found["difference_low"], found["difference_high"]) == pytest.approx((-1.0, -1.0))
    assert np.isnan(row(table, strategy="network", group="unseen", measure="rmse")["difference"])
    unseen = one[one["group"] == "unseen"]
    assert verdicts(unseen) == ["tas, RMSE [K]: better than network: per-source."]


def test_orders_of_learning_are_compared_one_by_one_on_what_none_of_them_saw():
    tasks = [Task("network", ("A",)), Task("network", ("B",)), Task("full", ("A",), ("B",))]
    scores = {t: Scored.of([run([1.0, 1.0, 4.0 - n], [0.0] * 3)]) for n, t in enumerate(tasks)}
    cells = [Cell("order", t.strategy, t.train, None, t, APPLY, ("B",)) for t in tasks]
    table = group_table(cells, scores)
    unseen = table[(table["group"] == "unseen") & (table["measure"] == "rmse")]
    assert list(unseen["strategy"]) == ["network: A", "network: B", "full: A → B"]
    assert list(unseen["cells"]) == [1, 1, 1]  # D alone
    np.testing.assert_allclose(unseen["value"], [4, 3, 2])
    np.testing.assert_allclose(unseen["difference"], [np.nan, -1, -2])


def test_what_fine_tuning_gains_and_forgets():
    table = adaptation_table(CELLS, RESULTS)
    found = row(table, measure="rmse", years=3)
    assert (found["before"], found["after"]) == pytest.approx((4.2, 2.6))
    assert found["gain"] == pytest.approx(1.6)
    assert found["gap"] == pytest.approx(4.2 - 1.6)
    assert found["closed"] == pytest.approx(1.6 / 2.6)
    assert found["forgetting"] == pytest.approx(0.1)
    assert found["forgetting_percent"] == pytest.approx(100 * 0.1 / 1.6)
    # Both sides of forgetting meet the same draws, so the draws cancel.
    assert (found["forgetting_low"], found["forgetting_high"]) == pytest.approx((0.1, 0.1))
    assert len(table[table["years"] == 0]) == 0


def test_without_a_gap_no_share_of_it_is_closed():
    better = {**RESULTS, START: Scored.of([run([5.0, 5.0, 4.0], [0.0, 0.0, 0.0])] * 2)}
    found = row(adaptation_table(CELLS, better), measure="rmse", years=3)
    assert found["gap"] < 0 and np.isnan(found["closed"])


def test_intervals_hold_the_seeds_too():
    same = Values(np.array([1.0, 1.0]), np.full((2, 50), 1.0)).columns()
    apart = Values(np.array([0.0, 2.0]), np.repeat([[0.0], [2.0]], 50, axis=1)).columns()
    assert (same["low"], same["high"]) == (1.0, 1.0)
    assert apart["high"] - apart["low"] == pytest.approx(2.0)
    assert np.isnan(Values(np.array([1.0]), None).columns()["spread"])


def test_every_run_is_in_the_dataset_of_scores():
    found = scores_dataset(RUNS)
    assert found["rmse"].dims == ("run", "source", "variable") and found.sizes["run"] == 4
    own = found.isel(run=(found["strategy"] == "full") & (found["seed"] == 1))
    assert float(own["rmse"].sel(source="D").squeeze()) == 2.7
    assert own["tune"].item() == "D" and own["years"].item() == 3
