"""Explanation of an emulator's output by the fields of its source."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.cf.coordinates import cf_coordinates
from graphdown.cf.provenance import driving_attrs
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.inference import Inference
from graphdown.emulator.storage import load
from graphdown.errors import GraphdownError
from graphdown.explanation.explain_request import DAYS, POINTS
from graphdown.explanation.explained_target import ExplainedTarget, explained_target
from graphdown.explanation.gradients import DifferentiableEmulator, integrated_gradients
from graphdown.explanation.saliency_measures import SaliencySums, distance_edges, shares
from graphdown.variables.catalogue import describe
from graphdown.variables.forcings import forcings
from graphdown.variables.winds import wind_pairs
from meshes import Grid

STEPS = 32
SEASONS = ("DJF", "MAM", "JJA", "SON")
PREDICTOR, DISTANCE, POINT = "predictor", "distance", "point"
REFERENCES = "Sundararajan et al. 2017, arXiv 1703.01365; Gonzalez-Abad et al. 2023, JAMES 15"


@dataclass(frozen=True, eq=False)
class ExplainedDays:
    """Days of a source that are explained, and their mean.

    Attributes:
        fields: predictors of the days [B, Ns, V].
        mean: of the fields over all days of the season [Ns, V].
        time: of the days.
    """

    fields: np.ndarray
    mean: np.ndarray
    time: xr.DataArray


def explain(
    emulator: Emulator | str | Path,
    coarse: xr.Dataset,
    variable: str = "",
    *,
    at: tuple[float, float] | None = None,
    region: str = "",
    season: str = "",
    days: int = DAYS,
    points: int = POINTS,
    steps: int = STEPS,
    units: Mapping[str, str] | None = None,
    historical: xr.Dataset | None = None,
) -> xr.Dataset:
    """Explain which predictors, at which places of the source, an emulator's output follows.

    Interpolation, regression and optimal interpolation are explained together with the network. So
    is the mean of distributions; limits such as pr >= 0 are not.

    Args:
        emulator: the emulator, or the folder of its run.
        coarse: the predictors [time, *horizontal], as for `Emulator.downscale`.
        variable: one that it makes, the first by default.
        at: longitude and latitude in degrees of a point of the target.
        region: instead, the name of a PRUDENCE region, or "west,south,east,north" in degrees; with
            neither, all of the target is explained.
        season: "DJF", "MAM", "JJA" or "SON"; all days by default.
        days: how many of them, spread evenly.
        points: how many points of a region are explained one by one.
        steps: points of the quadrature of the integrated gradients.
        units, historical: as for `Emulator.downscale`.

    Returns:
        On the source's grid, by predictor: `saliency`, the mean share of a node in the gradients of
        the mean over the points; `sensitivity`, the mean change of it for one standard deviation
        more of the predictor at a node; `integrated_gradients` by time, which add up to `value`
        minus `reference_value`, that of the mean fields of the season, but for
        `completeness_error`. Of the points one by one, `aggregated_saliency`; `dispersion`, the
        mean distance in km of the saliency by point; `saliency_by_distance`; and, if there are
        winds among the predictors, `upwind_distance`, the mean distance upwind in km of each
        predictor's saliency.

    Raises:
        DataError: as for `Emulator.downscale`.
        GraphdownError: there is no such variable, point, region or season.
    """
    emulator = emulator if isinstance(emulator, Emulator) else load(emulator)
    target = explained_target(emulator, variable, at, region)
    if min(days, points, steps) < 1:
        raise GraphdownError("'days', 'points' and 'steps' must be at least 1.")
    inference = emulator.inference(coarse, units, historical, 0, 0)
    explained = _explained_days(inference, season, days)
    blocks = inference.blocks
    differentiable = DifferentiableEmulator(blocks.network, blocks.normaliser, blocks.graph)
    hours = emulator.time.step_hours
    made = _Explanation(differentiable, target, explained, forcings(explained.time, hours))
    sums, sample = made.of_points(inference, emulator.domain.target, points)
    fields = {**made.of_mean(steps), **_point_fields(sums, sample, emulator.domain.target)}
    return _dataset(emulator, inference, target, explained, fields, season, coarse.attrs)


@dataclass(frozen=True, eq=False)
class _Explanation:
    """What an explanation is computed from.

    Attributes:
        emulator: its derivatives on the source's grid.
        target: what is explained.
        days: of the source.
        season: forcings of the days [B, F].
    """

    emulator: DifferentiableEmulator
    target: ExplainedTarget
    days: ExplainedDays
    season: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """Standard deviations [V] of the predictors in training."""
        normaliser = self.emulator.normaliser
        return np.asarray(normaliser.std[: len(normaliser.predictors)])

    def of_mean(self, steps: int) -> dict[str, np.ndarray]:
        """Explanation of the mean over the points; maps are [(B,) Ns, V]."""
        fields, weights = self.days.fields, self.target.mean_weights
        values, gradients = self.emulator.gradients(fields, self.season, weights)
        attributions, difference = integrated_gradients(
            self.emulator, fields, self.days.mean, self.season, weights, steps
        )
        scaled = gradients * self.std
        return {
            "value": values,
            "reference_value": values - difference,
            "completeness_error": attributions.sum(axis=(1, 2)) - difference,
            "integrated_gradients": attributions,
            "saliency": shares(scaled).mean(axis=0),
            "sensitivity": scaled.mean(axis=0),
        }

    def of_points(
        self, inference: Inference, target: Grid, count: int
    ) -> tuple[SaliencySums, np.ndarray]:
        """Sums over the maps of single points and days, and the numbers of the points [n].

        The dispersions are those of the days of the first point, of the second and so on.
        """
        sample = self.target.sample(target.xyz, count)
        names = self.emulator.normaliser.predictors
        nodes, source = inference.nodes, inference.source
        pair = next(iter(wind_pairs(names)), None)
        edges = distance_edges(source, nodes, target.xyz[sample])
        sums = SaliencySums(source.xyz[nodes], edges, pair)
        for point in sample:
            weights = self.target.point_weights(np.asarray([point]))
            gradients = self.emulator.gradients(self.days.fields, self.season, weights)[1]
            for share, fields in zip(shares(gradients * self.std), self.days.fields, strict=True):
                sums.add(share, fields, target.xyz[point])
        return sums, sample


def _explained_days(inference: Inference, season: str, count: int) -> ExplainedDays:
    """Some days of a season, spread evenly, and the mean of all of them.

    Raises:
        GraphdownError: there is no such season, or no day of it.
    """
    time = inference.time.time
    chosen = np.arange(time.size)
    if season:
        if season not in SEASONS:
            raise GraphdownError(f"{season!r} is no season; choose one of {', '.join(SEASONS)}.")
        chosen = np.flatnonzero(time.dt.season == season)
    if not chosen.size:
        raise GraphdownError(f"There is no day of {season} in the input; choose another season.")
    some = chosen[np.rint(np.linspace(0, chosen.size - 1, min(count, chosen.size))).astype(int)]
    total, kept, start = np.zeros(()), [], 0
    adjustment = inference.blocks.adjustment
    with closing(inference.values()) as parts:
        for part in parts:
            values = part if adjustment is None else adjustment(part)
            days = np.arange(start, start + len(values))
            start += len(values)
            total = total + values[np.isin(days, chosen)].sum(axis=0, dtype=np.float64)
            kept.append(values[np.isin(days, some)])
    return ExplainedDays(np.concatenate(kept), total / chosen.size, time.isel(time=some))


def _point_fields(sums: SaliencySums, sample: np.ndarray, target: Grid) -> dict[str, Any]:
    """Variables of the points one by one, those on the source's nodes as [Ns, V]."""
    days = sums.count // len(sample)
    km = {"units": "km"}
    dispersion = np.reshape(sums.dispersion, (len(sample), days)).mean(axis=1)
    by_distance = np.asarray(sums.by_distance).T / sums.count
    middles = (sums.edges[:-1] + sums.edges[1:]) / 2.0
    fields: dict[str, Any] = {
        "aggregated_saliency": np.asarray(sums.shares) / sums.count,
        "dispersion": xr.Variable(
            POINT, dispersion, {"long_name": "mean distance of the saliency", **km}
        ),
        "saliency_by_distance": xr.Variable(
            (PREDICTOR, DISTANCE), by_distance, {"long_name": "share in the saliency", "units": "1"}
        ),
        DISTANCE: xr.Variable(
            DISTANCE, middles, {"long_name": "distance from the point of the target", **km}
        ),
        "point_lon": xr.Variable(
            POINT, target.lon[sample], {"standard_name": "longitude", "units": "degrees_east"}
        ),
        "point_lat": xr.Variable(
            POINT, target.lat[sample], {"standard_name": "latitude", "units": "degrees_north"}
        ),
    }
    if sums.winds is not None:
        attrs = {"long_name": "mean distance upwind of the saliency", **km}
        fields["upwind_distance"] = xr.Variable(PREDICTOR, sums.mean_upwind, attrs)
    return fields


def _dataset(
    emulator: Emulator,
    inference: Inference,
    target: ExplainedTarget,
    explained: ExplainedDays,
    fields: Mapping[str, Any],
    season: str,
    source_attrs: Mapping[Any, Any],
) -> xr.Dataset:
    """The explanation as a CF dataset."""
    source, units = inference.source, describe(target.variable).units or "1"
    labels = {
        "value": (f"{target.variable}, {target.place}", units),
        "reference_value": (f"{target.variable} of the mean fields", units),
        "completeness_error": ("sum of the attributions minus the difference", units),
        "integrated_gradients": ("attribution of the difference from the mean fields", units),
        "saliency": ("mean share in the gradients", "1"),
        "sensitivity": ("mean change for one standard deviation of the predictor", units),
        "aggregated_saliency": ("aggregated saliency map", "1"),
    }
    names = list(emulator.normaliser.predictors)
    coords: dict[Any, Any] = {PREDICTOR: names, "time": explained.time.variable}
    out = xr.Dataset(attrs=_attrs(emulator, target, season, source_attrs))
    for name, values in fields.items():
        if isinstance(values, xr.Variable):
            out[name] = values
            continue
        label, unit = labels[name]
        attrs = {"long_name": label, "units": unit}
        if values.ndim == 1:
            out[name] = ("time", values.astype(np.float32), attrs)
            continue
        dims = ("time", PREDICTOR)[-(values.ndim - 1) :]
        whole = _on_grid(values, inference.nodes, source)
        out[name] = source.dataarray(whole, name, dims, {dim: coords[dim] for dim in dims}, attrs)
    out = out.assign_coords(cf_coordinates(source).coords).assign_coords(coords)
    return out.set_coords([name for name in ("point_lon", "point_lat") if name in out])


def _on_grid(values: np.ndarray, nodes: np.ndarray, source: Grid) -> np.ndarray:
    """Maps [..., V, N] on all nodes of [..., Ns, V] on those that are read; the others have 0."""
    whole = np.zeros((*values.shape[:-2], values.shape[-1], source.size), np.float32)
    whole[..., nodes] = np.moveaxis(values, -1, -2)
    return np.where(source.mask, whole, np.float32(np.nan))


def _attrs(
    emulator: Emulator, target: ExplainedTarget, season: str, source_attrs: Mapping[Any, Any]
) -> dict[str, str]:
    return {
        "Conventions": "CF-1.10",
        "title": f"Explanation of {target.variable} of {emulator.name}",
        "explained_variable": target.variable,
        "explained_place": target.place,
        "explained_season": season or "all days",
        "references": REFERENCES,
        "checkpoint_sha256": emulator.sha256,
        **driving_attrs(source_attrs),
    }
