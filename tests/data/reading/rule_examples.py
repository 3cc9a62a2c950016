"""An example of every repair, notice and refusal: an input, and the sentence printed for it.

The page "What graphdown checks" shows them. After a rule or a sentence has changed,

    python -m tests.data.reading.rule_examples

writes docs/checks.yaml again, from which the page is made.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from graphdown.errors import DataError

from .. import test_load as loading
from ..files import make
from ..test_target_part import cut_experiment
from . import test_malformed as malformed
from .rule_inputs import (
    Lines,
    a_day_absent,
    around_the_target,
    array_given,
    below_ground,
    beside_hybrid_levels,
    bounded,
    built_by,
    checked,
    copied,
    dated,
    falling,
    few_rising,
    forecasts,
    grib_of_two_ranges,
    grib_without_cfgrib,
    loaded,
    missing_value,
    overlapping_cells,
    paired,
    running,
    saved,
    settings_of,
    six_hours_wanted,
    sub_steps,
    two_orders,
    unreadable_by_permission,
    wind,
)

STORED = Path(__file__).parents[3] / "docs" / "checks.yaml"
HEAD = "# Made by `python -m tests.data.reading.rule_examples`; shown by docs/hooks/checks.py\n"
FROM_FILES = {
    "target": {"files": ["rcm.nc"]},
    "sources": [{"name": "a", "files": ["gcm.nc"]}],
}
SHARED = {
    "train": ["1981", "1982"],
    "validation": ["1984", "1984"],
    "test": ["1982-07", "1983-06"],
}


@dataclass(frozen=True)
class Example:
    """An input that ends in a rule.

    Attributes:
        input: in words.
        lines: makes the input in a folder, reads it and returns what is printed.
    """

    input: str
    lines: Callable[[Path], Lines]


REPAIR = {
    "accumulation-differenced": (
        "Hourly rain in mm that runs up from the first hour on, without time bounds.",
        lambda folder: saved(running(), folder, "pr"),
    ),
    "amount-divided": (
        "Rain of each day in mm, whose standard name is that of an amount, without time bounds.",
        built_by(malformed.rain_in_mm_by_standard_name),
    ),
    "amount-of-unknown-time": (
        "Hourly rain in mm that runs up; the first four hours are absent.",
        lambda folder: saved(running().isel(time=slice(4, None)), folder, "pr"),
    ),
    "below-ground-filled": (
        "A source whose temperature at 850 hPa is missing at one point, on a mountain.",
        lambda folder: paired(below_ground(), folder, "tas", "ta850"),
    ),
    "calendar-name": (
        "Times in the calendar '360'.",
        lambda folder: saved(dated("days since 2000-01-01", calendar="360"), folder, "tas"),
    ),
    "daily": (
        "Six-hourly temperature from 00 UTC to 12 UTC of the eleventh day, with 'daily: mean'.",
        built_by(malformed.hours_to_days),
    ),
    "duplicate-dropped": (
        "A file that holds two of its ten days once more, with the same values.",
        built_by(malformed.a_day_twice_alike),
    ),
    "empty-days-dropped": (
        "A source whose pressure is missing everywhere on one day.",
        lambda folder: paired(a_day_absent(), folder, "tas", "psl"),
    ),
    "extra-dimension-dropped": (
        "Temperature with dimensions for height and member, one entry each.",
        built_by(malformed.length_one_dimensions),
    ),
    "fill-code": (
        "Temperature in K that is -999 in one column, which no attribute declares.",
        built_by(malformed.missing_code(-999.0)),
    ),
    "forecast-shortest-lead": (
        "GRIB with two forecasts, a day apart, each for 0, 12 and 24 hours ahead.",
        forecasts,
    ),
    "geopotential": (
        "A geopotential in m2 s-2, where the height zg500 is needed.",
        built_by(malformed.geopotential),
    ),
    "grid-reordered": (
        "Two files of one grid, the second with its rows from north to south.",
        built_by(two_orders),
    ),
    "hidden-cells": (
        "A curvilinear grid with latitude and longitude 1e20 at one cell.",
        built_by(malformed.latitude_with(1e20)),
    ),
    "infinite": ("Temperature that is infinite in one column.", built_by(malformed.infinite)),
    "instant-left-out": (
        "Daily output of CESM, whose first record has time bounds from 0 to 0.",
        lambda folder: copied("cesm_h1.nc", folder, "tas"),
    ),
    "integers": ("Pressure as whole Pa.", built_by(malformed.integers)),
    "level-units-assumed": (
        "Pressure levels 1000, 850 and 500 without units.",
        built_by(malformed.levels_without_units),
    ),
    "negative-clipped": (
        "Precipitation of -1e-9 kg m-2 s-1 in one column.",
        built_by(malformed.tiny_negative_rain),
    ),
    "outside-masked": (
        "A source that ends within the target, with 'data.target.outside: mask'.",
        lambda folder: loaded(cut_experiment(folder, {}, outside="mask")),
    ),
    "overlap-dropped": (
        "Two files that share two days, with the same values.",
        built_by(malformed.overlap_alike),
    ),
    "overlapping-totals": (
        "Rain of the last three hours, at every hour.",
        lambda folder: copied("rolling3h.nc", folder, "pr"),
    ),
    "periods-differ": (
        "Ten days of temperature, and thirty of precipitation around them.",
        built_by(malformed.other_periods),
    ),
    "regridded": (
        "Pressure on points half a degree away from those of temperature.",
        built_by(malformed.other_grids),
    ),
    "steps-incomplete": (
        "A six-hourly target from 06 UTC on, in an experiment whose steps are days.",
        sub_steps,
    ),
    "stamp-aligned": (
        "Daily temperature at 00 UTC, daily precipitation at 12 UTC.",
        built_by(malformed.other_hours),
    ),
    "stamp-to-middle": (
        "Daily means whose time stamps are at the end of their time bounds.",
        built_by(malformed.stamps_at_the_end),
    ),
    "time-from-yyyymmdd": (
        "Times such as 20000101, without units.",
        built_by(malformed.yyyymmdd),
    ),
    "time-units-spelling": (
        "Times in 'Days Since 2000-01-01'.",
        lambda folder: saved(dated("Days Since 2000-01-01"), folder, "tas"),
    ),
    "time-sorted": ("Ten days, the last one first.", built_by(malformed.decreasing_time)),
    "wind-turned": (
        "Both wind components along the axes of a rotated grid.",
        lambda folder: saved(wind("uas", "vas"), folder, "uas", "vas"),
    ),
}
NOTICE = {
    "baselines-left-out": (
        "An experiment with the targets tas and pr and the predictors tas and ua850.",
        lambda folder: settings_of(predictors=["tas", "ua850"]),
    ),
    "bounds-outside": (
        "Time bounds that are forty days later than the times.",
        lambda folder: saved(bounded(np.arange(10) + 40.0, np.arange(10) + 41.0), folder, "tas"),
    ),
    "cells-overlap": (
        "Cells that are two degrees apart, with bounds four degrees wide.",
        lambda folder: checked(overlapping_cells(), folder),
    ),
    "chunks-absent": (
        "A zarr store that lacks one of two chunks; its fill value is NaN.",
        built_by(malformed.zarr_chunk_of_missing_values),
    ),
    "gap": ("Ten days without the fifth to the seventh.", built_by(malformed.a_gap)),
    "levels-left-out": (
        "Temperature near the surface, and on hybrid levels.",
        lambda folder: checked(beside_hybrid_levels(), folder),
    ),
    "leap-days-absent": (
        "Days around 29 February 2000, without it, in the standard calendar.",
        built_by(malformed.leap_day_absent),
    ),
    "steps-differ": (
        "A file that holds daily temperature and six-hourly precipitation.",
        lambda folder: copied("twotime.nc", folder),
    ),
    "margin": (
        "A source that reaches some degrees beyond the target, less than 400 km.",
        lambda folder: paired(around_the_target(), folder),
    ),
    "units-doubtful": (
        "Forty days of precipitation that is nowhere more than 0.1 mm a day.",
        built_by(malformed.rain_a_hundred_times_too_small),
    ),
    "unknown-variable": (
        "A file whose only variable is 'chlorophyll'.",
        lambda folder: checked(make().rename(tas="chlorophyll"), folder),
    ),
    "periods-overlap": (
        "An experiment that trains on 1981 and 1982 and tests from July 1982 on.",
        lambda folder: settings_of(periods=SHARED),
    ),
    "no-warming": (
        "Temperature learned with the default of 'training.warming_offset'.",
        lambda folder: settings_of(data=FROM_FILES),
    ),
    "unpaired": (
        "A source that lacks one of the target's days.",
        lambda folder: paired(loading.wide().drop_isel(time=[3]), folder),
    ),
}
REFUSAL = {
    "all-missing": (
        "Temperature that is missing everywhere.",
        built_by(malformed.nothing_but_missing),
    ),
    "amount": (
        "Rain of each day in m, without time bounds or a cell method.",
        built_by(malformed.rain_in_metres),
    ),
    "amount-unclear": (
        "Four hourly sums of rain in mm that never fall, without time bounds.",
        few_rising,
    ),
    "calendars-differ": (
        "Two files of temperature, the first with the standard calendar, the second with noleap.",
        built_by(malformed.mixed_calendars),
    ),
    "cell-methods": (
        "A variable 'tas' with the cell methods 'time: maximum'.",
        built_by(malformed.tas_that_is_a_maximum),
    ),
    "chunk-missing": (
        "A zarr store of pressure as integers that lacks one of two chunks.",
        built_by(malformed.zarr_chunk_lost),
    ),
    "coordinates-swapped": (
        "A latitude from 100 to 114 degrees and a longitude from 36 to 44.",
        built_by(malformed.swapped_coordinates),
    ),
    "days-incomplete": (
        "Three values of one day, every six hours, with 'daily: mean'.",
        lambda folder: saved(make(days=3, freq="6h"), folder, "tas", daily="mean"),
    ),
    "duplicate-differs": (
        "A file that holds one day twice, with different values.",
        built_by(malformed.a_day_twice_unlike),
    ),
    "empty": ("A file with a title and nothing else.", built_by(malformed.no_variables)),
    "extra-dimension": ("Temperature of three members.", built_by(malformed.three_members)),
    "grib-engine": ("A GRIB file, where cfgrib is not installed.", grib_without_cfgrib),
    "grid-unknown": (
        "Temperature with dimensions 'lat' and 'lon', but without their values.",
        built_by(malformed.no_coordinates),
    ),
    "grids-differ": (
        "Two files of temperature, the second one degree further to the east.",
        built_by(malformed.one_grid_shifted),
    ),
    "interval-ambiguous": (
        "GRIB with rain of hours 0 to 6 and of hours 3 to 6.",
        grib_of_two_ranges,
    ),
    "level-absent": (
        "Temperature at 1000 and 500 hPa, where ta850 is needed.",
        built_by(malformed.level_not_there),
    ),
    "level-kind": (
        "Temperature on hybrid levels, where ta850 is needed.",
        built_by(malformed.hybrid_levels),
    ),
    "missing-values": (
        "A source whose pressure is missing at one point on one day.",
        missing_value,
    ),
    "negative-precipitation": (
        "Precipitation down to -4 mm a day.",
        built_by(malformed.clearly_negative_rain),
    ),
    "no-common-time": (
        "Temperature of 2000 and precipitation of 2010.",
        built_by(malformed.no_common_days),
    ),
    "no-dataset": ("An xarray.DataArray where a dataset is needed.", array_given),
    "no-file": ("A pattern that fits no file.", built_by(malformed.no_match)),
    "no-permission": ("A file of another user, who has not shared it.", unreadable_by_permission),
    "no-time": ("Temperature without a time.", built_by(malformed.variable_without_time)),
    "not-daily": (
        "A source of monthly means, in an experiment that downscales days.",
        lambda folder: paired(loading.monthly(), folder),
    ),
    "not-numeric": ("Temperature as text, such as 'cold'.", built_by(malformed.text_as_values)),
    "out-of-range": (
        "Temperature in degC with the units K.",
        built_by(malformed.celsius_labelled_kelvin),
    ),
    "outside": (
        "A source that covers a third of the target.",
        lambda folder: paired(loading.half(), folder),
    ),
    "overlap-differs": (
        "A historical and a scenario run that share five days, with different values.",
        built_by(malformed.historical_and_scenario_overlap),
    ),
    "rename-absent": (
        "'rename: {tmp: tas}' for a file with the variable 'temp'.",
        built_by(malformed.rename_misspelt),
    ),
    "running-total-falls": (
        "Running totals of rain that start again at one place only.",
        lambda folder: saved(falling(), folder, "pr"),
    ),
    "selection": (
        "'select: {member: 3}' where there are three members, counted from 0.",
        built_by(malformed.member_beyond),
    ),
    "steps-not-common": (
        "Daily temperature and six-hourly precipitation, where both are needed together.",
        lambda folder: copied("twotime.nc", folder, "tas", "pr"),
    ),
    "sub-daily": (
        "A six-hourly source, in an experiment that downscales days.",
        lambda folder: paired(loading.sub_daily(), folder),
    ),
    "step-differs": (
        "Daily files, in an experiment with 'time.step_hours: 6'.",
        six_hours_wanted,
    ),
    "sum-of-rates": (
        "Hourly precipitation in kg m-2 s-1, with 'daily: sum'.",
        lambda folder: saved(make("pr", days=48, freq="h"), folder, "pr", daily="sum"),
    ),
    "time-absent": (
        "A dimension 'time' without a variable 'time'.",
        lambda folder: saved(make().drop_vars("time"), folder, "tas"),
    ),
    "time-undecodable": ("Times such as 'day 0'.", built_by(malformed.times_as_words)),
    "time-units-missing": (
        "Times from 0 to 9, without units.",
        built_by(malformed.times_without_units),
    ),
    "units-missing": ("Temperature without units.", built_by(malformed.units_missing)),
    "units-unknown": ("Temperature in m s-1.", built_by(malformed.units_of_another_kind)),
    "unreadable": (
        "A web page of an error, saved under the name of a netCDF file.",
        built_by(malformed.a_text_file),
    ),
    "variable-absent": (
        "A file that holds only pressure, where temperature is needed.",
        built_by(malformed.variable_absent),
    ),
    "variable-ambiguous": (
        "Two variables with the standard name air_temperature.",
        built_by(malformed.two_air_temperatures),
    ),
    "wind-alone": (
        "One wind component along the axes of a rotated grid, without the other.",
        lambda folder: saved(wind("uas"), folder, "uas"),
    ),
}
EXAMPLES = {rule: Example(*parts) for rule, parts in (REPAIR | NOTICE | REFUSAL).items()}


def sentence(rule: str, folder: Path) -> str:
    """Sentence that is printed for a rule's example, without the name of the folder."""
    try:
        printed = EXAMPLES[rule].lines(folder)
        text = next(line for line in printed if line.endswith(f" [{rule}]"))
    except DataError as error:
        if error.rule != rule:
            raise
        text = str(error)
    return text.replace(f"{folder}{os.sep}", "")


def entries() -> dict[str, dict[str, str]]:
    """Input and sentence of every rule."""
    found = {}
    for rule in EXAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            text = sentence(rule, Path(folder))
        found[rule] = {"input": EXAMPLES[rule].input, "sentence": text}
    return found


if __name__ == "__main__":
    text = yaml.safe_dump(entries(), sort_keys=False, allow_unicode=True, width=96)
    STORED.write_text(f"{HEAD}{text}", encoding="utf-8")
