"""Winds between places: components carried as vectors in space, since east is another way there."""

from collections.abc import Callable, Sequence
from typing import Any

from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of
from graphdown.variables.time_steps import start_of

# Standard names of the components along the axes of a grid, by those along east and north.
ALONG_GRID = {
    "eastward_wind": ("grid_eastward_wind", "x_wind"),
    "northward_wind": ("grid_northward_wind", "y_wind"),
}


def wind_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Places in `names` of the eastward and northward components of the winds that have both.

    Winds of other steps and sub-steps are pairs of their own: uas@-1 goes with vas@-1.
    """
    places = {name: place for place, name in enumerate(names)}
    pairs = []
    for name, place in places.items():
        northward = describe(name).northward
        partner = f"{northward}{name.removeprefix(variable_of(name))}"
        if northward and partner in places:
            pairs.append((place, places[partner]))
    return tuple(pairs)


def corrected_winds(
    targets: Sequence[str], predictors: Sequence[str]
) -> tuple[tuple[int, int], ...]:
    """Places in `targets`, as of `wind_pairs`, of the winds that are predictors as well.

    What is predicted of them is a correction of the source's own.
    """
    return tuple(
        pair
        for pair in wind_pairs(targets)
        if all(start_of(targets[place], targets, predictors) for place in pair)
    )


def carried(
    carry: Callable[[Any], Any], eastward: Any, northward: Any, axes_from: Any, axes_to: Any
) -> tuple[Any, Any]:
    """Eastward and northward components of a wind carried to other points.

    The wind is taken apart along the three axes of space, each part is carried as a scalar, and
    the sum is projected on east and north at the points it is carried to. Arrays may be of NumPy,
    JAX or xarray.

    Args:
        carry: interpolates scalars from the old points to the new ones.
        eastward, northward: components at the old points.
        axes_from, axes_to: unit vectors [2 (east, north), 3, ...] at the old and the new points,
            of shapes that broadcast against the components.
    """
    parts = [carry(eastward * axes_from[0][k] + northward * axes_from[1][k]) for k in range(3)]
    east, north = (sum(part * axis[k] for k, part in enumerate(parts)) for axis in axes_to)
    return east, north
