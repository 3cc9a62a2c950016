"""What a study found, as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from graphdown.transfer.plan import Cell, Task
from graphdown.transfer.spec import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found.

    Attributes:
        study: the study.
        cells: its cells.
        results: scores by task, a dataset for each seed.
        scores, gaps, adaptation, groups: see `graphdown.transfer.tables`.
        page: path of the report.
    """

    study: Study
    cells: list[Cell]
    results: dict[Task, list[xr.Dataset]]
    scores: "pd.DataFrame"
    gaps: "pd.DataFrame"
    adaptation: "pd.DataFrame"
    groups: "pd.DataFrame"
    page: Path
