"""Grid: the points of any horizontal grid, with cell areas, cell corners and a mask."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr
from scipy.spatial import QhullError

from meshes.geometry import cells
from meshes.geometry.sphere import EARTH_RADIUS_KM, lonlat_to_xyz, wrap_longitude

LONLAT_KINDS = ("regular", "gaussian", "rectilinear")
LAT_ATTRS = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}
LON_ATTRS = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
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

    lon: np.ndarray
    lat: np.ndarray
    area: np.ndarray
    mask: np.ndarray
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    kind: str
    corners: np.ndarray | None
    coords: xr.Dataset

    def __repr__(self) -> str:
        sizes = ", ".join(f"{d}: {n}" for d, n in zip(self.dims, self.shape, strict=True))
        return f"<meshes.Grid {self.kind} ({sizes}), about {self.spacing_km:.0f} km>"

    @property
    def size(self) -> int:
        """Number of points N, masked ones included."""
        return len(self.lon)

    @cached_property
    def xyz(self) -> np.ndarray:
        """Unit vectors [N, 3]."""
        if self.kind in LONLAT_KINDS and len(self.shape) == 2:
            lon, lat = (_axis(v.reshape(self.shape)) for v in (self.lon, self.lat))
            return lonlat_to_xyz(lon, lat).reshape(-1, 3)
        return lonlat_to_xyz(self.lon, self.lat)

    @cached_property
    def spacing_km(self) -> float:
        """Median over the used cells of the square root of the area, in km."""
        area = self.area[self.mask] if self.mask.any() else self.area
        return float(np.median(np.sqrt(area)) * EARTH_RADIUS_KM)

    def values(self, da: xr.DataArray) -> np.ndarray:
        """Return the array's values [..., N], the horizontal dimensions moved last and flattened.

        Raises:
            ValueError: the array lacks a horizontal dimension, or has another size or other
                coordinates along one than the grid.
        """
        missing = [d for d in self.dims if d not in da.dims]
        if missing:
            raise ValueError(
                f"{da.name!r} has dimensions {da.dims} but the grid needs {self.dims}; "
                f"rename or add {missing}."
            )
        self._check_same_points(da)
        ordered = da.transpose(..., *self.dims)
        return ordered.values.reshape(*ordered.shape[: -len(self.dims)], self.size)

    def _check_same_points(self, da: xr.DataArray) -> None:
        for dim, size in zip(self.dims, self.shape, strict=True):
            if da.sizes[dim] != size:
                raise ValueError(
                    f"{da.name!r} has {da.sizes[dim]} points along {dim!r}, the grid has {size}; "
                    "build the grid from this dataset or cut both alike."
                )
            if dim not in da.coords or dim not in self.coords.coords:
                continue
            given, own = da.coords[dim].values, self.coords.coords[dim].values
            if np.issubdtype(own.dtype, np.number) and not np.allclose(given, own, atol=1e-4):
                raise ValueError(
                    f"{da.name!r} has other values of {dim!r} than the grid "
                    f"({given[0]:g} to {given[-1]:g}, the grid has {own[0]:g} to {own[-1]:g}); "
                    "build the grid from this dataset or sort both alike."
                )

    def dataarray(
        self,
        values: np.ndarray,
        name: str | None = None,
        dims: Sequence[str] = (),
        coords: Mapping[str, object] | None = None,
        attrs: Mapping[str, object] | None = None,
    ) -> xr.DataArray:
        """Return values [..., N] as an array on this grid, its coordinates attached.

        Args:
            values: array [..., N].
            name: name of the result.
            dims: names of the leading dimensions.
            coords: coordinates of the leading dimensions.
            attrs: attributes; `grid_mapping` is added where the grid has one.

        Raises:
            ValueError: the last axis does not have N entries, or the number of names differs
                from the number of leading axes.
        """
        values = np.asarray(values)
        if values.ndim == 0 or values.shape[-1] != self.size:
            raise ValueError(
                f"The grid has {self.size} points, the values have shape {values.shape}; "
                "the last axis must hold the points."
            )
        if len(dims) != values.ndim - 1:
            raise ValueError(
                f"The values have {values.ndim - 1} leading axes but dims names {tuple(dims)}."
            )
        own = self._point_coords()
        mapping = self.grid_mapping
        extra = {} if mapping is None else {"grid_mapping": str(mapping)}
        return xr.DataArray(
            values.reshape(*values.shape[:-1], *self.shape),
            dims=(*dims, *self.dims),
            coords={**own, **(coords or {})},
            name=name,
            attrs={**(attrs or {}), **extra},
        )

    def _point_coords(self) -> dict[Hashable, xr.Variable]:
        """Return the coordinates that fit on an array: no bounds, and no mention of them."""
        variables = {}
        for name, variable in self.coords.variables.items():
            if set(variable.dims) <= set(self.dims):
                attrs = {k: v for k, v in variable.attrs.items() if k != "bounds"}
                variables[name] = xr.Variable(variable.dims, variable.values, attrs)
        return variables

    @property
    def grid_mapping(self) -> Hashable | None:
        """Name of the grid mapping variable among the coordinates, None without one."""
        names = [n for n, v in self.coords.variables.items() if "grid_mapping_name" in v.attrs]
        return names[0] if names else None

    def select(self, keep: np.ndarray) -> "Grid":
        """Return a subset of the points (boolean [N] or indices) as an unstructured grid."""
        from meshes.grids.outline import outline

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

    @classmethod
    def from_dataset(cls, ds: xr.Dataset, mask: xr.DataArray | np.ndarray | None = None) -> "Grid":
        """Return the horizontal grid of a CF dataset.

        Understood are 1-D latitude and longitude, 2-D ones (rotated pole, Lambert and other
        curvilinear grids), rotated or projected axes with their grid mapping alone, lists of
        points, the six faces of a cubed sphere, SCRIP, UGRID, MPAS, and HEALPix by its grid
        mapping. Areas and corners come from the bounds where the file has them (of either
        orientation, or N + 1 edges); else from midpoints or Voronoi cells. Cells without a place,
        and rows or columns of a 2-D grid stored twice, are masked and have no area.

        Args:
            ds: dataset whose variables share one horizontal grid.
            mask: True where a point is used, on the horizontal dimensions; all by default.

        Raises:
            ValueError: no or several horizontal grids, coordinates that are no degrees, axes
                that tell no cells, a mask of another shape.
        """
        from meshes.grids.reading import grid_from_dataset

        return grid_from_dataset(ds, mask)

    @classmethod
    def named(cls, name: str) -> "Grid":
        """Return a grid by name: a CORDEX domain or a usual GCM grid (see
        `meshes.grids.catalogue`).

        Raises:
            ValueError: the name is unknown; the closest known ones are listed.
        """
        from meshes.grids.catalogue import named_grid

        return named_grid(name)

    @classmethod
    def regular(
        cls, dlon: float, dlat: float, bounds: tuple[float, float, float, float] | None = None
    ) -> "Grid":
        """Return a regular longitude-latitude grid.

        Args:
            dlon, dlat: cell sizes in degrees.
            bounds: (west, south, east, north) edges of the region in degrees, the globe by
                default; as many whole cells as fit, counted from the south-west corner.
        """
        west, south, east, north = bounds or (0.0, -90.0, 360.0, 90.0)
        if not (0 < dlon <= 180 and 0 < dlat <= 90 and east > west and north > south):
            raise ValueError(
                f"No regular grid with cells of {dlon} x {dlat} degrees and bounds {bounds}: "
                "sizes must be positive and bounds (west, south, east, north) increase."
            )
        lon = west + dlon * (np.arange(_whole(east - west, dlon, "longitude")) + 0.5)
        lat = south + dlat * (np.arange(_whole(north - south, dlat, "latitude")) + 0.5)
        return axes_grid(lon, lat, "regular", _around(lon, dlon), _around(lat, dlat))

    @classmethod
    def gaussian(cls, nlat: int, bounds: tuple[float, float, float, float] | None = None) -> "Grid":
        """Return the Gaussian grid of nlat latitudes and 2 nlat longitudes (full, not reduced).

        Args:
            nlat: number of latitudes from pole to pole, even; T63 has 96, T127 has 192.
            bounds: (west, south, east, north) in degrees; points inside are kept.
        """
        if nlat < 2 or nlat % 2:
            raise ValueError(f"A Gaussian grid needs an even number of latitudes, not {nlat}.")
        lat, lat_bounds = cells.gaussian_latitudes(nlat)
        step = 180.0 / nlat
        lon = step * np.arange(2 * nlat)
        if bounds is not None:
            west, south, east, north = bounds
            lon = west + np.mod(lon - west, 360.0)
            lon = np.sort(lon[lon <= east])
            inside = (lat >= south) & (lat <= north)
            lat, lat_bounds = lat[inside], lat_bounds[inside]
        if not lon.size or not lat.size:
            raise ValueError(f"The bounds {bounds} hold no point of the Gaussian grid F{nlat}.")
        return axes_grid(lon, lat, "gaussian", _around(lon, step), lat_bounds)

    @classmethod
    def rotated(
        cls, pole_lon: float, pole_lat: float, rlon: np.ndarray, rlat: np.ndarray
    ) -> "Grid":
        """Return a rotated-pole grid.

        Args:
            pole_lon, pole_lat: CF's grid_north_pole_longitude and grid_north_pole_latitude.
            rlon, rlat: rotated coordinates in degrees, 1-D, monotonic, at least two values each.
        """
        from meshes.grids.rotated import mapping_attrs, rotated_grid

        rlon, rlat = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (rlon, rlat))
        return rotated_grid(rlon, rlat, mapping_attrs(pole_lon, pole_lat))

    @classmethod
    def from_points(
        cls, lon: np.ndarray, lat: np.ndarray, area: np.ndarray | None = None
    ) -> "Grid":
        """Return any points [N] in degrees as an unstructured grid.

        Args:
            lon, lat: degrees [N].
            area: steradian [N]; areas (and corners) of the Voronoi cells by default.

        Points given more than once are kept and share one cell; interpolation takes the mean of
        their values by area.

        Raises:
            ValueError: points of unequal number or without a place on the sphere, areas that are
                not positive, or points too few and too far apart to derive areas.
        """
        lon, lat = _numbers(lon, "longitude"), _numbers(lat, "latitude")
        if lon.shape != lat.shape or lon.ndim != 1 or not lon.size:
            raise ValueError(
                f"Points need longitudes and latitudes of one length, not {lon.shape} and "
                f"{lat.shape}."
            )
        for what, values, limit in (("longitude", lon, 1e6), ("latitude", lat, 90.0)):
            wrong = np.flatnonzero(~(np.abs(values) <= limit))
            if wrong.size:
                raise ValueError(
                    f"The {what} of point {wrong[0]} is {values[wrong[0]]:g}, no {what} in degrees "
                    f"({wrong.size} in all); correct or drop such points."
                )
        return points_grid(wrap_longitude(lon), lat, area, point_coords(lon, lat))


def axes_grid(
    lon: np.ndarray,
    lat: np.ndarray,
    kind: str,
    lon_bounds: np.ndarray,
    lat_bounds: np.ndarray,
    coords: xr.Dataset | None = None,
    dims: tuple[str, str] = ("lat", "lon"),
) -> Grid:
    """Return the grid of two axes: continuous lon [nx], lat [ny] and their bounds, in degrees."""
    shape = (len(lat), len(lon))
    centre = np.tile(lon, len(lat))
    corners = cells.box_corners(lon_bounds, lat_bounds)
    wrapped = wrap_longitude(centre)
    corners[..., 0] += (wrapped - centre)[:, None]
    return Grid(
        lon=wrapped,
        lat=np.repeat(lat, len(lon)),
        area=cells.box_areas(lon_bounds, lat_bounds),
        mask=np.ones(len(centre), dtype=bool),
        shape=shape,
        dims=dims,
        kind=kind,
        corners=corners,
        coords=axes_coords(lon, lat, lon_bounds, lat_bounds) if coords is None else coords,
    )


def points_grid(
    lon: np.ndarray,
    lat: np.ndarray,
    area: np.ndarray | None,
    coords: xr.Dataset,
    dims: tuple[str, ...] = ("cell",),
) -> Grid:
    """Return the unstructured grid of points, with Voronoi cells unless areas are given."""
    from meshes.geometry.triangulation import voronoi_cells

    corners = None
    if area is None:
        try:
            xyz_corners, area = voronoi_cells(lonlat_to_xyz(lon, lat))
        except QhullError as error:
            raise ValueError(
                f"No cells can be drawn around {len(lon)} points so far apart; give their areas."
            ) from error
        corners = cells.corners_to_lonlat(xyz_corners, lon)
    area = np.broadcast_to(np.asarray(area, dtype=np.float64), lon.shape).copy()
    if not (area > 0).all():
        raise ValueError("Cell areas must be positive.")
    mask = np.ones(len(lon), dtype=bool)
    return Grid(lon, lat, area, mask, (len(lon),), dims, "unstructured", corners, coords)


def axes_coords(
    lon: np.ndarray, lat: np.ndarray, lon_bounds: np.ndarray, lat_bounds: np.ndarray
) -> xr.Dataset:
    """Return CF coordinate variables of a latitude and a longitude axis."""
    return xr.Dataset(
        coords={
            "lat": ("lat", lat, {**LAT_ATTRS, "axis": "Y", "bounds": "lat_bnds"}),
            "lon": ("lon", lon, {**LON_ATTRS, "axis": "X", "bounds": "lon_bnds"}),
            "lat_bnds": (("lat", "bnds"), lat_bounds),
            "lon_bnds": (("lon", "bnds"), lon_bounds),
        }
    )


def point_coords(lon: np.ndarray, lat: np.ndarray, corners: np.ndarray | None = None) -> xr.Dataset:
    """Return CF coordinate variables of a list of points, with the bounds of their cells if known.

    Args:
        lon, lat: degrees [N].
        corners: cell vertices [N, V, 2] as lon, lat in degrees.
    """
    coords = xr.Dataset(coords={"lat": ("cell", lat, LAT_ATTRS), "lon": ("cell", lon, LON_ATTRS)})
    if corners is None:
        return coords
    for column, name in enumerate(("lon", "lat")):
        coords[name].attrs["bounds"] = f"{name}_bnds"
        coords.coords[f"{name}_bnds"] = (("cell", "nv"), corners[..., column])
    return coords


def transposed(grid: Grid) -> Grid:
    """Return a two-dimensional grid with its dimensions exchanged."""
    index = np.arange(grid.size).reshape(grid.shape).T.ravel()
    return replace(
        grid,
        lon=grid.lon[index],
        lat=grid.lat[index],
        area=grid.area[index],
        mask=grid.mask[index],
        shape=grid.shape[::-1],
        dims=grid.dims[::-1],
        corners=None if grid.corners is None else grid.corners[index],
    )


def _numbers(values: np.ndarray, what: str) -> np.ndarray:
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"The {what}s are not numbers ({error}); convert them first.") from error


def _axis(values: np.ndarray) -> np.ndarray:
    """Return the row or the column that all of an array [n, m] repeats, or the array."""
    for once in (values[:1], values[:, :1]):
        if np.array_equal(np.broadcast_to(once, values.shape), values):
            return once
    return values


def _whole(extent: float, step: float, what: str) -> int:
    count = int(np.floor(extent / step + 1e-6))
    if count < 1:
        raise ValueError(f"No whole cell of {step} degrees of {what} fits into {extent} degrees.")
    return count


def _around(axis: np.ndarray, step: float) -> np.ndarray:
    return np.stack([axis - step / 2.0, axis + step / 2.0], axis=1)
