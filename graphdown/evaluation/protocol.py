"""The measures of the protocol, in the order of its tables.

`x` is the truth, `y` the prediction, both daily; of series with several times a day, read times
for days.
"""

from functools import partial

import numpy as np

from graphdown.evaluation import (
    distribution,
    diurnal,
    error,
    multivariate,
    precipitation,
    signal,
    temperature,
    variance,
)
from graphdown.evaluation.fractions import daily_squares, skill_score
from graphdown.evaluation.measures import MEASURES, SIGNAL, VARIABLE, Measure, MeasureFunction
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean
from graphdown.evaluation.spectrum import mean_power, ralsd


def _bias(
    name: str,
    label: str,
    group: str,
    of: str,
    function: MeasureFunction,
    units: str = VARIABLE,
) -> Measure:
    definition = f"area mean of |bias| per cell of {of}"
    return Measure(name, label, group, units, 0.0, definition, function, True, "cells")


def _percentile(name: str, label: str, of: str, level: float) -> Measure:
    return _bias(name, label, "distribution", of, partial(distribution.quantile_bias, level=level))


def _precipitation(name: str, label: str, of: str, units: str = VARIABLE) -> Measure:
    function = partial(precipitation.index_bias, name=name)
    return _bias(f"{name}_bias", label, "precipitation", of, function, units)


def _temperature(
    name: str, label: str, of: str, index: temperature.Index, units: str = VARIABLE
) -> Measure:
    function = partial(temperature.index_bias, index=index)
    return _bias(name, label, "temperature extremes", of, function, units)


def _signal(prefix: str, label: str, index: str) -> tuple[Measure, ...]:
    change = f"the change (future - historical) of {index}"
    parts: tuple[tuple[str, str, str, float | None, str], ...] = (
        ("bias", "bias", SIGNAL, 0.0, f"area mean of |bias| per cell of {change}"),
        (
            "mean_bias",
            "mean bias",
            SIGNAL,
            0.0,
            f"area mean of the error of {change}, with its sign",
        ),
        (
            "rmse",
            "RMSE",
            SIGNAL,
            0.0,
            f"root of the area mean of the squared error of {change}",
        ),
        (
            "pattern_correlation",
            "pattern correlation",
            "1",
            1.0,
            f"area-weighted correlation over the cells of {change} in y and x",
        ),
        (
            "std_ratio",
            "std ratio",
            "1",
            1.0,
            f"standard deviation over the cells of {change} in y over that in x",
        ),
        ("truth_mean", "of the truth", SIGNAL, None, f"area mean of {change} in x"),
    )
    return tuple(
        Measure(
            f"{prefix}_{name}",
            f"{label} {suffix}",
            "signal",
            units,
            perfect,
            definition,
            signal.CHANGES[prefix],
            over="cells",
            total=partial(signal.score, name=name),
        )
        for name, suffix, units, perfect, definition in parts
    )


def _ralsd(power: np.ndarray, area: np.ndarray) -> float:
    predicted, true = mean_power(power.sum(axis=0))
    return ralsd(predicted, true)


def _daily_squares(pair: Pair) -> np.ndarray | None:
    fields = pair.fields if pair.is_precipitation else None
    return None if fields is None else daily_squares(*fields)


def _fss(squares: np.ndarray, area: np.ndarray) -> float:
    return skill_score(squares)


def _area_mean(values: np.ndarray, area: np.ndarray) -> float:
    return float(area_mean(values, area))


def _sum(values: np.ndarray, area: np.ndarray) -> float:
    return float(values.sum())


PROTOCOL = (
    Measure(
        "rmse",
        "RMSE",
        "error",
        VARIABLE,
        0.0,
        "area mean of sqrt(mean_t (y - x)^2) per cell",
        error.rmse,
        over="cells",
    ),
    Measure(
        "rmse_total",
        "total RMSE",
        "error",
        VARIABLE,
        0.0,
        "sqrt of the area-weighted mean over cells and days of (y - x)^2",
        error.mean_squares,
        over="cells",
        total=error.total_of_squares,
    ),
    _bias("bias", "bias", "error", "the mean over time", error.bias),
    Measure(
        "mean_bias",
        "mean bias",
        "error",
        VARIABLE,
        0.0,
        "area mean of y - x, with its sign",
        error.bias,
        over="cells",
        total=_area_mean,
    ),
    Measure(
        "correlation",
        "correlation",
        "error",
        "1",
        1.0,
        "area mean of the correlation in time per cell",
        error.correlation,
        over="cells",
    ),
    Measure(
        "anomaly_correlation",
        "anomaly correlation",
        "error",
        "1",
        1.0,
        "area mean of the correlation in time per cell, each calendar month's mean removed",
        error.anomaly_correlation,
        over="cells",
    ),
    Measure(
        "variance_ratio",
        "variance ratio",
        "variance",
        "%",
        100.0,
        "area mean of 100 var(y) / var(x) in time per cell",
        variance.variance_ratio,
        over="cells",
    ),
    _bias(
        "day_to_day_change_bias",
        "day-to-day change bias",
        "variance",
        "the mean |x_t - x_(t-1)|",
        variance.day_to_day_change_bias,
    ),
    Measure(
        "diurnal_cycle_rmse",
        "diurnal cycle RMSE",
        "variance",
        VARIABLE,
        0.0,
        "root of the mean over cells and times of day of the squared error of the mean at that "
        "time of day; of series with several times a day",
        diurnal.cycle_squares,
        over="cells",
        total=diurnal.cycle_rmse,
    ),
    Measure(
        "spatial_std_bias",
        "spatial std bias",
        "variance",
        VARIABLE,
        0.0,
        "time mean of the standard deviation over the cells, y minus x",
        variance.daily_stds,
        over="days",
        total=variance.spatial_std_bias,
    ),
    _percentile("p02_bias", "P02 bias", "the 2nd percentile in time", 0.02),
    _percentile("p98_bias", "P98 bias", "the 98th percentile in time", 0.98),
    _percentile("p99_bias", "P99 bias", "the 99th percentile in time", 0.99),
    Measure(
        "wasserstein1",
        "W1",
        "distribution",
        VARIABLE,
        0.0,
        "area mean of the Wasserstein-1 distance of the distributions in time per cell",
        distribution.wasserstein1,
        over="cells",
    ),
    Measure(
        "perkins",
        "Perkins score",
        "distribution",
        "1",
        1.0,
        "area mean of sum_b min(p_y, p_x) over 100 equal bins per cell",
        distribution.perkins,
        over="cells",
    ),
    _temperature("txx_bias", "TXx bias", "the mean annual maximum", temperature.annual_maximum),
    _temperature("tnn_bias", "TNn bias", "the mean annual minimum", temperature.annual_minimum),
    _temperature(
        "su_bias",
        "SU bias",
        "the mean number of days a year above 298.15 K",
        temperature.days_above,
        "days year-1",
    ),
    _precipitation("r01", "R01 bias", "the share of days with at least 1 mm", "%"),
    _precipitation("dry_days", "dry days bias", "the share of days with less than 0.1 mm", "%"),
    _precipitation("sdii", "SDII bias", "the mean of the days with at least 1 mm"),
    _precipitation("rx1day", "Rx1day bias", "the mean annual maximum"),
    _precipitation(
        "cdd",
        "CDD bias",
        "the mean over years of the longest run of days below 1 mm",
        "days",
    ),
    _precipitation(
        "cwd",
        "CWD bias",
        "the mean over years of the longest run of days of at least 1 mm",
        "days",
    ),
    Measure(
        "ralsd",
        "RALSD",
        "structure",
        "dB",
        0.0,
        "sqrt(mean_k (10 log10(P_y / P_x))^2) of the radially averaged power spectra, "
        "with the root",
        lambda pair: pair.total_power,
        over="days",
        total=_ralsd,
    ),
    Measure(
        "fss",
        "FSS",
        "structure",
        "1",
        1.0,
        "fractions skill score of days with at least 5 mm, in squares of 5 x 5 cells",
        _daily_squares,
        over="days",
        total=_fss,
    ),
    _bias(
        "pr_correlation_bias",
        "bias of the correlation with pr",
        "multivariate",
        "the correlation in time with precipitation",
        multivariate.correlation_bias,
        "1",
    ),
    *_signal("signal", "signal", "the mean over time"),
    *_signal("signal_p98", "P98 signal", "the 98th percentile in time"),
    Measure(
        "used",
        "values used",
        "count",
        "1",
        None,
        "values that x and all methods have",
        lambda pair: pair.used,
        over="cells",
        total=_sum,
    ),
    Measure(
        "missing",
        "values missing",
        "count",
        "1",
        None,
        "values that x or any method lacks; left out of all",
        lambda pair: pair.missing,
        over="cells",
        total=_sum,
    ),
    Measure(
        "lacking",
        "values lacking",
        "count",
        "1",
        None,
        "values of x that y lacks",
        lambda pair: pair.lacking,
        over="cells",
        total=_sum,
    ),
)

for _measure in PROTOCOL:
    MEASURES.add(_measure.name, _measure)
