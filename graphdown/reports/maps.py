"""Maps: fields on the native cells of any grid as small pictures in one common frame."""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from graphdown.reports.colours import COLOURS, ColourScale
from meshes.geometry.sphere import normalise, tangent_frame
from meshes.grids.grid import Grid
from meshes.grids.outline import outline

if TYPE_CHECKING:
    from matplotlib.contour import ContourSet
    from PIL.Image import Image

LONGER_SIDE = 340
MARGIN = 4
COAST_WIDTH = 3
MISSING, OUTSIDE, COAST = COLOURS, COLOURS + 1, COLOURS + 2
EXTRA_RGB = np.array([[214, 214, 214], [255, 255, 255], [60, 60, 60]], np.uint8)
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Frame:
    """The window all maps share: an equal-area projection around a grid, north up.

    Attributes:
        axes: unit vectors [3, 3] that point east, north and up at the centre.
        low: projected coordinates [2] of the lower left corner.
        scale: pixels per unit of the projected coordinates.
        size: width and height in pixels.
    """

    axes: np.ndarray
    low: np.ndarray
    scale: float
    size: tuple[int, int]

    @classmethod
    def around(cls, grid: Grid) -> "Frame":
        """Return the frame that holds every used cell of the grid."""
        centre = (grid.xyz * grid.area[:, None])[grid.mask].sum(axis=0)
        far_from_global = np.linalg.norm(centre) > 1e-6 * grid.area.sum()
        axes = tangent_frame(normalise(centre) if far_from_global else np.array([1.0, 0.0, 0.0]))
        flat = _project(outline(grid)[grid.mask], axes)[0].reshape(-1, 2)
        flat = flat[np.isfinite(flat).all(axis=1)]
        low, high = flat.min(axis=0), flat.max(axis=0)
        scale = (LONGER_SIDE - 2 * MARGIN) / float((high - low).max())
        width, height = np.ceil((high - low) * scale).astype(int) + 2 * MARGIN
        return cls(axes, low, scale, (int(width), int(height)))

    def pixels(self, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixel coordinates [..., 2] of unit vectors and whether they can be shown."""
        flat, visible = _project(xyz, self.axes)
        x, y = np.moveaxis((flat - self.low) * self.scale + MARGIN, -1, 0)
        return np.stack([x, self.size[1] - y], axis=-1), visible

    def cells(self, grid: Grid) -> np.ndarray:
        """Return which cell of the grid each pixel shows, int [height, width]; -1 for none."""
        from PIL import Image, ImageDraw

        image = Image.new("I", self.size, NOTHING)
        draw = ImageDraw.Draw(image)
        corners, visible = self.pixels(outline(grid))
        inside = (corners.max(axis=1) >= 0) & (corners.min(axis=1) <= self.size)
        for cell in np.flatnonzero(visible.all(axis=1) & inside.all(axis=1)):
            draw.polygon(corners[cell].ravel().tolist(), fill=int(cell))
        return np.asarray(image)

    def contour(self, grid: Grid, values: np.ndarray, level: float) -> np.ndarray:
        """Return the pixels bool [height, width] on the contour of a field [N] at a level."""
        from PIL import Image, ImageDraw

        image = Image.new("1", self.size)
        draw = ImageDraw.Draw(image)
        for line in _contour_lines(grid, self.pixels(grid.xyz)[0], values, level):
            draw.line(line.ravel().tolist(), fill=1, width=COAST_WIDTH)
        return np.asarray(image)


def _project(xyz: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Lambert's azimuthal equal-area coordinates [..., 2] and whether they are usable."""
    east, north, up = np.moveaxis(xyz @ axes.T, -1, 0)
    visible = up > -0.95
    stretch = np.sqrt(2.0 / np.where(visible, 1.0 + up, np.nan))
    return np.stack([stretch * east, stretch * north], axis=-1), visible


def _contour_lines(
    grid: Grid, points: np.ndarray, values: np.ndarray, level: float
) -> list[np.ndarray]:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    if not np.nanmin(values) < level < np.nanmax(values):
        return []
    contours: ContourSet
    if len(grid.shape) == 2:
        fields = (a.reshape(grid.shape) for a in (points[:, 0], points[:, 1], values))
        contours = axes.contour(*fields, [level])
    else:
        contours = axes.tricontour(points[:, 0], points[:, 1], values, [level])
    lines = map(np.asarray, contours.get_paths()[0].to_polygons(closed_only=False))
    return [line for line in lines if len(line) > 1]


@dataclass(frozen=True, eq=False)
class MapCanvas:
    """Canvas for fields of one grid in a frame.

    Attributes:
        frame: the window.
        grid: the grid of the fields.
        footprint: bool [height, width] of the pixels to draw; all by default.
        coast: bool [height, width] of the pixels of the coastline.
    """

    frame: Frame
    grid: Grid
    footprint: np.ndarray | None = None
    coast: np.ndarray | None = None

    @cached_property
    def cells(self) -> np.ndarray:
        """The cell that each pixel shows, int [height, width]; -1 for none."""
        cells = self.frame.cells(self.grid)
        return cells if self.footprint is None else np.where(self.footprint, cells, NOTHING)

    def png(self, values: np.ndarray, scale: ColourScale) -> bytes:
        """Return the field [N] as a PNG with a palette; missing cells are grey."""
        from PIL import Image

        place = np.nan_to_num(scale.position(values))
        index = np.where(np.isfinite(values), np.rint(place * (COLOURS - 1)), MISSING)
        pixels = np.append(index, OUTSIDE).astype(np.uint8)[self.cells]
        if self.coast is not None:
            pixels[self.coast & (self.cells != NOTHING)] = COAST
        image = Image.frombytes("P", self.frame.size, pixels.tobytes())
        image.putpalette(np.concatenate([scale.rgb(), EXTRA_RGB]).ravel().tolist())
        return _encode(image)


def _encode(image: "Image") -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
