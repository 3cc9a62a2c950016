"""Grids of real files; the folder is named by GRAPHDOWN_DATA."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from meshes import Grid, bilinear, coarsen, conservative

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
}


def opened(name):
    with xr.open_dataset(Path(FOLDER, name), decode_times=False) as ds:
        return ds.load() if ds.nbytes < 1e8 else ds


@pytest.mark.parametrize("name", FILES)
def test_files_give_the_grid_that_they_hold(name):
    kind, spacing = FILES[name]
    grid = Grid.from_dataset(opened(name))
    assert grid.kind == kind
    assert grid.spacing_km == pytest.approx(spacing, abs=0.1)
    if spacing > 100 and "6h" not in name:
        assert grid.area.sum() == pytest.approx(4 * np.pi, rel=1e-4)


def test_both_grids_of_the_reanalysis():
    ds = opened("ncep_djf_1982-1990.nc")
    surface, upper = Grid.from_dataset(ds[["tas", "pr"]]), Grid.from_dataset(ds[["psl", "hus850"]])
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
