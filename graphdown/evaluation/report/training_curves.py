"""Curves of a run's metrics file."""

from os import PathLike
from typing import TYPE_CHECKING

from graphdown.reports import charts
from graphdown.reports.html import ChartRow, Picture

if TYPE_CHECKING:
    import numpy as np

KINDS = ("loss", "rmse", "mae", "crps")


def training_charts(path: str | PathLike[str]) -> ChartRow:
    """Return a chart of each kind of curve of a metrics file.

    Raises:
        ValueError: the file holds no curve.
    """
    curves, step = training_curves(path)
    kinds = {w: {n: c for n, c in curves.items() if w in n.lower()} for w in KINDS}
    return ChartRow(
        "",
        [
            Picture(charts.training_chart(part, step, kind), kind, "", f"{kind} during training")
            for kind, part in kinds.items()
            if part
        ],
    )


def training_curves(
    path: str | PathLike[str],
) -> tuple[dict[str, tuple["np.ndarray", "np.ndarray"]], str]:
    """Return the curves (x, y) of a metrics file by column name, and the name of x.

    x is the column "step", or the first one; curves are the columns whose name holds "loss",
    "rmse", "mae" or "crps". Rows without a value are left out, so that validation may be logged
    seldom.

    Raises:
        ValueError: no such column holds a number.
    """
    import pandas as pd

    log = pd.read_csv(path)
    step = "step" if "step" in log else str(log.columns[0])
    curves = {}
    for name in map(str, log.columns):
        if name != step and any(word in name.lower() for word in KINDS):
            rows = pd.DataFrame({"x": log[step], "y": pd.to_numeric(log[name])}).dropna()
            if len(rows):
                curves[name] = (rows["x"].to_numpy(), rows["y"].to_numpy())
    if not curves:
        raise ValueError(
            f"{path} holds no training curve: its columns are {list(log.columns)}, expected one "
            "whose name holds 'loss', 'rmse', 'mae' or 'crps'."
        )
    return curves, step
