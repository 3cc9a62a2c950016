"""Variables in groups of netCDF and zarr files, which are not read: where they are."""

import os
from collections.abc import Mapping
from typing import Any

from graphdown.data.reading.remote import is_url

GROUP_SEPARATOR = "/"


def variables_in_groups(path: str) -> dict[str, list[str]]:
    """Names of the variables in each group below the root of a netCDF file or zarr store.

    Groups without variables are left out; empty for other files.
    """
    try:
        if is_url(path):
            return {}
        if os.path.isdir(path):
            import zarr

            return _found(zarr.open_group(path, mode="r", use_consolidated=False), _zarr_members)
        import netCDF4

        with netCDF4.Dataset(path) as root:
            return _found(root, _netcdf_members)
    except (OSError, ValueError, RuntimeError, LookupError):
        return {}


def group_hint(path: str) -> str:
    """Sentence part on variables that lie in groups, empty without any."""
    groups = variables_in_groups(path)
    if not groups:
        return ""
    name, variables = max(groups.items(), key=lambda item: len(item[1]))
    also = f" (and in {len(groups) - 1} more)" if len(groups) > 1 else ""
    return (
        f"the variables {', '.join(variables[:5])} are in the group {name!r}{also}, and only "
        "variables outside of groups are read; write the group to a file of its own, as with "
        f"xarray.open_dataset({os.path.basename(path)!r}, group={name!r}).to_netcdf('out.nc')"
    )


def _found(root: Any, members: Any, prefix: str = "") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    variables, groups = members(root)
    if prefix and variables:
        found[prefix.rstrip(GROUP_SEPARATOR)] = variables
    for name, group in groups.items():
        found |= _found(group, members, f"{prefix}{name}{GROUP_SEPARATOR}")
    return found


def _netcdf_members(group: Any) -> tuple[list[str], Mapping[str, Any]]:
    return [n for n in group.variables if n not in group.dimensions], group.groups


def _zarr_members(group: Any) -> tuple[list[str], Mapping[str, Any]]:
    arrays = dict(sorted(group.arrays()))
    fields = [name for name, array in arrays.items() if array.ndim > 1]
    return fields or list(arrays), dict(group.groups())
