"""Grids by name: CORDEX domains, the grids of common global models, HEALPix."""

import difflib
import re
from collections.abc import Callable

import numpy as np
import xarray as xr

from meshes.geometry import cells
from meshes.geometry.sphere import normalise, xyz_to_lonlat
from meshes.grids.axes import axes_grid, gaussian_grid, regular_grid
from meshes.grids.base import LAT_ATTRS, LON_ATTRS, GridData
from meshes.grids.healpix import ring_centres
from meshes.grids.icosahedral import icon_grid
from meshes.grids.points import points_grid
from meshes.grids.reading import grid_from_dataset
from meshes.grids.rotated import mapping_attrs, rotated_grid

# Names, points in x and y, centre of the lower left cell, spacing (degrees). From "CORDEX domains
# for model integrations" and its CMIP6 successor; an "i" marks the interpolated regular grids.
_DOMAINS = """
AFR-12/AFR-11    776 804 -24.805 -45.925 0.11
AFR-25/AFR-22    388 402 -24.75 -45.87 0.22
AFR-50/AFR-44    194 201 -24.64 -45.76 0.44
AFR-50i/AFR-44i  173 179 -25.25 -46.25 0.5
ANT-11           500 388 152.555 -27.885 0.11
ANT-12           660 531 144.0 -28.0 0.1
ANT-50/ANT-44    125 97 152.72 -27.72 0.44
ANT-50i/ANT-44i  720 70 -179.75 -89.75 0.5
ARC-11           464 532 -23.045 -24.365 0.11
ARC-12           577 582 -29.9 -24.2 0.1
ARC-50/ARC-44    116 133 -22.88 -24.2 0.44
ARC-50i/ARC-44i  720 83 -179.75 48.75 0.5
AUS-12/AUS-11    800 516 141.995 -23.045 0.11
AUS-25/AUS-22    400 258 142.05 -22.99 0.22
AUS-50/AUS-44    200 129 142.16 -22.88 0.44
AUS-50i/AUS-44i  238 133 88.75 -53.25 0.5
CAM-12/CAM-11    840 452 -52.965 -28.765 0.11
CAM-25/CAM-22    420 226 -52.91 -28.71 0.22
CAM-50/CAM-44    210 113 -52.8 -28.6 0.44
CAM-50i/CAM-44i  207 111 -124.75 -19.75 0.5
CAS-12/CAS-11    612 400 -34.485 -20.845 0.11
CAS-25/CAS-22    306 200 -34.43 -20.79 0.22
CAS-50/CAS-44    153 100 -34.32 -20.68 0.44
CAS-50i/CAS-44i  260 133 10.75 17.75 0.5
EAS-12/EAS-11    812 668 -41.085 -27.005 0.11
EAS-25/EAS-22    396 251 -43.23 -22.1 0.22
EAS-50/EAS-44    203 167 -40.92 -26.84 0.44
EAS-50i/EAS-44i  227 157 62.75 -18.75 0.5
EUR-12/EUR-11    424 412 -28.375 -23.375 0.11
EUR-12i/EUR-11i  881 408 -44.8125 21.8125 0.125
EUR-25/EUR-22    212 206 -28.32 -23.32 0.22
EUR-50/EUR-44    106 103 -28.21 -23.21 0.44
EUR-50i/EUR-44i  221 103 -44.75 21.75 0.5
MED-12/MED-11    392 252 -23.385 -21.505 0.11
MED-50/MED-44    98 63 -23.22 -21.34 0.44
MED-50i/MED-44i  144 65 -20.75 25.25 0.5
MNA-12/MNA-11    928 472 -26.565 -6.765 0.11
MNA-25/MNA-22    464 236 -26.51 -6.71 0.22
MNA-25i/MNA-22i  410 209 -26.625 -6.875 0.25
MNA-50/MNA-44    232 118 -26.4 -6.6 0.44
MNA-50i/MNA-44i  206 106 -26.75 -7.25 0.5
NAM-12/NAM-11    620 520 -34.045 -28.565 0.11
NAM-25/NAM-22    310 260 -33.99 -28.51 0.22
NAM-50/NAM-44    155 130 -33.88 -28.4 0.44
NAM-50i/NAM-44i  300 129 -171.75 12.25 0.5
SAM-12/SAM-11    584 668 143.755 -38.445 0.11
SAM-25/SAM-22    292 334 143.81 -38.39 0.22
SAM-50/SAM-44    146 167 143.92 -38.28 0.44
SAM-50i/SAM-44i  181 155 -106.25 -58.25 0.5
SEA-12/SEA-11    528 388 89.205 -15.235 0.11
SEA-25/SEA-22    264 194 89.26 -15.18 0.22
SEA-25i/SEA-22i  233 172 89.125 -15.375 0.25
WAS-12/WAS-11    772 520 -32.285 -21.725 0.11
WAS-25/WAS-22    386 260 -32.23 -21.67 0.22
WAS-50/WAS-44    193 130 -32.12 -21.56 0.44
WAS-50i/WAS-44i  195 124 19.25 -15.75 0.5
"""

# Rotated north pole (longitude, latitude) by region; regions that are missing are not rotated.
_POLES = {
    "ANT": (-166.92, 6.08),
    "ANT-12": (20.0, 5.0),
    "ARC": (0.0, 6.55),
    "AUS": (141.38, 60.31),
    "CAM": (113.98, 75.74),
    "CAS": (-103.39, 43.48),
    "EAS": (-64.78, 77.61),
    "EUR": (-162.0, 39.25),
    "MED": (198.0, 39.25),
    "NAM": (83.0, 42.5),
    "SAM": (-56.06, 70.6),
    "WAS": (-123.34, 79.95),
}

# Latitudes of the Gaussian grid that belongs to a spectral truncation: quadratic (T), linear (TL).
_TRUNCATIONS = {
    "T21": 32, "T31": 48, "T42": 64, "T62": 94, "T63": 96, "T85": 128, "T106": 160, "T127": 192,
    "T170": 256, "T213": 320, "TL95": 96, "TL127": 128, "TL159": 160, "TL255": 256, "TL511": 512,
}  # fmt: skip

# Longitudes and latitudes of global grids with a row on each pole and a column at Greenwich.
_WITH_POLES = {
    "f02": (1152, 768), "f09": (288, 192), "f19": (144, 96),  # CESM, NorESM, CMCC, TaiESM
    "LMDZ-96x96": (96, 96), "LMDZ-144x143": (144, 143),  # IPSL
    "ERA5": (1440, 721), "ERA-Interim": (480, 241), "NCEP": (144, 73),
}  # fmt: skip

_FORMS = (
    "T63, F48 (96 Gaussian latitudes), O96 (octahedral reduced Gaussian), 1.875x1.25 (degrees), "
    "UM-N96, C48 (cubed sphere), R2B4 (ICON), HEALPix-32"
)


def names() -> list[str]:
    """Return the names of all listed grids; `named_grid` also takes forms such as F48."""
    return sorted([*_domains(), "ALPS-12"]) + [*_TRUNCATIONS, *_WITH_POLES]


def named_grid(name: str) -> GridData:
    """Return a grid by name (see `Grid.named`).

    Known are the CORDEX domains in both spellings ("EUR-11" and "EUR-12" are the same grid;
    "ANT-12" and "ARC-12" are those of CMIP6), "ALPS-12" of CORDEX-ML-Bench, spectral truncations
    ("T63", "TL255"), grids of models and reanalyses ("f09", "LMDZ-144x143", "ERA5"), and these
    forms: full Gaussian grids ("F48": 48 latitudes per hemisphere), octahedral reduced Gaussian
    ones ("O96"), regular ones ("1.875x1.25"), the Unified Model's ("UM-N96"), equiangular cubed
    spheres ("C48"), ICON's triangles before their springs are relaxed ("R2B4") and HEALPix in
    ring order ("HEALPix-32").

    Raises:
        ValueError: the name is unknown.
    """
    if name in _domains():
        return _cordex(name)
    if name == "ALPS-12":
        return _alps()
    if name in _TRUNCATIONS:
        return gaussian_grid(_TRUNCATIONS[name])
    if name in _WITH_POLES:
        return _with_poles(*_WITH_POLES[name])
    for pattern, make in _FORM_MAKERS.items():
        if match := re.fullmatch(pattern, name):
            return make(*match.groups())
    close = difflib.get_close_matches(name, names(), n=3, cutoff=0.4)
    hint = f"perhaps you meant {' or '.join(close)}; " if close else ""
    raise ValueError(
        f"No grid is named {name!r}: {hint}known are CORDEX domains such as EUR-11 and forms such "
        f"as {_FORMS}."
    )


def _domains() -> dict[str, list[float]]:
    table = {}
    for line in _DOMAINS.strip().splitlines():
        keys, *numbers = line.split()
        table.update(dict.fromkeys(keys.split("/"), [float(n) for n in numbers]))
    return table


def _cordex(name: str) -> GridData:
    nx, ny, west, south, step = _domains()[name]
    x = np.round(west + step * np.arange(int(nx)), 6)
    y = np.round(south + step * np.arange(int(ny)), 6)
    pole = _POLES.get(name, _POLES.get(name[:3]))
    if pole is None or name.endswith("i"):
        bounds = cells.longitude_bounds(x), cells.latitude_bounds(y)
        return axes_grid(x, y, "regular", *bounds)
    return rotated_grid(x, y, mapping_attrs(*pole))


def _global_regular(dlon: float, dlat: float) -> GridData:
    if not (_divides(dlon, 360.0) and _divides(dlat, 180.0)):
        raise ValueError(
            f"Cells of {dlon:g} x {dlat:g} degrees do not divide the globe evenly; make the grid "
            "with Grid.regular and bounds."
        )
    return regular_grid(dlon, dlat)


def _with_poles(nlon: int, nlat: int) -> GridData:
    lon, lat = 360.0 / nlon * np.arange(nlon), np.linspace(-90.0, 90.0, nlat)
    return axes_grid(lon, lat, "regular", cells.longitude_bounds(lon), cells.latitude_bounds(lat))


def _divides(step: float, extent: float) -> bool:
    return step > 0 and abs(extent / step - round(extent / step)) < 1e-6 * extent / step


def _alps() -> GridData:
    """Return CORDEX-ML-Bench's Alpine target: 128 x 128 points at 12.5 km, Lambert conformal.

    Tangent at 49.5 N, central meridian 10.5 E, false origin 2825 km west and south of it, on a
    sphere of 6371.229 km.
    """
    x, y = 2062.5 + 12.5 * np.arange(128), 1412.5 + 12.5 * np.arange(128)
    false_origin, radius, lat0, lon0 = 2825.0, 6371.229, 49.5, 10.5
    xx, yy = np.meshgrid(x - false_origin, y - false_origin)
    lon, lat = _lambert_inverse(xx / radius, yy / radius, np.radians(lat0))
    lon = lon + lon0
    mapping = {
        "grid_mapping_name": "lambert_conformal_conic",
        "standard_parallel": lat0,
        "latitude_of_projection_origin": lat0,
        "longitude_of_central_meridian": lon0,
        "false_easting": false_origin,
        "false_northing": false_origin,
        "earth_radius": radius * 1000.0,
    }
    coords = xr.Dataset(
        coords={
            "y": ("y", y, _projected("y")),
            "x": ("x", x, _projected("x")),
            "lat": (("y", "x"), lat, LAT_ATTRS),
            "lon": (("y", "x"), lon, LON_ATTRS),
            "Lambert_Conformal": ((), np.int32(0), mapping),
        }
    )
    return grid_from_dataset(coords)


def _projected(axis: str) -> dict[str, str]:
    name = f"projection_{axis}_coordinate"
    return {"standard_name": name, "units": "km", "axis": axis.upper()}


def _lambert_inverse(x: np.ndarray, y: np.ndarray, lat0: float) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude from the central meridian and latitude (degrees) on the unit sphere.

    Snyder (1987), Map Projections - A Working Manual, p. 105, one standard parallel lat0.
    """
    n = np.sin(lat0)
    rho0 = np.cos(lat0) / n
    rho = np.hypot(x, rho0 - y)
    angle = np.arctan2(x, rho0 - y) / n
    lat = 2 * np.arctan((rho0 / rho) ** (1 / n) * np.tan(np.pi / 4 + lat0 / 2)) - np.pi / 2
    return np.degrees(angle), np.degrees(lat)


def _octahedral(half: int) -> GridData:
    """Return ECMWF's octahedral reduced Gaussian grid: 20 + 4 i points on row i from a pole."""
    if half < 1:
        raise ValueError(f"An octahedral grid needs at least one latitude per hemisphere: O{half}.")
    north = 20 + 4 * np.arange(half)
    count = np.concatenate([north, north[::-1]])
    lat = np.repeat(cells.gaussian_latitudes(2 * half)[0], count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return points_grid(place * 360.0 / np.repeat(count, count), lat)


def _cubed_sphere(side: int) -> GridData:
    """Return the cell centres of the equiangular gnomonic cubed sphere, side x side per face.

    Ronchi et al. (1996), J. Comput. Phys. 124, 93-114.
    """
    if side < 1:
        raise ValueError(f"A cubed sphere needs at least one cell per side of a face: C{side}.")
    middle = np.tan(np.pi / 4 * ((2 * np.arange(side) + 1) / side - 1))
    a, b = (axis.ravel() for axis in np.meshgrid(middle, middle))
    face = normalise(np.stack([np.ones_like(a), a, b], axis=1))
    turns = [(0, 1, 2), (1, 0, 2), (1, 2, 0)]
    faces = [sign * face[:, list(turn)] for turn in turns for sign in (1, -1)]
    return points_grid(*xyz_to_lonlat(np.concatenate(faces)))


def _healpix(nside: int) -> GridData:
    if nside < 1:
        raise ValueError(f"HEALPix needs nside of at least 1, got {nside}.")
    lon, lat = ring_centres(nside)
    return points_grid(lon, lat, np.full(len(lon), 4 * np.pi / len(lon)))


_FORM_MAKERS: dict[str, Callable[..., GridData]] = {
    r"F(\d+)": lambda half: gaussian_grid(2 * int(half)),
    r"O(\d+)": lambda half: _octahedral(int(half)),
    r"(\d+\.?\d*)x(\d+\.?\d*)": lambda dlon, dlat: _global_regular(float(dlon), float(dlat)),
    r"UM-N(\d+)": lambda n: regular_grid(180.0 / int(n), 120.0 / int(n)),
    r"C(\d+)": lambda side: _cubed_sphere(int(side)),
    r"R(\d+)B(\d+)": lambda root, bisections: icon_grid(int(root), int(bisections)),
    r"HEALPix-(\d+)": lambda nside: _healpix(int(nside)),
}
