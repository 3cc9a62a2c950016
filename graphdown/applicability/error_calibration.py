"""The error to expect of an emulator at a distance from its training climate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from graphdown.applicability.day_measures import months_of, seasons_of
from graphdown.variables.catalogue import describe

LEAST_AMOUNT = 1e-6
SPANS = ("month", "season")
EXPECTED = "_expected_rmse"
ESTIMATES = {
    "": "Expected RMSE",
    "_low": "Lower end of the 90 % interval of the RMSE",
    "_high": "Upper end of the 90 % interval of the RMSE",
}


@dataclass(frozen=True, eq=False)
class ErrorCalibration:
    """Monotone maps from the novelty of a month or season to the errors of targets, T of them.

    Attributes:
        names: of the targets [T].
        span: "month" or "season", of which errors are expected.
        base: RMSE by season at usual novelty, for an amount of 1 [4, T]; NaN for seasons without
            errors.
        novelty: at which factors are known, ascending [B].
        power: of the mean amount that the RMSE grows with, for targets such as precipitation that
            are predictors too; 0 for others [T].
        factor: of the RMSE, never falling with novelty [B, T].
        bias: size of the bias, never falling with novelty [B, T].
        ratios: by which the RMSE lies below and above what is expected in 90 % of the spans left
            out of the fit [2, T].
        groups: names of the sources and periods that it was fitted on.
        spans: number of months or seasons that it was fitted on.
    """

    names: np.ndarray
    span: np.ndarray
    base: np.ndarray
    novelty: np.ndarray
    power: np.ndarray
    factor: np.ndarray
    bias: np.ndarray
    ratios: np.ndarray
    groups: np.ndarray
    spans: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The maps as arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "ErrorCalibration":
        """Rebuild from `arrays`; raises a `KeyError` if one is absent."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(str(name) for name in self.names)

    @property
    def schema(self) -> dict[str, Any]:
        """What the maps were fitted on, as plain values."""
        return {
            "targets": list(self.targets),
            "span": str(self.span),
            "spans": int(self.spans),
            "groups": [str(group) for group in self.groups],
            "novelty": [float(self.novelty[0]), float(self.novelty[-1])],
        }

    def rmse(self, novelty: np.ndarray, season: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """Expected RMSE and its 90 % interval [spans, T, 3].

        Args:
            novelty, season: of the spans [spans].
            amount: mean amounts of the targets [spans, T], see `amounts_of`.
        """
        factor = _interpolated(novelty, self.novelty, self.factor)
        base = np.where(np.isfinite(self.base), self.base, np.fmax.reduce(self.base, axis=0))
        expected = base[season] * factor * amount**self.power
        return np.stack([expected, expected * self.ratios[0], expected * self.ratios[1]], axis=-1)

    def bias_size(self, novelty: np.ndarray) -> np.ndarray:
        """Expected size of the bias [spans, T]."""
        return _interpolated(novelty, self.novelty, self.bias)

    def of_days(self, novelty: xr.DataArray, means: xr.DataArray) -> xr.Dataset:
        """Expected errors of the month or season of each day.

        Args:
            novelty: of the days [time].
            means: of the predictors over the region [time, predictor].

        Returns:
            For each target NAME the expected RMSE `NAME_expected_rmse` [time], the ends of its
            90 % interval with _low and _high behind it, and the size of the bias,
            `NAME_expected_bias`; `beyond_error_calibration` [time] is 1 where the novelty is
            greater than any that errors are known of, so that the error may be larger.
        """
        label = span_labels(novelty.time, str(self.span))
        spans, place = np.unique(label, return_inverse=True)
        mean = np.asarray([span_novelty(novelty.values[place == n]) for n in range(len(spans))])
        first = np.asarray([int(np.argmax(place == n)) for n in range(len(spans))])
        season = seasons_of(months_of(novelty.time))[first]
        daily = amounts_of(means, self.targets)
        amount = np.stack([daily[place == n].mean(axis=0) for n in range(len(spans))])
        rmse, bias = self.rmse(mean, season, amount)[place], self.bias_size(mean)[place]
        found: dict[str, Any] = {}
        for t, name in enumerate(self.targets):
            words = f"{{}} of {name} over the region in the {self.span} of the time"
            for e, (ending, what) in enumerate(ESTIMATES.items()):
                attrs = {"long_name": words.format(what), "units": describe(name).units}
                values = rmse[:, t, e].astype(np.float32)
                found[f"{name}{EXPECTED}{ending}"] = ("time", values, attrs)
            attrs = {"long_name": words.format("Expected size of the bias")}
            attrs["units"] = describe(name).units
            found[f"{name}_expected_bias"] = ("time", bias[:, t].astype(np.float32), attrs)
        beyond = (mean[place] > self.novelty[-1]).astype(np.float32)
        attrs = {"long_name": "Whether the novelty is beyond what was calibrated", "units": "1"}
        return xr.Dataset(
            {**found, "beyond_error_calibration": ("time", beyond, attrs)}
        ).assign_coords(time=novelty.time)

    def words(self, novelty: xr.DataArray, means: xr.DataArray) -> str:
        """Expected errors of some days as a whole; arguments as for `of_days`."""
        found = self.of_days(novelty, means)
        parts = []
        for name in self.targets:
            rmse, low, high = (
                float(np.sqrt((found[f"{name}{EXPECTED}{ending}"] ** 2).mean()))
                for ending in ESTIMATES
            )
            bias = float(found[f"{name}_expected_bias"].mean())
            units = describe(name).units
            parts.append(f"{name} {rmse:.3g} {units} ({low:.3g} to {high:.3g}), bias {bias:.2g}")
        beyond = float(found.beyond_error_calibration.mean())
        more = (
            f"; {100 * beyond:.0f} % of the times are farther than any calibrated" if beyond else ""
        )
        return f"{'; '.join(parts)} (RMSE with its 90 % interval by {self.span}){more}"


def _interpolated(novelty: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    columns = [np.interp(novelty, known, column) for column in values.T]
    return np.stack(columns, axis=-1)


def amounts_of(means: xr.DataArray, targets: Sequence[str]) -> np.ndarray:
    """Mean amounts [time, T] of those targets that are amounts and predictors too, 1 for others.

    Args:
        means: of the predictors over the region [time, predictor].
        targets: names of the T targets.
    """
    there = set(means.predictor.values)
    columns = [
        np.maximum(means.sel(predictor=name).values, LEAST_AMOUNT)
        if name in there and describe(name).is_amount
        else np.ones(means.sizes["time"])
        for name in targets
    ]
    return np.stack(columns, axis=-1)


def span_labels(time: xr.DataArray, span: str) -> np.ndarray:
    """Number of the month, or of the season and its year, that each time belongs to [time]."""
    months, years = months_of(time), np.asarray(time.dt.year.values, np.int64)
    if span == "month":
        return years * 12 + months
    return np.asarray((years * 12 + months + 1) // 3)


def span_novelty(novelty: np.ndarray) -> float:
    """Novelty of a span: the root mean square of its days'."""
    return float(np.sqrt(np.mean(np.square(novelty)))) if len(novelty) else float("nan")
