"""Days that the report shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graphdown.variables.catalogue import describe


@dataclass(frozen=True, eq=False)
class ShownDay:
    """A day that the report shows.

    Attributes:
        name: its heading.
        time: its time stamp.
        variables: names of those to show.
        truth: their fields [N] on all cells of the grid.
        predictions: the same by method.
    """

    name: str
    time: Any
    variables: list[str]
    truth: dict[str, np.ndarray]
    predictions: dict[str, dict[str, np.ndarray]]


def days_to_show(means: Mapping[str, np.ndarray]) -> list[tuple[str, int, list[str]]]:
    """Return the name of each chosen day, its index, and the variables to show of it.

    The wettest and the coldest day show the variable they are chosen by; the most ordinary day,
    whose area means lie closest to their medians, shows all.

    Args:
        means: area mean of the truth of every day [T] by variable.
    """
    from scipy.stats import rankdata

    chosen: list[tuple[str, int, list[str]]] = []
    rain = next((v for v in means if describe(v).is_precipitation), None)
    if rain is not None:
        chosen.append(("Wettest day", int(np.nanargmax(means[rain])), [rain]))
    temperature = next((v for v in means if describe(v).is_temperature), None)
    if temperature is not None:
        chosen.append(("Coldest day", int(np.nanargmin(means[temperature])), [temperature]))
    distance = np.zeros(len(next(iter(means.values()))))
    for values in means.values():
        rank = rankdata(values, nan_policy="omit") / max(np.isfinite(values).sum(), 1)
        distance = distance + np.abs(rank - 0.5)
    chosen.append(("Ordinary day", int(np.nanargmin(distance)), list(means)))
    return chosen


def date_text(time: object) -> str:
    """Return a time of any calendar as a date."""
    return str(pd.Timestamp(time).date() if isinstance(time, np.datetime64) else time)[:10]
