"""Checksums of a study's fields: its stored scores belong to values, wherever the files lie."""

import json
from collections.abc import Mapping

import xarray as xr

from graphdown.data.load import ExperimentData
from graphdown.errors import ExperimentError
from graphdown.runtime.hashing import ArrayLike, array_digest
from graphdown.training.run.input_checksums import Checksums, checksum_of_source, dates_of

TARGET = "the target"


def field_checksums(data: ExperimentData) -> Checksums:
    """Checksums of target and sources, by what they are of."""
    own = {f"the target of {checksum_of_source(n)}": fine for n, fine in data.fines.items()}
    sources = {checksum_of_source(name): coarse for name, coarse in data.coarse.items()}
    fields = {TARGET: data.fine, **own, **sources}
    return {name: _checksum(ds) for name, ds in fields.items()}


def check_fields(scores: xr.Dataset, checksums: Mapping[str, str], folder: str) -> None:
    """Compare the fields that stored scores are of with those of now.

    Args:
        scores: of a run of the study.
        checksums: of the fields of now; others are not compared.
        folder: of the study.

    Raises:
        ExperimentError: a field has other values.
    """
    before = json.loads(scores.attrs["fields"])
    for name in set(before) & set(checksums):
        if before[name] != checksums[name]:
            raise ExperimentError(
                f"The values of {name} are not those that the scores in {folder!r} were made "
                "with; put its files back as they were, or choose another 'output'."
            )


def _checksum(ds: xr.Dataset) -> str:
    names = sorted(str(name) for name in ds.data_vars)
    positions = [ds[name].values for name in ("lon", "lat") if name in ds.coords]
    fields: list[ArrayLike] = [ds[name].variable for name in names]
    return array_digest([dates_of(ds["time"]), *positions, *fields], json.dumps(names))
