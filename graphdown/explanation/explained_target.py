"""Choice of what is explained: a variable at a point, over a region or over the whole target."""

from dataclasses import dataclass

import numpy as np

from graphdown.config.regions import PRUDENCE
from graphdown.emulator.emulator import Emulator
from graphdown.errors import GraphdownError
from graphdown.variables.names import variable_of
from meshes.geometry.sphere import distance_km, lonlat_to_xyz, normalise

FARTHEST = 2.0  # cells' spacings from a place to the nearest point of the target


@dataclass(frozen=True, eq=False)
class ExplainedTarget:
    """Points of the target and one of its variables.

    Attributes:
        variable: name, whose sub-steps, if there are any, count as their mean.
        points: numbers of the points [n].
        area: of all points of the target [Nt].
        channels: share of each of the emulator's outputs in the variable [T].
        place: what the points are, in words.
    """

    variable: str
    points: np.ndarray
    area: np.ndarray
    channels: np.ndarray
    place: str

    @property
    def mean_weights(self) -> np.ndarray:
        """Weights [1, Nt, T], float32, of the outputs in the mean over the points by area."""
        share = np.zeros(len(self.area))
        share[self.points] = self.area[self.points] / self.area[self.points].sum()
        return (share[:, None] * self.channels)[None].astype(np.float32)

    def point_weights(self, points: np.ndarray) -> np.ndarray:
        """Weights [B, Nt, T], float32, of the outputs in the values of single points [B]."""
        alone = points[:, None] == np.arange(len(self.area))
        return (alone[..., None] * self.channels).astype(np.float32)

    def sample(self, xyz: np.ndarray, count: int) -> np.ndarray:
        """At most so many of the points, far from each other.

        The first is the one in the middle, each further one the farthest from those before.

        Args:
            xyz: unit vectors of all points of the target [Nt, 3].
            count: how many.
        """
        own = xyz[self.points]
        chosen = [int(distance_km(own, normalise(own.mean(axis=0))).argmin())]
        nearest = distance_km(own, own[chosen[0]])
        while len(chosen) < min(count, len(own)):
            chosen.append(int(nearest.argmax()))
            nearest = np.minimum(nearest, distance_km(own, own[chosen[-1]]))
        return self.points[np.sort(chosen)]


def explained_target(
    emulator: Emulator, variable: str = "", at: tuple[float, float] | None = None, region: str = ""
) -> ExplainedTarget:
    """What of an emulator's output is to be explained.

    Args:
        emulator: the emulator.
        variable: one that it makes, the first by default.
        at: longitude and latitude in degrees; the nearest point counts.
        region: the name of a PRUDENCE region, or "west,south,east,north" in degrees; with neither
            place nor region, all of the target.

    Raises:
        GraphdownError: there is no such variable, place or region on the target.
    """
    variable = variable or emulator.targets[0]
    if variable not in emulator.targets:
        raise GraphdownError(
            f"The emulator does not make {variable!r}; choose one of {', '.join(emulator.targets)}."
        )
    if at is not None and region:
        raise GraphdownError("A point and a region are given; give one of them.")
    names = emulator.normaliser.targets
    channels = np.asarray([variable_of(name) == variable for name in names], float)
    there = np.flatnonzero(emulator.domain.present(names)[:, channels > 0].all(axis=1))
    points, place = there, "the whole target"
    if at is not None:
        points, place = _nearest(emulator, there, at), f"{at[0]:g} E, {at[1]:g} N"
    elif region:
        points, place = _within(emulator, there, region), region
    area = emulator.domain.target.area
    return ExplainedTarget(variable, points, area, channels / channels.sum(), place)


def _nearest(emulator: Emulator, there: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    target = emulator.domain.target
    distance = distance_km(target.xyz[there], lonlat_to_xyz(*at))
    if distance.min() > FARTHEST * target.spacing_km:
        raise GraphdownError(
            f"The nearest point with values is {distance.min():.0f} km from {at[0]:g}, {at[1]:g} "
            "(longitude, latitude); choose a place within the target."
        )
    return there[[distance.argmin()]]


def _within(emulator: Emulator, there: np.ndarray, region: str) -> np.ndarray:
    west, south, east, north = _box(region)
    lon, lat = emulator.domain.target.lon[there], emulator.domain.target.lat[there]
    inside = ((lon - west) % 360.0 <= (east - west) % 360.0) & (lat >= south) & (lat <= north)
    if not inside.any():
        raise GraphdownError(
            f"No point of the target lies in the region {region!r}; choose one that overlaps it."
        )
    return there[inside]


def _box(region: str) -> tuple[float, float, float, float]:
    if region in PRUDENCE:
        return PRUDENCE[region]
    try:
        west, south, east, north = map(float, region.split(","))
    except ValueError:
        raise GraphdownError(
            f"{region!r} is no region; give west,south,east,north in degrees or one of "
            f"{', '.join(PRUDENCE)}."
        ) from None
    return west, south, east, north
