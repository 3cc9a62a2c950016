"""evaluate(): every measure of the protocol for one prediction."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from graphdown.baselines.field_blocks import FieldBlock, blocks_of_cells, blocks_of_days
from graphdown.evaluation import distribution
from graphdown.evaluation.align import at_times, common_variables, paired_times
from graphdown.evaluation.measures import MEASURES, Measure
from graphdown.evaluation.paired import on_all_cells
from graphdown.evaluation.period import Period, grid_of
from graphdown.evaluation.spectrum import mean_power, wavelengths
from graphdown.evaluation.tally import Tally
from meshes.grids.grid import Grid


def evaluate(
    prediction: xr.Dataset,
    truth: xr.Dataset,
    reference: tuple[xr.Dataset, xr.Dataset] | None = None,
) -> xr.Dataset:
    """Score a prediction against the truth.

    Both are canonical datasets (CF names, units K and mm day-1) on the same grid; they are
    compared on the days that both hold. A value missing in either is left out of both; `used`
    and `missing` count them. Fields that are not in memory are read by blocks.

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
    sides = _at_common_times(prediction, truth)
    now = Period(sides[1], {"": sides[0]}, grid_of(truth))
    before = None
    if reference is not None:
        sides = _at_common_times(*reference)
        before = Period(sides[1], {"": sides[0]}, now.grid)
    return evaluate_methods(now, before)[""]


def _at_common_times(prediction: xr.Dataset, truth: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    common_variables(prediction, truth)
    left, right = paired_times(prediction, truth)
    return at_times(prediction, left), at_times(truth, right)


def evaluate_methods(
    now: Period, before: Period | None = None, maps: Collection[str] | None = None
) -> dict[str, xr.Dataset]:
    """Score several methods against the same truth, as `evaluate` does.

    Args:
        now: their predictions.
        before: those of a historical period.
        maps: names of the maps in the results, without "_map"; None for all.

    Returns:
        The result of `evaluate` by method.

    Raises:
        ValueError: as for `evaluate`.
    """
    names = {method: now.variables(method) for method in now.predictions}
    if before is not None:
        _check_reference(before, names)
    tallies = {m: {name: Tally(maps) for name in of} for m, of in names.items()}
    for block, over in _blocks(now, before, names):
        pairs = now.pairs(block, names)
        past = before.pairs(FieldBlock(rows=block.rows), names) if before else None
        for method, of_method in tallies.items():
            historical = past.of(method) if past is not None and over != ("days",) else {}
            mine = pairs.of(method)
            for name, tally in of_method.items():
                pair = replace(mine[name], others=mine, historical=historical.get(name))
                for kind in over:
                    tally.add(pair, kind)
    return {method: _result(now, of_method) for method, of_method in tallies.items()}


def _check_reference(before: Period, names: Mapping[str, Sequence[str]]) -> None:
    for method, scored in names.items():
        there = before.variables(method)
        absent = [name for name in scored if name not in there]
        if absent:
            raise ValueError(
                f"The historical reference lacks {absent}; the signal needs every scored variable."
            )


def _blocks(
    now: Period, before: Period | None, names: Mapping[str, Sequence[str]]
) -> Iterator[tuple[FieldBlock, tuple[str, ...]]]:
    """Blocks to score, each with the kinds of measures to compute of it (see `Measure.over`)."""
    fields = max(len(of) for of in names.values())
    days = now.length + (before.length if before else 0)
    cells = blocks_of_cells(now.grid, days, fields)
    if len(cells) == 1:
        yield cells[0], ("cells", "days", "whole")
        return
    yield from ((block, ("cells",)) for block in cells)
    yield from ((block, ("days",)) for block in blocks_of_days(now.grid, now.length, fields))
    if any(measure.over == "whole" for measure in MEASURES.values()):
        yield FieldBlock(), ("whole",)


def _result(period: Period, tallies: Mapping[str, Tally]) -> xr.Dataset:
    grid = period.grid
    area = grid.area[grid.mask]
    return _dataset(
        {name: tally.values(area) for name, tally in tallies.items()},
        {name: tally.maps() for name, tally in tallies.items()},
        {name: {**tally.curves(), **_spectra(tally, grid)} for name, tally in tallies.items()},
        grid,
        {name: period.truth[name].attrs["units"] for name in tallies},
    )


def _spectra(tally: Tally, grid: Grid) -> dict[str, np.ndarray]:
    """Return wavelengths and spectra [K] by name; none unless the grid has two dimensions."""
    power = tally.found("ralsd")
    if power is None:
        return {}
    predicted, true = mean_power(power.sum(axis=0))
    lengths = wavelengths(grid.shape, grid.spacing_km)
    return {"wavelength": lengths, "spectrum_prediction": predicted, "spectrum_truth": true}


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
