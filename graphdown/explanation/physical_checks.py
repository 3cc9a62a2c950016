"""Physical checks of downscaled fields: lapse rate, rain on slopes, scaling of extreme rain."""

from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.terrain import slopes
from graphdown.variables.winds import wind_pairs
from meshes import Grid, bilinear
from meshes.geometry.sphere import EARTH_RADIUS_KM, tangent_frame

SEASONS = ("DJF", "MAM", "JJA", "SON")
TEMPERATURES, RAIN = ("tas", "tasmax", "tasmin"), "pr"
LAND = 0.5
LEAST_RELIEF_M = 50.0  # standard deviation of height, below which there is no lapse rate
STEEPEST = 0.75  # quantile of the slope above which cells count
WET_MM, EXTREME = 1.0, 0.99
BIN_K, LEAST_WET = 2.0, 100


def physical_checks(
    fine: xr.Dataset, statics: xr.Dataset, coarse: xr.Dataset | None = None
) -> xr.Dataset:
    """Check whether fields behave as the atmosphere does.

    Args:
        fine: daily fields [time, *horizontal], downscaled or true, K and mm day-1.
        statics: orog (m) and, if known, sftlf on the same grid.
        coarse: the source's fields on the same days, for its winds.

    Returns:
        `lapse_rate` [season] in K km-1, the slope of the season's mean temperature over land with
        height, with a plane in longitude and latitude beside it; `slope_rain_ratio`, mean rain in
        the steepest quarter of cells when air rises along their slope, against when it sinks, by
        the first winds of the source; `extreme_rain_scaling` in % K-1, the rise of the 99th
        percentile of wet days' rain with the day's temperature, in bins of 2 K (Lenderink and van
        Meijgaard 2008, Nat. Geosci. 1, 511-514; the Clausius-Clapeyron relation has about 7).
        Those for which fields are absent are left out.
    """
    grid = Grid.from_dataset(fine)
    orog = grid.values(statics["orog"]).astype(np.float64)
    land = grid.values(statics["sftlf"]) > LAND if "sftlf" in statics else np.ones(grid.size, bool)
    name = next((name for name in TEMPERATURES if name in fine), None)
    found: dict[str, Any] = {}
    if name is not None:
        rates = _lapse_rates(fine[name], grid, orog, land & grid.mask)
        found["lapse_rate"] = ("season", rates, {"units": "K km-1"})
    if RAIN in fine and coarse is not None and wind_pairs(list(map(str, coarse.data_vars))):
        ratio = _slope_rain_ratio(grid.values(fine[RAIN]), grid, orog, coarse)
        found["slope_rain_ratio"] = ((), ratio, {"units": "1"})
    if name is not None and RAIN in fine:
        scaling = _extreme_rain_scaling(grid.values(fine[name]), grid.values(fine[RAIN]))
        found["extreme_rain_scaling"] = ((), scaling, {"units": "% K-1"})
    return xr.Dataset(found, {"season": list(SEASONS)})


def checks_table(emulated: xr.Dataset, true: xr.Dataset) -> str:
    """Text with the checks of an emulator's fields beside those of the truth."""
    rows = [("check", "emulator", "truth")]
    for name, values in emulated.data_vars.items():
        seasons = [str(s) for s in emulated["season"].values] if values.ndim else [""]
        pairs = zip(seasons, np.ravel(values), np.ravel(true[name]), strict=True)
        units = values.attrs["units"]
        rows += [
            (f"{name} {s} [{units}]".replace("  ", " "), f"{a:.2f}", f"{b:.2f}")
            for s, a, b in pairs
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)


def _lapse_rates(
    field: xr.DataArray, grid: Grid, orog: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """Slopes [season] in K per km of mean temperatures with height."""
    centre = grid.xyz[cells].mean(axis=0)
    plane = grid.xyz @ tangent_frame(centre / np.linalg.norm(centre))[:2].T
    rates = np.full(len(SEASONS), np.nan)
    for index, season in enumerate(SEASONS):
        days = np.flatnonzero(field["time"].dt.season == season)
        if not days.size:
            continue
        mean = grid.values(field.isel(time=days).mean("time"))
        there = cells & np.isfinite(mean)
        if there.sum() < 4 or orog[there].std() < LEAST_RELIEF_M:
            continue
        table = np.column_stack(
            [orog[there] / 1e3, plane[there] * EARTH_RADIUS_KM / 1e3, np.ones(there.sum())]
        )
        rates[index] = np.linalg.lstsq(table, mean[there].astype(float), rcond=None)[0][0]
    return rates


def _slope_rain_ratio(rain: np.ndarray, grid: Grid, orog: np.ndarray, coarse: xr.Dataset) -> float:
    """Rain where air rises along steep slopes against that where it sinks."""
    gradient = slopes(grid, grid, orog)
    size = np.hypot(*gradient)
    steep = np.flatnonzero(
        (size >= np.quantile(size[grid.mask], STEEPEST)) & grid.mask & (size > 0)
    )
    names = list(map(str, coarse.data_vars))
    winds = [coarse[names[place]] for place in wind_pairs(names)[0]]
    source = Grid.from_dataset(winds[0].to_dataset(name="wind"))
    carry = bilinear(source, grid)
    u, v = (carry.apply(source.values(wind).astype(float))[:, steep] for wind in winds)
    rise = u * gradient[0, steep] + v * gradient[1, steep]
    up, down = (rain[:, steep][np.sign(rise) == sign] for sign in (1, -1))
    if not up.size or not down.size or not np.nanmean(down) > 0:
        return float("nan")
    return float(np.nanmean(up) / np.nanmean(down))


def _extreme_rain_scaling(temperature: np.ndarray, rain: np.ndarray) -> float:
    """Rise in % per K of the 99th percentile of wet days' rain with temperature."""
    wet = rain >= WET_MM
    kelvin, amount = temperature[wet], rain[wet]
    if not amount.size:
        return float("nan")
    bins = np.floor(kelvin / BIN_K).astype(int)
    kept = [b for b in np.unique(bins) if (bins == b).sum() >= LEAST_WET]
    if len(kept) < 3:
        return float("nan")
    middle = np.asarray([(b + 0.5) * BIN_K for b in kept])
    extreme = np.log([np.quantile(amount[bins == b], EXTREME) for b in kept])
    return float(100.0 * np.expm1(np.polyfit(middle, extreme, 1)[0]))
