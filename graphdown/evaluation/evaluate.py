"""evaluate(): every measure of the protocol for one prediction."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from graphdown.evaluation import distribution, signal
from graphdown.evaluation.align import make_pairs
from graphdown.evaluation.measures import MEASURES, Measure
from graphdown.evaluation.paired import Pair, on_all_cells
from graphdown.evaluation.quantiles import quantiles
from graphdown.evaluation.reduce import area_mean
from meshes.grids.grid import Grid


def evaluate(
    prediction: xr.Dataset,
    truth: xr.Dataset,
    reference: tuple[xr.Dataset, xr.Dataset] | None = None,
) -> xr.Dataset:
    """Score a prediction against the truth.

    Both are canonical datasets (CF names, units K and mm day-1) on the same grid; they are
    compared on the days that both hold. A value missing in either is left out of both; `used`
    and `missing` count them.

    Args:
        prediction, truth: the datasets to compare.
        reference: (prediction, truth) of a historical period; adds the signal measures.

    Returns:
        Dataset with one variable per measure (see `graphdown.evaluation.measures`) on the
        dimension "variable"; `*_map` (variable, horizontal dimensions) for measures computed
        per cell; `qq_prediction` and `qq_truth` (variable, quantile), the area mean of each cell's
        quantiles; on a 2-D grid `spectrum_prediction` and `spectrum_truth` (variable, wavelength).
        A measure that does not apply to a variable is NaN there. Without a `units` attribute a
        result is in the variable's units (coordinate `units`; spectra in their square), and
        a signal of precipitation in %.

    Raises:
        ValueError: no variable or time in common, different grids, units or calendars.
    """
    grid = _grid_of(truth)
    pairs = make_pairs(prediction, truth, grid)
    before = {} if reference is None else _reference_pairs(reference, pairs, grid)
    values: dict[str, dict[str, float]] = {}
    maps: dict[str, dict[str, np.ndarray]] = {}
    curves: dict[str, dict[str, np.ndarray]] = {}
    for name, aligned in pairs.items():
        pair = replace(aligned, grid=grid, others=pairs, historical=before.get(name))
        values[name], maps[name] = _scores(pair)
        maps[name].update(_signal_maps(pair))
        curves[name] = {**_quantile_curves(pair), **_spectra(pair)}
    units = {name: truth[name].attrs["units"] for name in pairs}
    return _dataset(values, maps, curves, grid, units)


def _grid_of(truth: xr.Dataset) -> Grid:
    return Grid.from_dataset(truth[[n for n, v in truth.data_vars.items() if "time" in v.dims]])


def _reference_pairs(
    reference: tuple[xr.Dataset, xr.Dataset], pairs: Mapping[str, Pair], grid: Grid
) -> dict[str, Pair]:
    before = make_pairs(*reference, grid)
    absent = [name for name in pairs if name not in before]
    if absent:
        raise ValueError(
            f"The historical reference lacks {absent}; the signal needs every scored variable."
        )
    return before


def _scores(pair: Pair) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the values of all measures of a variable, and the maps [N] of those that have one."""
    scores = {name: measure.function(pair) for name, measure in MEASURES.items()}
    found = {name: score for name, score in scores.items() if score is not None}
    values = {name: MEASURES[name].value(score, pair.area) for name, score in found.items()}
    maps = {name: np.asarray(score) for name, score in found.items() if np.ndim(score)}
    return values, maps


def _quantile_curves(pair: Pair) -> dict[str, np.ndarray]:
    return {
        f"qq_{side}": area_mean(quantiles(ordered, distribution.QQ_LEVELS), pair.area)
        for side, ordered in (("prediction", pair.sorted_prediction), ("truth", pair.sorted_truth))
    }


def _spectra(pair: Pair) -> dict[str, np.ndarray]:
    """Return wavelengths and spectra [K] by name; none unless the grid has two dimensions."""
    names = ("wavelength", "spectrum_prediction", "spectrum_truth")
    return {} if pair.spectra is None else dict(zip(names, pair.spectra, strict=True))


def _signal_maps(pair: Pair) -> dict[str, np.ndarray]:
    """Return the changes of prediction and truth [N] by name."""
    return {
        f"{index}_{side}": change
        for index, sides in signal.changes(pair).items()
        for side, change in zip(("prediction", "truth"), sides, strict=True)
    }


def _dataset(
    values: Mapping[str, Mapping[str, float]],
    maps: Mapping[str, Mapping[str, np.ndarray]],
    curves: Mapping[str, Mapping[str, np.ndarray]],
    grid: Grid,
    units: Mapping[str, str],
) -> xr.Dataset:
    variables = list(values)
    result = xr.Dataset(
        coords={"variable": variables, "units": ("variable", [units[v] for v in variables])}
    )
    for name in (m for m in MEASURES if any(m in values[v] for v in variables)):
        measure = MEASURES[name]
        attrs = {
            "long_name": measure.label,
            "definition": measure.definition,
            **_units_attr(measure),
        }
        column = [values[v].get(name, np.nan) for v in variables]
        result[name] = ("variable", column, attrs)
    for name in dict.fromkeys(m for v in variables for m in maps[v]):
        missing = np.full(int(grid.mask.sum()), np.nan)
        stack = np.stack([maps[v].get(name, missing) for v in variables])
        result[f"{name}_map"] = grid.dataarray(
            on_all_cells(stack, grid), dims=("variable",), attrs=_map_attrs(name)
        )
    return result.assign(_curve_arrays(curves))


def _map_attrs(name: str) -> dict[str, str]:
    if name in MEASURES:
        measure = MEASURES[name]
        return {"long_name": f"{measure.label} per cell", **_units_attr(measure)}
    index, side = name.rsplit("_", 1)
    return {"long_name": f"{index.replace('_p98', ' of P98')} of the {side} per cell"}


def _units_attr(measure: Measure) -> dict[str, str]:
    return {} if measure.fixed_units is None else {"units": measure.fixed_units}


def _curve_arrays(curves: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, xr.DataArray]:
    first = next(iter(curves.values()))
    axes = {"qq": ("quantile", distribution.QQ_LEVELS, "1")}
    if "wavelength" in first:
        axes["spectrum"] = ("wavelength", first["wavelength"], "km")
    arrays = {}
    for name in first:
        kind = name.split("_")[0]
        if kind not in axes:
            continue
        dim, points, dim_units = axes[kind]
        arrays[name] = xr.DataArray(
            np.stack([curve[name] for curve in curves.values()]),
            coords={"variable": list(curves), dim: (dim, points, {"units": dim_units})},
            dims=("variable", dim),
        )
    return arrays
