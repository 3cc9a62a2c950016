"""Score a downscaled file against another one, for the terminal."""

from pathlib import Path

import xarray as xr

from graphdown.data.reading.files import BROKEN
from graphdown.errors import GraphdownError
from graphdown.evaluation.cases import Case, score_cases
from graphdown.evaluation.ensemble import evaluate_ensemble, member_dim
from graphdown.evaluation.table import format_table, format_value

SHOWN = ("crps", "energy_score", "spread_skill")


def evaluate_files(prediction: Path, truth: Path) -> str:
    """Return the scores of a downscaled file as text.

    An ensemble is scored as a whole, and by its mean and its first member.

    Args:
        prediction, truth: files in .nc or .zarr of canonical fields on the same grid.

    Raises:
        GraphdownError: a file cannot be read, or the two do not match.
    """
    predicted, true = _opened(prediction), _opened(truth)
    dim = member_dim(predicted)
    try:
        if dim is None:
            return _table(prediction, true, {"prediction": predicted})
        with xr.set_options(keep_attrs=True):
            single = {
                "ensemble mean": predicted.mean(dim),
                "first member": predicted.isel({dim: 0}),
            }
        single = {name: ds.drop_vars(dim, errors="ignore") for name, ds in single.items()}
        lines = _table(prediction, true, single)
        return f"{lines}\n\n{format_ensemble(evaluate_ensemble(predicted, true))}"
    except ValueError as error:
        raise GraphdownError(" ".join(str(error).split())) from None


def format_ensemble(scores: xr.Dataset) -> str:
    """Return the scores of `evaluate_ensemble` as text, a block for each variable."""
    blocks = []
    for name in scores["variable"].values:
        of_variable = scores.sel(variable=name)
        lines = [f"{name}, {of_variable.sizes['rank'] - 1} members"]
        lines += [f"  {key:<15}{format_value(float(of_variable[key]))}" for key in SHOWN]
        shares = " ".join(f"{float(share):.3f}" for share in of_variable["rank_histogram"])
        blocks.append("\n".join([*lines, f"  {'rank_histogram':<15}{shares}"]))
    return "\n\n".join(blocks)


def _table(path: Path, truth: xr.Dataset, predictions: dict[str, xr.Dataset]) -> str:
    case = Case(path.name, False, truth, truth, predictions)
    table = format_table(score_cases([case]))
    return table.replace(" (never trained on)", "")


def _opened(path: Path) -> xr.Dataset:
    if not path.exists():
        raise GraphdownError(f"{str(path)!r} does not exist; check the path.")
    engine = "zarr" if path.suffix == ".zarr" else "netcdf4"
    try:
        with xr.open_dataset(path, engine=engine) as ds:
            return ds.load()
    except BROKEN as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise GraphdownError(f"{str(path)!r} is no netCDF or zarr output ({reason}).") from None
