"""Writers of downscaled fields: netCDF, zarr, and zarr that can be resumed."""
