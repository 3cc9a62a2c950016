"""Regions known by name, to cut a target to."""

from meshes import Grid

Box = tuple[float, float, float, float]  # west, south, east, north in degrees

# The eight regions of PRUDENCE: Christensen and Christensen (2007), Climatic Change 81, 7-30.
PRUDENCE: dict[str, Box] = {
    "british-isles": (-10.0, 50.0, 2.0, 59.0),
    "iberian-peninsula": (-10.0, 36.0, 3.0, 44.0),
    "france": (-5.0, 44.0, 5.0, 50.0),
    "mid-europe": (2.0, 48.0, 16.0, 55.0),
    "scandinavia": (5.0, 55.0, 30.0, 70.0),
    "alps": (5.0, 44.0, 15.0, 48.0),
    "mediterranean": (3.0, 36.0, 25.0, 44.0),
    "eastern-europe": (16.0, 44.0, 30.0, 55.0),
}


def region_named(name: str) -> Box | Grid:
    """Box of a region, or grid, by its name.

    Args:
        name: a region of PRUDENCE such as "alps", or a grid that `Grid.named` knows.

    Raises:
        ValueError: it is neither.
    """
    box = PRUDENCE.get(name.strip().lower().replace(" ", "-").replace("_", "-"))
    if box is not None:
        return box
    try:
        return Grid.named(name)
    except ValueError as error:
        raise ValueError(
            f"no region is called {name!r} (there are {', '.join(PRUDENCE)}), and no grid: {error}"
        ) from None
