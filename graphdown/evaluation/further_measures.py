"""Measures of persistence and of joint extremes, in the order of their tables."""

from functools import partial

from graphdown.evaluation.joint_exceedance import joint_exceedance_bias
from graphdown.evaluation.measures import MEASURES, VARIABLE, Measure, MeasureFunction
from graphdown.evaluation.persistence import (
    interannual_std_bias,
    lag1_autocorrelation_bias,
    season_spell_bias,
)

SPELL = "the mean over seasons (DJF, MAM, JJA, SON of each year) of the longest run of days"


def _bias(
    name: str, label: str, units: str, of: str, function: MeasureFunction, group: str
) -> Measure:
    """Error of an index, whose value at a cell depends on that cell alone."""
    definition = f"area mean of |bias| per cell of {of}"
    return Measure(
        name, label, group, units, 0.0, definition, function, absolute=True, over="cells"
    )


FURTHER = (
    _bias(
        "lag1_autocorrelation_bias",
        "lag-1 autocorrelation bias",
        "1",
        "the correlation in time with the day before, each calendar month's mean removed",
        lag1_autocorrelation_bias,
        "persistence",
    ),
    _bias(
        "interannual_std_bias",
        "interannual std bias",
        VARIABLE,
        "the standard deviation of the means of years, of three years or more",
        interannual_std_bias,
        "persistence",
    ),
    _bias(
        "season_dry_spell_bias",
        "longest dry spell bias",
        "days",
        f"{SPELL} below 1 mm",
        partial(season_spell_bias, wet=False),
        "persistence",
    ),
    _bias(
        "season_wet_spell_bias",
        "longest wet spell bias",
        "days",
        f"{SPELL} of at least 1 mm",
        partial(season_spell_bias, wet=True),
        "persistence",
    ),
    _bias(
        "joint_exceedance_bias",
        "joint exceedance bias",
        "%",
        "the share of days on which it and precipitation both exceed their 90th percentiles",
        joint_exceedance_bias,
        "multivariate",
    ),
)

for _measure in FURTHER:
    MEASURES.add(_measure.name, _measure)
