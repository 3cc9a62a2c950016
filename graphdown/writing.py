"""Write downscaled fields as CF netCDF or zarr."""

import datetime
import shutil
from pathlib import Path

import xarray as xr

from graphdown.errors import GraphdownError

FORMATS = (".nc", ".zarr")


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        GraphdownError: unknown ending, no such folder, or the output exists.
    """
    if path.suffix not in FORMATS:
        raise GraphdownError(f"The output {str(path)!r} must end in .nc or .zarr.")
    if not path.parent.is_dir():
        raise GraphdownError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    if path.exists() and not overwrite:
        raise GraphdownError(f"{str(path)!r} exists; choose another name or give --overwrite.")


def write(ds: xr.Dataset, path: Path, command: str) -> None:
    """Write a dataset; an unfinished file never bears the final name.

    Args:
        ds: the fields.
        path: a name in .nc or .zarr.
        command: what made it, for the history attribute.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ds = ds.assign_attrs(history=f"{now} {command}")
    partial = path.with_name(f".{path.name}.part{path.suffix}")
    if path.suffix == ".zarr":
        shutil.rmtree(partial, ignore_errors=True)
        ds.to_zarr(partial, mode="w", zarr_format=2, consolidated=True)
        if path.exists():
            shutil.rmtree(path)
    else:
        encoding = {name: {"zlib": True, "complevel": 1} for name in ds.data_vars}
        ds.to_netcdf(partial, encoding=encoding, unlimited_dims=["time"])
    partial.replace(path)
