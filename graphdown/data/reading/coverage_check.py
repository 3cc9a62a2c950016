"""Whether a source lies around the target, and whether its cells overlap."""

import numpy as np

from graphdown.data.reading.rules import Notes, refuse
from meshes import Coverage, Grid, coverage
from meshes.graphs.cell_search import overlap_share
from meshes.graphs.coverage import describe_extent, usual_distance_km

LEAST = 0.99  # share of the target's area: a source that covers less is refused
WHOLE = 0.999
OVERLAP = 0.05  # share of the cells' rims that may lie in other cells
FAR = 3.0  # sizes of a source's cells


def check_cover(found: Coverage, source: Grid, target: Grid, where: str, notes: Notes) -> None:
    """Refuse a source that leaves some of the target out; note one that leaves the margin out.

    Args:
        found: how much of the target the source covers.
        source, target: their grids.
        where: for messages.
        notes: collects the notice about the margin.

    Raises:
        DataError: the source covers less than 99 % of the target's area.
    """
    if found.target < LEAST:
        raise refuse(
            "outside",
            f"{where}: it ({describe_extent(source)}) covers {percent(found.target)} of the target "
            f"({describe_extent(target)}{_apart(source, target)}), which an experiment can cut "
            "('data.target.cut') or use where the source is ('data.target.outside: mask'); "
            f"{_cure(source, target)}.",
        )
    if min(found.target, found.margin) < WHOLE:
        notes.add("margin", where, f"it {covered(found)}")


def note_overlap(grid: Grid, where: str, notes: Notes) -> None:
    """Note cells that overlap others, by their bounds."""
    share = overlap_share(grid)
    if share > OVERLAP:
        text = f"{percent(share)} of the rims of its cells lie in other cells; check the bounds"
        notes.add("cells-overlap", where, text)


def covered(found: Coverage) -> str:
    """Words such as "covers 100 % of the target and 93 % of the 400 km around it"."""
    return (
        f"covers {percent(found.target)} of the target and {percent(found.margin)} of the "
        f"{found.margin_km:g} km around it"
    )


def percent(share: float) -> str:
    """Share in per cent with one decimal; one below 1 never reads as 100."""
    return f"{np.floor(1000 * share) / 10:g} %"


def _apart(source: Grid, target: Grid) -> str:
    """Words for a target far from the points of a source, such as a few scattered cells."""
    distance = usual_distance_km(source, target)
    if distance < FAR * source.spacing_km:
        return ""
    return f", half of it more than {distance:.0f} km from the points of the source"


def _cure(source: Grid, target: Grid) -> str:
    if _covers_if_swapped(source, target):
        return (
            "with latitude and longitude exchanged it would cover the target, so they may be "
            "swapped: exchange their names"
        )
    return "choose a source around the target"


def _covers_if_swapped(source: Grid, target: Grid) -> bool:
    lon, lat = source.lon[source.mask], source.lat[source.mask]
    if np.abs(lon).max() > 90.0:
        return False
    try:
        swapped = Grid.from_points(lat, lon)
    except ValueError:  # all on one line, say
        return False
    return coverage(swapped, target, 0.0).target >= LEAST
