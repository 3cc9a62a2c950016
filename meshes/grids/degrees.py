"""Latitudes and longitudes as numbers: their units and their missing values."""

import numpy as np
import xarray as xr

_LIMIT = {"latitude": 90.0, "longitude": 720.0}
_SLACK = 1e-4
# A larger number is a fill value, not a coordinate in other units.
_LARGEST_NUMBER = 1e6


def degrees_per_unit(variable: xr.Variable, name: str = "") -> float:
    """Return 180/pi for a coordinate in radians, 1 for one in degrees.

    MPAS meshes store latCell and lonCell in radians without saying so.
    """
    units = str(variable.attrs.get("units", "")).lower()
    radians = units.startswith("radian") or (not units and name.endswith("Cell"))
    return 180.0 / np.pi if radians else 1.0


def in_degrees(da: xr.DataArray) -> xr.DataArray:
    """Return a coordinate in degrees, float64."""
    return da.astype(np.float64) * degrees_per_unit(da.variable, str(da.name))


def checked(
    lat: xr.DataArray, lon: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """Return coordinates with NaN where they are unusable, and a mask of the usable ones.

    In a list or field of cells, both coordinates of a cell may be missing or fill values. The mask
    is None if no coordinate is.

    Args:
        lat, lon: degrees.

    Raises:
        ValueError: coordinates that are no degrees or look swapped, none at all, an axis with a
            missing value, or a cell with only one of the two.
    """
    both = {"latitude": lat, "longitude": lon}
    good = {role: abs(da) <= _LIMIT[role] + _SLACK for role, da in both.items()}
    if all(bool(usable.all()) for usable in good.values()):
        return lat, lon, None
    _refuse_swapped(lat, lon)
    for role, da in both.items():
        _refuse_other_units(da, role)
        if not bool(good[role].any()):
            raise ValueError(
                f"The {role} {da.name!r} has no usable value: all are missing or fill values; get "
                "the coordinates from another file."
            )
    usable = good["latitude"] & good["longitude"] if lat.dims == lon.dims else None
    for role, da in both.items():
        alone = (
            ~good[role] if usable is None else ~good[role] & (good["latitude"] | good["longitude"])
        )
        _refuse_missing(da, role, alone)
    assert usable is not None
    return lat.where(usable), lon.where(usable), usable


def _refuse_swapped(lat: xr.DataArray, lon: xr.DataArray) -> None:
    high, other = float(abs(lat).max()), float(abs(lon).max())
    if _LIMIT["latitude"] + _SLACK < high <= 360.0 and other <= _LIMIT["latitude"]:
        raise ValueError(
            f"The latitude {lat.name!r} reaches {high:g} and the longitude {lon.name!r} only "
            f"{other:g}: they look swapped; exchange their names or attributes."
        )


def _refuse_other_units(da: xr.DataArray, role: str) -> None:
    """Refuse numbers out of range, unless they are one or two fill values."""
    values = da.values[np.abs(da.values) < _LARGEST_NUMBER]
    beyond = values[np.abs(values) > _LIMIT[role] + _SLACK]
    if np.unique(beyond).size > 2:
        raise ValueError(
            f"The {role} {da.name!r} runs from {values.min():g} to {values.max():g}, which is no "
            f"{role} in degrees; check its units."
        )


def _refuse_missing(da: xr.DataArray, role: str, wrong: xr.DataArray) -> None:
    if not bool(wrong.any()):
        return
    place = np.unravel_index(int(np.argmax(wrong.values)), wrong.shape)
    where = ", ".join(f"{d}={i}" for d, i in zip(wrong.dims, place, strict=True))
    value = float(da.values[place])
    what = "has missing values" if np.isnan(value) else f"is {value:g}, no {role} in degrees,"
    raise ValueError(
        f"The {role} {da.name!r} {what} at {where} ({int(wrong.sum())} in all); correct them, or "
        "drop those points from the dataset."
    )
