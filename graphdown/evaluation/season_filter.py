"""Season filter: every measure of the days of one season."""

from collections.abc import Sequence

import xarray as xr

from graphdown.evaluation.evaluate import evaluate

SEASONS = ("DJF", "MAM", "JJA", "SON")


def of_season(ds: xr.Dataset, season: str) -> xr.Dataset:
    """Days of a season of every year.

    Args:
        ds: daily fields.
        season: "DJF", "MAM", "JJA" or "SON".

    Raises:
        ValueError: an unknown season, or no day of it.
    """
    if season not in SEASONS:
        raise ValueError(f"{season!r} is no season; choose one of {', '.join(SEASONS)}.")
    days = ds["time"].dt.season == season
    if not days.any():
        raise ValueError(f"There is no day of {season} in the data; choose another season.")
    return ds.isel(time=days.values.nonzero()[0])


def evaluate_by_season(
    prediction: xr.Dataset,
    truth: xr.Dataset,
    reference: tuple[xr.Dataset, xr.Dataset] | None = None,
    seasons: Sequence[str] = SEASONS,
) -> xr.Dataset:
    """Score a prediction as `evaluate` does, on the days of each season.

    Args:
        prediction, truth, reference: as for `evaluate`.
        seasons: those to score; seasons without a day in the truth are left out.

    Returns:
        The measures of `evaluate`, with the dimension "season".

    Raises:
        ValueError: as for `evaluate`, or no season has a day.
    """
    there = [season for season in seasons if (truth["time"].dt.season == season).any()]
    if not there:
        raise ValueError(f"There is no day of {', '.join(seasons)} in the truth.")
    scores = []
    for season in there:
        before = None
        if reference is not None:
            before = of_season(reference[0], season), of_season(reference[1], season)
        sides = of_season(prediction, season), of_season(truth, season)
        scores.append(evaluate(*sides, reference=before))
    return xr.concat(scores, xr.IndexVariable("season", there), combine_attrs="override")
