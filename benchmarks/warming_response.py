"""Measure how an emulator of temperature answers a warmer input that nothing else tells it of.

Example: python benchmarks/warming_response.py configs/iberia_observed.yaml

The experiments are trained, or resumed or reused where they were before. The predictors of a test
period are made 2 and 4 K warmer at all levels alike, once with their
humidity as it is and once at constant relative humidity; the emulator's mean warming is set beside
that of its input, over land and sea, with the cells that warm least and most. Training must have
taught it to pass a warming on (`training.warming_offset`). The table is written to
benchmarks/results/warming_response.md, the figures to warming_response.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

import graphdown
from graphdown.data import load_data
from graphdown.emulator.emulator import Emulator
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of

WARMINGS = (2.0, 4.0)
SPECIFIC_HUMIDITY = "hus"  # and the pressure in hPa, as in hus850
LAND = 0.5  # fraction of a cell


def main() -> None:
    options = parse(benchmark_parser(__doc__, "experiments", overrides=()))
    rows = [row for file in options.experiments for row in responses(file, options.overrides)]
    write(options, rows)


def responses(file: Path, overrides: Sequence[str]) -> list[dict]:
    """Responses of an experiment's emulator to each warming of each of its sources."""
    experiment = graphdown.load_experiment(file, overrides)
    data = load_data(experiment)
    emulator = graphdown.train(experiment, data)
    rows = []
    for source in data.sources:
        coarse = data.pair(experiment, source, "test")[0]
        before = emulator.downscale(coarse)
        for kelvin in WARMINGS:
            for moister in (False, True):
                after = emulator.downscale(warmed(coarse, kelvin, moister))
                for name in temperatures(emulator):
                    change = (after[name] - before[name]).mean("time")
                    rows += of_surfaces(emulator, change, (file.stem, source, kelvin, moister))
    return rows


def temperatures(emulator: Emulator) -> list[str]:
    return [name for name in emulator.targets if describe(name).is_temperature]


def warmed(coarse: xr.Dataset, kelvin: float, moister: bool) -> xr.Dataset:
    """Predictors with warmer air and, if asked, the humidity that keeps it as near saturation.

    Saturation is that at the temperature of the level or, if it is no predictor, near the surface.
    """
    fields = {}
    for name, field in coarse.data_vars.items():
        variable = variable_of(str(name))
        level = variable.removeprefix(SPECIFIC_HUMIDITY)
        if describe(variable).is_temperature:
            fields[name] = field + kelvin
        elif moister and variable.startswith(SPECIFIC_HUMIDITY):
            air = coarse.get(str(name).replace(variable, f"ta{level}"), coarse["tas"])
            fields[name] = field * saturation(air + kelvin) / saturation(air)
        else:
            fields[name] = field
        fields[name].attrs = field.attrs
    return coarse.assign(fields)


def saturation(kelvin: xr.DataArray) -> xr.DataArray:
    """Pressure of water vapour at saturation in Pa (Bolton 1980, Mon. Wea. Rev. 108, eq. 10)."""
    celsius = kelvin - 273.15
    return 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))


def of_surfaces(emulator: Emulator, change: xr.DataArray, case: tuple) -> list[dict]:
    """Mean, least and greatest warming over land and sea."""
    grid, statics = emulator.domain.target, emulator.domain.statics
    values, area = grid.values(change), grid.area
    known = np.isfinite(values)
    land = grid.values(statics["sftlf"]) if "sftlf" in statics else np.full(grid.size, np.nan)
    surfaces = {"land": land >= LAND, "sea": land < LAND}
    if "sftlf" not in statics:
        surfaces = {"all": np.ones(grid.size, bool)}
    rows = []
    for surface, there in surfaces.items():
        cells = there & known
        if cells.any():
            name, source, kelvin, moister = case
            mean = np.average(values[cells], weights=area[cells])
            rows.append(
                {
                    "experiment": name,
                    "source": source,
                    "warming": kelvin,
                    "relative humidity": "constant" if moister else "falls",
                    "surface": surface,
                    "cells": int(cells.sum()),
                    "mean": float(mean / kelvin),
                    "least": float(values[cells].min() / kelvin),
                    "greatest": float(values[cells].max() / kelvin),
                }
            )
    return rows


def write(options: argparse.Namespace, rows: list[dict]) -> None:
    """Write the table and the figures."""
    head = ("experiment", "source", "warming [K]", "relative humidity", "surface", "cells")
    head = (*head, "mean, of the input's", "least", "greatest")
    table = [
        [f"{v:.3f}" if isinstance(v, float) and k != "warming" else str(v) for k, v in row.items()]
        for row in rows
    ]
    lines = [*page_head("The response to a warmer input", options), *markdown_table(head, table)]
    write_results(options, "warming_response", lines, {"responses": rows})


if __name__ == "__main__":
    main()
