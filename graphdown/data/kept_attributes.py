"""Attributes of the training's variables that an emulator keeps: units, names, cell methods."""

import re
from collections.abc import Iterator, Sequence

import xarray as xr

from graphdown.data.load import ExperimentData
from graphdown.data.reading.cell_methods import method_fits, method_of
from graphdown.variables.catalogue import canonical_units, describe
from graphdown.variables.names import variable_of, variables_of

KEPT = ("units", "standard_name", "long_name", "cell_methods")


def kept_attributes(
    data: ExperimentData, predictors: Sequence[str], targets: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Attributes by variable, of the targets first.

    Of a variable that the catalogue has they are its long name and cell methods as a target: units
    and standard name are the catalogue's.

    Args:
        data: fields in the units that are trained on.
        predictors, targets: names.
    """
    fine = [data.fine, *data.fines.values()]
    kept = {name: _kept(name, fine) for name in variables_of(targets)}
    unknown = [n for n in variables_of(predictors) if n not in kept and canonical_units(n) is None]
    kept |= {name: _kept(name, list(data.coarse.values())) for name in unknown}
    return {name: attrs for name, attrs in kept.items() if attrs}


def _kept(name: str, datasets: Sequence[xr.Dataset]) -> dict[str, str]:
    field = next(_fields(name, datasets), None)
    if field is None:
        return {}
    attrs = {key: str(field.attrs[key]) for key in KEPT if field.attrs.get(key)}
    if canonical_units(name) is not None:
        attrs = {key: value for key, value in attrs.items() if key in KEPT[2:]}
    if not _holds(attrs.get("cell_methods", ""), name, field):
        attrs.pop("cell_methods", None)
    return attrs


def _fields(name: str, datasets: Sequence[xr.Dataset]) -> Iterator[xr.DataArray]:
    for ds in datasets:
        yield from (ds[n] for n in ds.data_vars if variable_of(str(n)) == name)


def _holds(cell_methods: str, name: str, field: xr.DataArray) -> bool:
    """Whether cell methods hold for a field on any target grid, as means or extremes of a day."""
    names = set(re.findall(r"(\w+)\s*:", re.sub(r"\([^)]*\)", "", cell_methods)))
    method = method_of(field)
    is_known = canonical_units(name) is not None
    fits = method == describe(name).method if is_known else method_fits(method, name)
    return names <= {"area", "time"} and fits
