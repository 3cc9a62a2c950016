"""Measures of saliency maps: shares, aggregated maps, dispersion, distance, and place upwind.

The shares, the aggregated saliency map and the saliency dispersion are those of González-Abad,
Baño-Medina and Gutiérrez (2023), J. Adv. Model. Earth Syst. 15, e2023MS003641.
"""

from dataclasses import dataclass, field

import numpy as np

from meshes import Grid
from meshes.geometry.sphere import distance_km, tangent_frame

NOISE = 0.1  # of a map's maximum: smaller values count as 0
LEAST_WIDTH_KM = 50.0


def shares(maps: np.ndarray) -> np.ndarray:
    """Shares [B, Ns, V] of maps of gradients or attributions; those of a map add up to 1.

    Absolute values, divided by the map's maximum, below 10 % of it 0, and divided by their sum. A
    map of zeros stays one.
    """
    sizes = np.abs(maps)
    greatest = sizes.max(axis=(1, 2), keepdims=True)
    kept = np.where(sizes >= NOISE * greatest, sizes, 0.0)
    total = kept.sum(axis=(1, 2), keepdims=True)
    return np.asarray(kept / np.where(total > 0, total, 1.0))


def distance_edges(grid: Grid, nodes: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Edges in km of classes of distance, about as wide as the source's spacing.

    Args:
        grid: of the source.
        nodes: of it [Ns].
        xyz: unit vectors of the points of the target [n, 3].
    """
    width = max(LEAST_WIDTH_KM, LEAST_WIDTH_KM * round(grid.spacing_km / LEAST_WIDTH_KM))
    farthest = max(float(distance_km(grid.xyz[nodes], point).max()) for point in xyz)
    return np.arange(0.0, farthest + width, width)


@dataclass(eq=False)
class SaliencySums:
    """Running sums of saliency maps of single points of the target, one day each.

    Attributes:
        xyz: unit vectors of the source's nodes [Ns, 3].
        edges: of classes of distance in km [K + 1].
        winds: places of an eastward and a northward wind among the predictors, if there are any.
        shares: sum of the maps' shares [Ns, V].
        dispersion: of each map, sum of share times distance in km.
        by_distance: sum of the shares by class of distance [K, V].
        upwind: sums [V] of share times distance upwind in km, and of the shares.
        count: number of maps.
    """

    xyz: np.ndarray
    edges: np.ndarray
    winds: tuple[int, int] | None = None
    shares: np.ndarray | float = 0.0
    dispersion: list[float] = field(default_factory=list)
    by_distance: np.ndarray | float = 0.0
    upwind: np.ndarray | float = 0.0
    count: int = 0

    def add(self, share: np.ndarray, fields: np.ndarray, point: np.ndarray) -> None:
        """Add the map of one day and one point.

        Args:
            share: [Ns, V], see `shares`.
            fields: the predictors of the day [Ns, V].
            point: unit vector [3] of the target's point.
        """
        distance = distance_km(self.xyz, point)
        self.shares = self.shares + share
        self.dispersion.append(float(share.sum(axis=1) @ distance))
        place = np.clip(np.searchsorted(self.edges, distance, "right") - 1, 0, len(self.edges) - 2)
        classes = np.zeros((len(self.edges) - 1, share.shape[1]))
        np.add.at(classes, place, share)
        self.by_distance = self.by_distance + classes
        self.count += 1
        if self.winds is not None:
            wind = fields[distance.argmin()][list(self.winds)]
            upwind = distance * _towards(self.xyz, point, -wind)
            self.upwind = self.upwind + np.stack([share.T @ upwind, share.sum(axis=0)])

    @property
    def mean_upwind(self) -> np.ndarray:
        """Mean distance upwind in km of the saliency of each predictor [V], NaN for none."""
        total, share = np.asarray(self.upwind)
        return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)


def _towards(xyz: np.ndarray, point: np.ndarray, wind: np.ndarray) -> np.ndarray:
    """Cosine [Ns] of the angle, at a point, between the directions to other points and of a wind.

    Args:
        xyz: unit vectors of the other points [Ns, 3].
        point: unit vector [3].
        wind: eastward and northward component [2].
    """
    flat = xyz @ tangent_frame(point)[:2].T
    lengths = np.linalg.norm(flat, axis=1) * max(float(np.linalg.norm(wind)), 1e-12)
    return np.asarray((flat @ wind) / np.where(lengths > 0, lengths, 1.0))
