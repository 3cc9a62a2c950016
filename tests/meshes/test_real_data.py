"""Grids of real files; the folder is named by GRAPHDOWN_DATA."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from meshes import Grid, bilinear, build_graph, coarsen, conservative, coverage, grids_in
from meshes.geometry.sphere import EARTH_RADIUS_KM, normalise, tangent_frame
from meshes.graphs.cell_search import in_cells

FOLDER = os.environ.get("GRAPHDOWN_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="GRAPHDOWN_DATA names no folder of real data")

EUR_11 = "tas_EUR-11_MPI-M-MPI-ESM-LR_rcp85_r1i1p1_KNMI-RACMO22E_v1_mon_209101.nc"
EUR_22 = "tas_EUR-22_MPI-M-MPI-ESM-LR_rcp85_r1i1p1_GERICS-REMO2015_v1_mon_202101.nc"
FILES = {
    "racmo22e_ecearth_historical_eur44_djf_1982-2002.nc": ("rotated_pole", 48.6),
    "racmo22e_ecearth_rcp85_eur44_djf_2080-2100.nc": ("rotated_pole", 48.6),
    "eobs05_djf_1982-1990.nc": ("regular", 48.7),
    "HSURF_regional_model_0.11deg.nc": ("rotated_pole", 12.1),
    "HSURF_regional_model_0.44deg.nc": ("rotated_pole", 46.7),
    "tasmax_ALPS.nc": ("lambert_conformal_conic", 12.4),
    EUR_11: ("rotated_pole", 12.1),
    EUR_22: ("rotated_pole", 24.2),
    "o3_AERmon_MPI-ESM1-2-LR_historical_r1i1p1f1_gn_185001.nc": ("gaussian", 175.2),
    "tas_day_MIROC6_ssp119_r1i1p1f1_gn_20150101.nc": ("gaussian", 131.4),
    "rlds_Amon_IPSL-CM6A-LR_historical_r1i1p1f1_gr_185001.nc": ("regular", 165.5),
    "tas_Amon_FGOALS-g3_historical_r1i1p1f1_gn_185001.nc": ("rectilinear", 195.1),
    "tas_Amon_ICON-ESM-LR_historical_r1i1p1f1_gn_185001.nc": ("unstructured", 158.8),
    "air_temperature_6h_2013-2014.nc": ("regular", 233.7),
    "geo_em_d01_lambert.nc": ("lambert_conformal_conic", 29.2),
    "FR-LAND_regional_model_0.11deg.nc": ("rotated_pole", 12.1),
    "FR-LAND_regional_model_0.44deg.nc": ("rotated_pole", 46.7),
    "camse_unstructured_grid.nc": ("unstructured", 102.6),
    "mesh.QU.1920km.151026.nc": ("unstructured", 1788.4),
    "landmask_0.1_0.1.nc": ("regular", 9.4),
    "era5-2mt-2019-03-uk.grib": ("regular", 21.3),
    "arome_PRECIP_NW_20180501000000.grib": ("regular", 2.3),
    "arpege_PRECIP_NW_20180501000000.grib": ("regular", 9.0),
    "NW_masks.grib": ("regular", 2.3),
}
GLOBAL = [
    "o3_AERmon_MPI-ESM1-2-LR_historical_r1i1p1f1_gn_185001.nc",
    "tas_day_MIROC6_ssp119_r1i1p1f1_gn_20150101.nc",
    "rlds_Amon_IPSL-CM6A-LR_historical_r1i1p1f1_gr_185001.nc",
    "tas_Amon_FGOALS-g3_historical_r1i1p1f1_gn_185001.nc",
    "tas_Amon_ICON-ESM-LR_historical_r1i1p1f1_gn_185001.nc",
    "camse_unstructured_grid.nc",
    "mesh.QU.1920km.151026.nc",
    "landmask_0.1_0.1.nc",
]
QUICK = GLOBAL[1:6:3]
LARGE = ["landmask_0.1_0.1.nc", "FR-LAND_regional_model_0.11deg.nc", "NW_masks.grib", EUR_11]


def with_cost(names, slow):
    """Return test cases, some of them marked as slow."""
    return [pytest.param(n, marks=[pytest.mark.slow] if n in slow else []) for n in names]


def opened(name):
    if name.endswith(".grib"):
        pytest.importorskip("cfgrib")
        options = {"engine": "cfgrib", "backend_kwargs": {"indexpath": ""}}
    else:
        options = {"decode_times": False, "engine": "netcdf4"}
    with xr.open_dataset(Path(FOLDER, name), **options) as ds:
        return ds.load() if ds.nbytes < 2e7 else ds


@pytest.mark.parametrize("name", with_cost(FILES, LARGE))
def test_files_give_the_grid_that_they_hold(name):
    kind, spacing = FILES[name]
    grid = Grid.from_dataset(opened(name))
    assert grid.kind == kind
    assert grid.spacing_km == pytest.approx(spacing, abs=0.1)
    assert grid.mask.all()
    if name in GLOBAL:
        assert grid.area.sum() == pytest.approx(4 * np.pi, rel=1e-4)
    else:
        assert grid.area.sum() == pytest.approx(counted_area(grid), rel=0.01)


def counted_area(grid, samples=100_000):
    """Return the area (steradian) of a regional grid's cells from points spread over a cap."""
    centre = normalise(grid.xyz.mean(axis=0))
    reach = np.arccos((grid.xyz @ centre).min()) + 2 * grid.spacing_km / EARTH_RADIUS_KM
    height = 1.0 - np.cos(reach)
    rng = np.random.default_rng(0)
    up, angle = 1.0 - height * rng.random(samples), 2 * np.pi * rng.random(samples)
    east, north = np.sqrt(1 - up**2) * np.cos(angle), np.sqrt(1 - up**2) * np.sin(angle)
    points = np.stack([east, north, up], axis=1) @ tangent_frame(centre)
    return 2 * np.pi * height * in_cells(grid, points).mean()


def test_every_gridded_file_is_tested():
    there = {p.name for p in Path(FOLDER).iterdir() if p.suffix in (".nc", ".grib")}
    of_two_grids, of_stations = "ncep_djf_1982-1990.nc", "value_iberia11_djf_1982-1990.nc"
    assert there - set(FILES) == {of_two_grids, of_stations}


@pytest.mark.parametrize("name", with_cost(GLOBAL, [n for n in GLOBAL if n not in QUICK]))
def test_every_global_model_reaches_europe(name):
    source, target = Grid.from_dataset(opened(name)), Grid.named("EUR-11")
    graph = build_graph(source, target)
    graph.validate()
    longest = {kind: graph.edge_lengths_km(kind).max() for kind in ("encode", "decode")}
    assert longest["encode"] < max(350.0, 3.0 * source.spacing_km)
    assert longest["decode"] < 2.0 * graph.mesh.spacing_km
    degree = np.bincount(graph.encode.receivers, minlength=graph.mesh.size)
    assert degree.min() >= 3
    if source.size < 1e6:
        found = coverage(source, target, graph.spec.margin_km)
        assert (found.target, found.margin) == (1.0, 1.0)


def test_both_grids_of_the_reanalysis():
    ds = opened("ncep_djf_1982-1990.nc")
    surface, upper = Grid.from_dataset(ds[["tas", "pr"]]), Grid.from_dataset(ds[["psl", "hus850"]])
    listed = grids_in(ds)
    assert [names for names, _ in listed] == [["tas", "pr"], ["psl", "ta850", "hus850"]]
    for (_, grid), one in zip(listed, (surface, upper), strict=True):
        np.testing.assert_array_equal(grid.area, one.area)
    assert (surface.kind, surface.dims) == ("gaussian", ("lat", "lon"))
    assert (upper.kind, upper.dims) == ("regular", ("lat25", "lon25"))
    assert upper.values(ds.psl).shape == (722, 35)


def test_catalogue_agrees_with_files():
    rcm = opened(EUR_11)
    assert np.abs(Grid.from_dataset(rcm).xyz - Grid.named("EUR-11").xyz).max() < 1e-5
    alps = Grid.from_dataset(opened("tasmax_ALPS.nc"))
    assert np.abs(alps.xyz - Grid.named("ALPS-12").xyz).max() < 1e-6


def test_bilinear_reference_figure_of_iberia():
    """Total tas RMSE 1.53 K after upscaling 28 x 28 points x4 and interpolating back."""
    ds = opened("racmo22e_ecearth_rcp85_eur44_djf_2080-2100.nc").isel(rlon=slice(28))
    fine = Grid.from_dataset(ds)
    coarse = coarsen(fine, 4)
    truth = fine.values(ds.tas)
    upscaled = conservative(fine, coarse).apply(truth)
    plain = truth.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    assert np.abs(upscaled - plain).max() < 0.03
    error = bilinear(coarse, fine).apply(plain) - truth
    assert np.sqrt(np.mean(error.astype(float) ** 2)) == pytest.approx(1.53, abs=0.005)
