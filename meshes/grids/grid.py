"""Grid: the points of any horizontal grid, and every way to get one."""

from dataclasses import fields, replace
from typing import Self

import numpy as np
import xarray as xr

from meshes.geometry import cells
from meshes.grids.axes import gaussian_grid, regular_grid
from meshes.grids.base import GridData
from meshes.grids.catalogue import named_grid
from meshes.grids.outline import outline
from meshes.grids.points import point_coords, points_grid
from meshes.grids.reading import grid_from_dataset, grids_of_dataset
from meshes.grids.rotated import mapping_attrs, rotated_grid


class Grid(GridData):
    """Points on the sphere with their cells.

    Attributes:
        lon, lat: degrees, float64 [N] in C order over `shape`; lon in [-180, 180).
        area: cell areas in steradian, float64 [N].
        mask: bool [N], True where a point is used.
        shape, dims: sizes and names of the horizontal dimensions.
        kind: "regular", "gaussian", "rectilinear", "rotated_pole", the CF name of another
            projection such as "lambert_conformal_conic", "curvilinear", "cubed_sphere",
            "unstructured".
        corners: cell vertices [N, V, 2] as lon, lat in degrees, counter-clockwise, longitudes
            continuous around lon; None if unknown.
        coords: the coordinate variables with bounds and grid mapping, to write results with.
    """

    def __repr__(self) -> str:
        sizes = ", ".join(f"{d}: {n}" for d, n in zip(self.dims, self.shape, strict=True))
        return f"<meshes.Grid {self.kind} ({sizes}), about {self.spacing_km:.0f} km>"

    @classmethod
    def from_data(cls, data: GridData) -> Self:
        """Return the grid of data that a reader or a maker of grids returned."""
        return cls(**{field.name: getattr(data, field.name) for field in fields(GridData)})

    @classmethod
    def from_dataset(cls, ds: xr.Dataset, mask: xr.DataArray | np.ndarray | None = None) -> Self:
        """Return the horizontal grid of a CF dataset.

        Understood are 1-D latitude and longitude, 2-D ones (rotated pole, Lambert and other
        curvilinear grids), rotated or projected axes with their grid mapping alone, lists of
        points, the six faces of a cubed sphere, SCRIP, UGRID, MPAS, and HEALPix by its grid
        mapping. Areas and corners come from the bounds where the file has them (of either
        orientation, or N + 1 edges); else from midpoints or Voronoi cells. Cells without
        coordinates, and rows or columns of a 2-D grid stored twice, are masked and have no area.

        Args:
            ds: dataset whose variables share one horizontal grid.
            mask: True where a point is used, on the horizontal dimensions; all by default.

        Raises:
            ValueError: no or several horizontal grids, coordinates that are no degrees, axes
                without cell sizes, a mask of another shape.
        """
        return cls.from_data(grid_from_dataset(ds, mask))

    @classmethod
    def named(cls, name: str) -> Self:
        """Return a grid by name: a CORDEX domain or a usual GCM grid (see
        `meshes.grids.catalogue`).

        Raises:
            ValueError: the name is unknown; the closest known ones are listed.
        """
        return cls.from_data(named_grid(name))

    @classmethod
    def regular(
        cls, dlon: float, dlat: float, bounds: tuple[float, float, float, float] | None = None
    ) -> Self:
        """Return a regular longitude-latitude grid.

        Args:
            dlon, dlat: cell sizes in degrees.
            bounds: (west, south, east, north) edges of the region in degrees, the globe by
                default; as many whole cells as fit, counted from the south-west corner.

        Raises:
            ValueError: sizes or bounds that hold no cell.
        """
        return cls.from_data(regular_grid(dlon, dlat, bounds))

    @classmethod
    def gaussian(cls, nlat: int, bounds: tuple[float, float, float, float] | None = None) -> Self:
        """Return the Gaussian grid of nlat latitudes and 2 nlat longitudes (full, not reduced).

        Args:
            nlat: number of latitudes from pole to pole, even; T63 has 96, T127 has 192.
            bounds: (west, south, east, north) in degrees; points inside are kept.

        Raises:
            ValueError: an odd number of latitudes, or bounds that hold no point.
        """
        return cls.from_data(gaussian_grid(nlat, bounds))

    @classmethod
    def rotated(cls, pole_lon: float, pole_lat: float, rlon: np.ndarray, rlat: np.ndarray) -> Self:
        """Return a rotated-pole grid.

        Args:
            pole_lon, pole_lat: CF's grid_north_pole_longitude and grid_north_pole_latitude.
            rlon, rlat: rotated coordinates in degrees, 1-D, monotonic, at least two values each.

        Raises:
            ValueError: an axis of one value, or one that is not monotonic.
        """
        return cls.from_data(rotated_grid(rlon, rlat, mapping_attrs(pole_lon, pole_lat)))

    @classmethod
    def from_points(cls, lon: np.ndarray, lat: np.ndarray, area: np.ndarray | None = None) -> Self:
        """Return any points [N] in degrees as an unstructured grid.

        Args:
            lon, lat: degrees [N].
            area: steradian [N]; areas (and corners) of the Voronoi cells by default.

        Points given more than once are kept and share one cell; interpolation takes the mean of
        their values by area.

        Raises:
            ValueError: points of unequal number or outside the range of degrees, areas that are
                not positive, or points too few and too far apart to derive areas.
        """
        return cls.from_data(points_grid(lon, lat, area))

    def select(self, keep: np.ndarray) -> Self:
        """Return a subset of the points (boolean [N] or indices) as an unstructured grid."""
        keep = np.asarray(keep)
        lon, lat = self.lon[keep], self.lat[keep]
        if self.kind == "unstructured" and self.corners is not None:
            corners = self.corners[keep]
        else:
            corners = cells.corners_to_lonlat(outline(self)[keep], lon)
        return replace(
            self,
            lon=lon,
            lat=lat,
            area=self.area[keep],
            mask=self.mask[keep],
            shape=(len(lon),),
            dims=("cell",),
            kind="unstructured",
            corners=corners,
            coords=point_coords(lon, lat, corners),
        )


def grids_in(ds: xr.Dataset) -> list[tuple[list[str], Grid]]:
    """Return every horizontal grid of a dataset with the names of the variables on it.

    Raises:
        ValueError: a grid cannot be made (see `Grid.from_dataset`).
    """
    return [(names, Grid.from_data(data)) for names, data in grids_of_dataset(ds)]
