"""A midlatitude coast with mountain ranges and valleys."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from graphdown.data.synthetic.target_region import WorldRegion
from graphdown.data.synthetic.waves import Waves

SHORE_M = 60.0
# Widths in cells: of the surroundings of valleys, of the slopes that act on the wind, and of the
# terrain of a GCM.
SURROUNDINGS, SLOPE, MODEL = 3.0, 0.8, 3.5


@dataclass(frozen=True, eq=False)
class Terrain:
    """Static fields of the box, float32 [ny, nx].

    Attributes:
        orog: height in m, 0 over sea.
        sftlf: land fraction.
        slope_x, slope_y: slope in m per m along the box's axes.
        valley_depth: how far the cell lies below its surroundings, in m, 0 on heights.
        model_orog, model_sftlf: smoothed, as in a GCM.
    """

    orog: np.ndarray
    sftlf: np.ndarray
    slope_x: np.ndarray
    slope_y: np.ndarray
    valley_depth: np.ndarray
    model_orog: np.ndarray
    model_sftlf: np.ndarray


def make_terrain(region: WorldRegion, waves: Waves, rng: np.random.Generator) -> Terrain:
    """Make a terrain: sea in the west, a coastal range, an arc of high mountains, valleys."""
    x, y = np.meshgrid(region.x_km, region.y_km)
    noise = [
        waves.field(waves.spectrum(((scale, 1.0),)) * waves.draw(rng, 1))[0]
        for scale in (700.0, 350.0, 260.0, 260.0)
    ]
    inland = x + 330.0 + 0.25 * y + 90.0 * noise[0]
    plain = 230.0 * np.tanh(inland / 150.0) + 60.0 * noise[1]
    coastal = 1000.0 * np.exp(-(((inland - 190.0) / 75.0) ** 2)) * (1.0 + 0.35 * noise[1])
    bow = y + 230.0 - 0.0006 * (x - 150.0) ** 2 + 30.0 * noise[0]
    arc = 2300.0 * np.exp(-((bow / 110.0) ** 2)) / (1.0 + np.exp(-(x + 60.0) / 60.0))
    hills = 260.0 * np.maximum(noise[2], 0.0) / (1.0 + np.exp(-(inland - 120.0) / 60.0))
    mountains = np.maximum(coastal, 0.0) + arc * (1.0 + 0.2 * noise[2]) + hills
    carved = 0.65 * np.exp(-((noise[3] / 0.3) ** 2))
    height = plain + mountains * (1.0 - carved)
    orog = np.maximum(height, 0.0)
    sftlf = np.clip(0.5 + height / (2.0 * SHORE_M), 0.0, 1.0)
    metres = 1e3 * (region.x_km[1] - region.x_km[0])
    slope_y, slope_x = np.gradient(gaussian_filter(orog, SLOPE), metres)
    depth = np.maximum(gaussian_filter(orog, SURROUNDINGS) - orog, 0.0) * sftlf
    smooth = [gaussian_filter(field, MODEL) for field in (orog, sftlf)]
    fields = (orog, sftlf, slope_x, slope_y, depth, *smooth)
    return Terrain(*(field.astype(np.float32) for field in fields))
