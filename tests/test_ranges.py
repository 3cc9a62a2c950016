from dataclasses import dataclass, field
from typing import Annotated

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt

from graphdown.config.training import FinetuneSpec, TrainingSpec
from graphdown.ranges import bounds_of, check_ranges, demand

Share = Annotated[float, Interval(gt=0, le=1)]


@dataclass
class Spec:
    count: Annotated[int, Interval(ge=1, le=2000)] = 1
    share: Annotated[float, Ge(0), Lt(1)] = 0.0
    years: Annotated[int, Ge(0)] | None = None
    limits: tuple[float, Annotated[float, Le(5)]] = (9.0, 0.0)
    radii: tuple[Annotated[float, Gt(0)], ...] = ()
    shares: dict[str, Share] = field(default_factory=dict)
    free: int = -7
    __post_init__ = check_ranges


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"count": 2000, "share": 0.999},
        {"years": 0},
        {"limits": (100.0, 5)},
        {"radii": (1.0, 2.0), "shares": {"tas": 1.0}},
    ],
)
def test_numbers_within_their_ranges_are_accepted(values):
    Spec(**values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 0}, "count is 0, but must lie between 1 and 2,000."),
        ({"count": 2001}, "count is 2001, but must lie between 1 and 2,000."),
        ({"share": 1.0}, "share is 1.0, but must be at least 0 and less than 1."),
        ({"share": float("nan")}, "share is nan, but must be at least 0 and less than 1."),
        ({"years": -1}, "years is -1, but must not be negative."),
        ({"limits": (0.0, 6.0)}, "limits.1 is 6.0, but must be at most 5."),
        ({"radii": (1.0, 0.0)}, "radii.1 is 0.0, but must be greater than 0."),
        (
            {"shares": {"tas": 0.0}},
            "shares.tas is 0.0, but must be greater than 0 and at most 1.",
        ),
    ],
)
def test_a_number_outside_its_range_is_named_with_its_value(values, sentence):
    with pytest.raises(ValueError) as caught:
        Spec(**values)
    assert str(caught.value) == sentence


def test_sections_made_in_python_are_checked_too():
    with pytest.raises(ValueError, match="ema_decay is 1.0, but must be"):
        TrainingSpec(ema_decay=1.0)
    with pytest.raises(ValueError, match="rank is 0, but must be at least 1"):
        FinetuneSpec(run="any", rank=0)


def test_a_type_without_bounds_has_none():
    assert bounds_of(int) == bounds_of(Annotated[int, "of days"]) == {}
    assert demand(bounds_of(Annotated[int, Interval(ge=0)])) == "not be negative"
