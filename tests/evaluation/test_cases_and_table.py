import re

import numpy as np
import pytest

from graphdown.evaluation.cases import Case, best_methods, mean_rank, score_cases
from graphdown.evaluation.table import format_table, format_value


@pytest.fixture(scope="module")
def cases(prediction, truth):
    perfect_tas = prediction.assign(tas=truth.tas)
    methods = {"first": prediction, "the other": perfect_tas}
    coarse = truth.coarsen(lat=3, lon=3, boundary="trim").mean()
    historical = ({m: p.isel(time=slice(400)) for m, p in methods.items()}, truth)
    return [
        Case("grid A", True, coarse, truth, methods, reference=historical),
        Case("grid B", False, coarse, truth.isel(time=slice(500)), methods),
    ]


@pytest.fixture(scope="module")
def scores(cases):
    return score_cases(cases)


def test_scores_are_tidy_and_equal_evaluate(cases, scores):
    assert list(scores) == ["case", "seen", "method", "variable", "measure", "value", "units"]
    assert not scores.duplicated(["case", "method", "variable", "measure"]).any()
    assert scores["value"].notna().all()
    row = scores.query("case == 'grid B' and method == 'first' and variable == 'pr'")
    row = row[row["measure"] == "sdii_bias"].iloc[0]
    expected = cases[1].evaluations["first"].sdii_bias.sel(variable="pr")
    assert row["value"] == float(expected)
    assert (row["units"], bool(row["seen"])) == ("mm day-1", False)
    signal = scores[scores["measure"] == "signal_bias"]
    assert set(signal["case"]) == {"grid A"}
    assert set(signal.loc[signal["variable"] == "pr", "units"]) == {"%"}


def test_table_shows_every_value_and_marks_the_best(scores):
    text = format_table(scores, ("rmse", "bias", "correlation"))
    first, second, legend = text.split("\n\n")
    assert first.startswith("grid A (trained on)\n")
    assert second.startswith("grid B (never trained on)\n")
    assert first.splitlines()[1].split("  ")[-1].strip() == "pr [mm/day]"
    assert "tas [K]" in first and "correlation" in first
    assert legend.startswith("*")
    for block, case in ((first, "grid A"), (second, "grid B")):
        for method in ("first", "the other"):
            line = next(row for row in block.splitlines() if row.startswith(method))
            own = scores[(scores["case"] == case) & (scores["method"] == method)]
            for variable in ("tas", "pr"):
                for name in ("rmse", "bias", "correlation"):
                    at = (own["variable"] == variable) & (own["measure"] == name)
                    assert format_value(own.loc[at, "value"].item()) in line
    best = re.findall(r"[\d.]+\*", next(r for r in first.splitlines() if r.startswith("the other")))
    assert best[:3] == ["0.000*", "0.000*", "1.000*"]
    assert max(map(len, first.splitlines())) < 90


def test_best_is_the_closest_to_a_perfect_value():
    import pandas as pd

    values = pd.Series({"a": 96.0, "b": 103.0, "c": np.nan})
    assert best_methods(values, "variance_ratio") == ["b"]
    assert best_methods(values, "correlation") == ["a"]
    assert best_methods(pd.Series({"a": -0.1, "b": 0.1}), "mean_bias") == ["a", "b"]
    assert best_methods(values, "used") == []


def test_mean_rank_puts_the_best_first(scores):
    rank = mean_rank(scores, ["first", "the other"], "rmse")
    assert list(rank.index) == ["the other", "first"]
    assert rank["the other"] == pytest.approx((1 + 1.5) / 2)


def test_wrong_cases_are_refused(cases, prediction, truth, scores):
    with pytest.raises(ValueError, match="no prediction"):
        Case("empty", True, truth, truth, {})
    with pytest.raises(ValueError, match=r"historical prediction of \['b'\]"):
        Case("half", True, truth, truth, {"b": prediction}, reference=({"a": prediction}, truth))
    with pytest.raises(ValueError, match="'grid A'"):
        score_cases([cases[0], cases[0]])
    with pytest.raises(ValueError, match="'mae' is no measure"):
        format_table(scores, ("mae",))
    with pytest.raises(ValueError, match="no rows"):
        format_table(scores.iloc[:0])
