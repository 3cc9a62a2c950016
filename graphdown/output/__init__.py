"""Writers of downscaled fields: netCDF, zarr, and zarr that resumes."""
