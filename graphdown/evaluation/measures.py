"""The measures of the protocol: their names, units, perfect values and definitions.

`x` is the truth, `y` the prediction, both daily; of series with several times a day, read times
for days.
"""

from dataclasses import dataclass

from graphdown.variables.catalogue import describe

VARIABLE = "of the variable"
SIGNAL = "of the variable; % for precipitation"


@dataclass(frozen=True)
class Measure:
    """One number that scores a prediction of one variable.

    Attributes:
        name: name in datasets and tables.
        label: short heading for people.
        group: group of the protocol's table.
        units: units, or VARIABLE or SIGNAL.
        perfect: value of a perfect prediction; None for a fact that does not score.
        definition: one phrase.
    """

    name: str
    label: str
    group: str
    units: str
    perfect: float | None
    definition: str

    @property
    def fixed_units(self) -> str | None:
        """Units that hold for every variable, None where they follow the variable."""
        return None if self.units in (VARIABLE, SIGNAL) else self.units

    def units_for(self, variable: str, variable_units: str) -> str:
        """Return the units for a variable with the given units."""
        if self.units == SIGNAL:
            return "%" if describe(variable).is_precipitation else variable_units
        return variable_units if self.units == VARIABLE else self.units

    def distance(self, value: float) -> float:
        """Return how far a value is from the perfect one; smaller is better."""
        return float("nan") if self.perfect is None else abs(value - self.perfect)


def _bias(name: str, label: str, group: str, of: str, units: str = VARIABLE) -> Measure:
    definition = f"area mean of |bias| per cell of {of}"
    return Measure(name, label, group, units, 0.0, definition)


def _signal(prefix: str, label: str, index: str) -> tuple[Measure, ...]:
    change = f"the change (future - historical) of {index}"
    return (
        _bias(f"{prefix}_bias", f"{label} bias", "signal", change, SIGNAL),
        Measure(
            f"{prefix}_mean_bias",
            f"{label} mean bias",
            "signal",
            SIGNAL,
            0.0,
            f"area mean of the error of {change}, with its sign",
        ),
        Measure(
            f"{prefix}_rmse",
            f"{label} RMSE",
            "signal",
            SIGNAL,
            0.0,
            f"root of the area mean of the squared error of {change}",
        ),
        Measure(
            f"{prefix}_pattern_correlation",
            f"{label} pattern correlation",
            "signal",
            "1",
            1.0,
            f"area-weighted correlation over the cells of {change} in y and x",
        ),
        Measure(
            f"{prefix}_std_ratio",
            f"{label} std ratio",
            "signal",
            "1",
            1.0,
            f"standard deviation over the cells of {change} in y over that in x",
        ),
        Measure(
            f"{prefix}_truth_mean",
            f"{label} of the truth",
            "signal",
            SIGNAL,
            None,
            f"area mean of {change} in x",
        ),
    )


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure(
            "rmse", "RMSE", "error", VARIABLE, 0.0, "area mean of sqrt(mean_t (y - x)^2) per cell"
        ),
        Measure(
            "rmse_total",
            "total RMSE",
            "error",
            VARIABLE,
            0.0,
            "sqrt of the area-weighted mean over cells and days of (y - x)^2",
        ),
        _bias("bias", "bias", "error", "the mean over time"),
        Measure(
            "mean_bias", "mean bias", "error", VARIABLE, 0.0, "area mean of y - x, with its sign"
        ),
        Measure(
            "correlation",
            "correlation",
            "error",
            "1",
            1.0,
            "area mean of the correlation in time per cell",
        ),
        Measure(
            "anomaly_correlation",
            "anomaly correlation",
            "error",
            "1",
            1.0,
            "area mean of the correlation in time per cell, each calendar month's mean removed",
        ),
        Measure(
            "variance_ratio",
            "variance ratio",
            "variance",
            "%",
            100.0,
            "area mean of 100 var(y) / var(x) in time per cell",
        ),
        _bias(
            "day_to_day_change_bias",
            "day-to-day change bias",
            "variance",
            "the mean |x_t - x_(t-1)|",
        ),
        Measure(
            "diurnal_cycle_rmse",
            "diurnal cycle RMSE",
            "variance",
            VARIABLE,
            0.0,
            "root of the mean over cells and times of day of the squared error of the mean at that "
            "time of day; of series with several times a day",
        ),
        Measure(
            "spatial_std_bias",
            "spatial std bias",
            "variance",
            VARIABLE,
            0.0,
            "time mean of the standard deviation over the cells, y minus x",
        ),
        _bias("p02_bias", "P02 bias", "distribution", "the 2nd percentile in time"),
        _bias("p98_bias", "P98 bias", "distribution", "the 98th percentile in time"),
        _bias("p99_bias", "P99 bias", "distribution", "the 99th percentile in time"),
        Measure(
            "wasserstein1",
            "W1",
            "distribution",
            VARIABLE,
            0.0,
            "area mean of the Wasserstein-1 distance of the distributions in time per cell",
        ),
        Measure(
            "perkins",
            "Perkins score",
            "distribution",
            "1",
            1.0,
            "area mean of sum_b min(p_y, p_x) over 100 equal bins per cell",
        ),
        _bias("txx_bias", "TXx bias", "temperature extremes", "the mean annual maximum"),
        _bias("tnn_bias", "TNn bias", "temperature extremes", "the mean annual minimum"),
        _bias(
            "su_bias",
            "SU bias",
            "temperature extremes",
            "the mean number of days a year above 298.15 K",
            "days year-1",
        ),
        _bias("r01_bias", "R01 bias", "precipitation", "the share of days with at least 1 mm", "%"),
        _bias(
            "dry_days_bias",
            "dry days bias",
            "precipitation",
            "the share of days with less than 0.1 mm",
            "%",
        ),
        _bias("sdii_bias", "SDII bias", "precipitation", "the mean of the days with at least 1 mm"),
        _bias("rx1day_bias", "Rx1day bias", "precipitation", "the mean annual maximum"),
        _bias(
            "cdd_bias",
            "CDD bias",
            "precipitation",
            "the mean over years of the longest run of days below 1 mm",
            "days",
        ),
        _bias(
            "cwd_bias",
            "CWD bias",
            "precipitation",
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
        ),
        Measure(
            "fss",
            "FSS",
            "structure",
            "1",
            1.0,
            "fractions skill score of days with at least 5 mm, in squares of 5 x 5 cells",
        ),
        _bias(
            "pr_correlation_bias",
            "bias of the correlation with pr",
            "multivariate",
            "the correlation in time with precipitation",
            "1",
        ),
        *_signal("signal", "signal", "the mean over time"),
        *_signal("signal_p98", "P98 signal", "the 98th percentile in time"),
        Measure("used", "values used", "count", "1", None, "values that y and x both have"),
        Measure(
            "missing",
            "values missing",
            "count",
            "1",
            None,
            "values that y or x lacks; left out of both",
        ),
    )
}


def measure(name: str) -> Measure:
    """Return the measure of that name.

    Raises:
        ValueError: there is none; the known ones are listed.
    """
    if name not in MEASURES:
        raise ValueError(f"Unknown measure {name!r}; known are {', '.join(MEASURES)}.")
    return MEASURES[name]
