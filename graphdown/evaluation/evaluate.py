"""evaluate(): every measure of the protocol for one prediction."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

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
from graphdown.evaluation.align import make_pairs
from graphdown.evaluation.fractions import fractions_skill_score
from graphdown.evaluation.measures import MEASURES, Measure, measure
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.quantiles import quantiles
from graphdown.evaluation.reduce import area_mean
from graphdown.evaluation.spectrum import power_spectrum, ralsd
from meshes.grids.grid import Grid

MAP_GROUPS = (error, variance, distribution, temperature, precipitation)


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
        dimension "variable"; `*_map` (variable, horizontal dimensions) for what is computed per
        cell; `qq_prediction` and `qq_truth` (variable, quantile), the area mean of each cell's
        quantiles; on a 2-D grid `spectrum_prediction` and `spectrum_truth` (variable, wavelength).
        A measure that does not apply to a variable is NaN there. Without a `units` attribute a
        result is in the variable's own units (coordinate `units`; spectra in their square), and
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
    for name, pair in pairs.items():
        maps[name] = {k: v for group in MAP_GROUPS for k, v in group.maps(pair).items()}
        maps[name].update(multivariate.maps(pair, pairs))
        values[name] = _reduced(maps[name], pair)
        curves[name] = _quantile_curves(pair)
        if len(grid.shape) == 2:
            spectra = _spectra(pair, grid)
            curves[name].update(spectra)
            values[name]["ralsd"] = ralsd(spectra["spectrum_prediction"], spectra["spectrum_truth"])
            if pair.is_precipitation:
                values[name]["fss"] = fractions_skill_score(*_fields(pair, grid))
        if name in before:
            signal_values, signal_maps = _signal(pair, before[name])
            values[name].update(signal_values)
            maps[name].update(signal_maps)
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


def _reduced(maps: Mapping[str, np.ndarray], pair: Pair) -> dict[str, float]:
    values = {
        name: float(area_mean(np.abs(m) if name.endswith("bias") else m, pair.area))
        for name, m in maps.items()
    }
    y, x, area = pair.prediction, pair.truth, pair.area
    return {
        **values,
        **diurnal.scores(pair),
        "mean_bias": float(area_mean(maps["bias"], area)),
        "rmse_total": error.rmse_total(y, x, area),
        "spatial_std_bias": variance.spatial_std(y, area) - variance.spatial_std(x, area),
        "used": float(pair.used),
        "missing": float(pair.missing),
    }


def _quantile_curves(pair: Pair) -> dict[str, np.ndarray]:
    return {
        f"qq_{side}": area_mean(quantiles(ordered, distribution.QQ_LEVELS), pair.area)
        for side, ordered in (("prediction", pair.sorted_prediction), ("truth", pair.sorted_truth))
    }


def _spectra(pair: Pair, grid: Grid) -> dict[str, np.ndarray]:
    result = {}
    for side, fields in zip(("prediction", "truth"), _fields(pair, grid), strict=True):
        result["wavelength"], result[f"spectrum_{side}"] = power_spectrum(fields, grid.spacing_km)
    return result


def _fields(pair: Pair, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return prediction and truth on the whole 2-D grid [T, ny, nx]."""
    y, x = (_on_all_cells(v, grid) for v in (pair.prediction, pair.truth))
    return y.reshape(len(y), *grid.shape), x.reshape(len(x), *grid.shape)


def _signal(pair: Pair, before: Pair) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    values, maps = {}, {}
    for index, (predicted, true) in signal.changes(pair, before).items():
        scores = signal.scores(predicted, true, pair.area)
        values.update({f"{index}_{name}": value for name, value in scores.items()})
        maps.update({f"{index}_prediction": predicted, f"{index}_truth": true})
    return values, maps


def _on_all_cells(values: np.ndarray, grid: Grid) -> np.ndarray:
    if grid.mask.all():
        return values
    filled = np.full((*values.shape[:-1], grid.size), np.nan)
    filled[..., grid.mask] = values
    return filled


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
        own = measure(name)
        attrs = {"long_name": own.label, "definition": own.definition, **_units_attr(own)}
        column = [values[v].get(name, np.nan) for v in variables]
        result[name] = ("variable", column, attrs)
    for name in dict.fromkeys(m for v in variables for m in maps[v]):
        missing = np.full(int(grid.mask.sum()), np.nan)
        stack = np.stack([maps[v].get(name, missing) for v in variables])
        result[f"{name}_map"] = grid.dataarray(
            _on_all_cells(stack, grid), dims=("variable",), attrs=_map_attrs(name)
        )
    return result.assign(_curve_arrays(curves))


def _map_attrs(name: str) -> dict[str, str]:
    if name in MEASURES:
        own = MEASURES[name]
        return {"long_name": f"{own.label} per cell", **_units_attr(own)}
    index, side = name.rsplit("_", 1)
    return {"long_name": f"{index.replace('_p98', ' of P98')} of the {side} per cell"}


def _units_attr(own: Measure) -> dict[str, str]:
    return {} if own.fixed_units is None else {"units": own.fixed_units}


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
            np.stack([own[name] for own in curves.values()]),
            coords={"variable": list(curves), dim: (dim, points, {"units": dim_units})},
            dims=("variable", dim),
        )
    return arrays
