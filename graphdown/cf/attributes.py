"""CF attributes of the variables that an emulator writes."""

from collections.abc import Mapping
from types import MappingProxyType

from graphdown.variables.catalogue import daily_methods, describe
from graphdown.variables.time_steps import DAY_HOURS, HOUR_SECONDS, TimeSpec

NONE: Mapping[str, str] = MappingProxyType({})


def variable_attrs(
    name: str, time: TimeSpec | None = None, own: Mapping[str, str] = NONE
) -> dict[str, str]:
    """CF attributes of a variable: units, standard_name, long_name and cell_methods.

    A name that the catalogue lacks, such as "snowline", gets its own, and units of 1 if it has
    none.

    Args:
        name: of the variable.
        time: the steps of its values, days if not given.
        own: attributes of the field that it was learned from. Units and standard name are the
            catalogue's where it has the variable.
    """
    variable = describe(name)
    if not variable.long_name:
        return {"units": variable.units or "1", **own}
    attrs = {
        "units": variable.units,
        "standard_name": next(iter(variable.standard_names), ""),
        "long_name": own.get("long_name") or _long_name(name, time),
        "cell_methods": own.get("cell_methods") or variable.cell_methods,
    }
    if time is not None and time.values == "point" and variable.cell_methods:
        attrs["cell_methods"] = "time: point"
    return {key: value for key, value in attrs.items() if value}


def _long_name(name: str, time: TimeSpec | None) -> str:
    """Long name; of a daily mean, where daily extremes are variables too, one that says so."""
    variable = describe(name)
    is_daily = time is None or time.target_seconds == DAY_HOURS * HOUR_SECONDS
    if is_daily and variable.method == "mean" and daily_methods(name):
        return f"Daily mean {variable.phrase}"
    return variable.long_name
