"""Score downscaled files against others, for the terminal."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from graphdown.data.reading.file_request import Request
from graphdown.errors import GraphdownError
from graphdown.evaluation.cases import Case, score_cases
from graphdown.evaluation.ensemble import evaluate_ensemble, member_dim
from graphdown.evaluation.floor import climate_floor, ensemble_floor, with_floors
from graphdown.evaluation.one_grid import on_one_grid
from graphdown.evaluation.scored_fields import PLAIN, read_scored
from graphdown.evaluation.season_filter import of_season
from graphdown.evaluation.table import format_table, format_value

SHOWN = (
    "crps",
    "energy_score",
    "spread_skill",
    "crps_of_maxima",
    "pit_miscalibration",
    "wet_day_reliability",
)
WIDTH = 21


def evaluate_files(
    prediction: str,
    truth: Sequence[str],
    season: str = "",
    floors: bool = False,
    statements: Request = PLAIN,
) -> str:
    """Return the scores of a downscaled file as text.

    An ensemble is scored as a whole, and by its mean and its first member.

    Args:
        prediction: netCDF, zarr or GRIB file or glob.
        truth: such files or globs, in any units and calendar, on the prediction's grid or on one
            that has its points.
        season: "DJF", "MAM", "JJA" or "SON", whose days alone are scored; empty for all days.
        floors: whether the table shows what a perfect emulator would score.
        statements: what the user says of the truth's files, such as units that they lack.

    Raises:
        GraphdownError: a file cannot be read, or the two do not match.
    """
    predicted, true = on_one_grid(*read_scored([prediction], truth, statements))
    dim = member_dim(predicted)
    name = Path(prediction).name
    try:
        if season:
            predicted, true = of_season(predicted, season), of_season(true, season)
        floor = (
            (climate_floor(true) if dim is None else ensemble_floor(predicted)) if floors else None
        )
        if dim is None:
            return _table(name, true, {"prediction": predicted}, floor)
        with xr.set_options(keep_attrs=True):
            single = {
                "ensemble mean": predicted.mean(dim),
                "first member": predicted.isel({dim: 0}),
            }
        single = {n: ds.drop_vars(dim, errors="ignore") for n, ds in single.items()}
        lines = _table(name, true, single, floor)
        return f"{lines}\n\n{format_ensemble(evaluate_ensemble(predicted, true))}"
    except ValueError as error:
        raise GraphdownError(" ".join(str(error).split())) from None


def format_ensemble(scores: xr.Dataset) -> str:
    """Return the scores of `evaluate_ensemble` as text, a block for each variable."""
    blocks = []
    for name in scores["variable"].values:
        of_variable = scores.sel(variable=name)
        lines = [f"{name}, {of_variable.sizes['rank'] - 1} members"]
        lines += [f"  {key:<{WIDTH}}{format_value(float(of_variable[key]))}" for key in SHOWN]
        shares = " ".join(f"{float(share):.3f}" for share in of_variable["rank_histogram"])
        blocks.append("\n".join([*lines, f"  {'rank_histogram':<{WIDTH}}{shares}"]))
    return "\n\n".join(blocks)


def _table(
    name: str, truth: xr.Dataset, predictions: dict[str, xr.Dataset], floor: xr.Dataset | None
) -> str:
    scores = score_cases([Case(name, False, truth, truth, predictions)])
    table = format_table(scores if floor is None else with_floors(scores, {name: floor}))
    return table.replace(" (never trained on)", "")
