"""Fields read by blocks, of some cells and all days or of some days and all cells.

What is computed of a block takes memory for the block alone, however many days and cells there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from meshes.grids.grid import Grid

BLOCK_BYTES = 32 * 2**20  # of the fields of one prediction or of the truth, as float32


@dataclass(frozen=True)
class FieldBlock:
    """Part of a field [time, *horizontal].

    Attributes:
        days: its times; None for all.
        rows: places along the first horizontal dimension; None for all.
    """

    days: slice | None = None
    rows: slice | None = None

    @property
    def all_rows(self) -> slice:
        """Its rows as a slice."""
        return slice(None) if self.rows is None else self.rows

    def read(self, field: xr.DataArray, grid: Grid) -> np.ndarray:
        """Values [t, n] of a field, which `check_field` takes, at the grid's used cells."""
        values = self.values(field, grid)
        used = self.cells(grid.mask, grid)
        return values if used.all() else values[:, used]

    def values(self, field: xr.DataArray, grid: Grid) -> np.ndarray:
        """Values [t, n] of a field, which `check_field` takes, at all cells."""
        places = {"time": self.days, grid.dims[0]: self.rows}
        part = field.transpose("time", *grid.dims)
        part = part.isel({dim: place for dim, place in places.items() if place is not None})
        return np.asarray(part.values.reshape(part.sizes["time"], -1))

    def of_days(self, ds: xr.Dataset) -> xr.Dataset:
        """The block's days of a dataset on any grid."""
        return ds if self.days is None else ds.isel(time=self.days)

    def cells(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """Values [n] of the block's cells, used or not, of those of all [N]."""
        return values if self.rows is None else values.reshape(grid.shape)[self.rows].ravel()


def blocks_of_cells(grid: Grid, days: int, fields: int) -> list[FieldBlock]:
    """Blocks of some cells and all days.

    Args:
        grid: of the fields.
        days: how many there are, of all periods together.
        fields: how many are read of a block.
    """
    row = 4 * days * fields * (grid.size // grid.shape[0])
    return [FieldBlock(rows=part) for part in _slices(grid.shape[0], row)]


def blocks_of_days(grid: Grid, days: int, fields: int) -> list[FieldBlock]:
    """Blocks of some days and all cells; the arguments are those of `blocks_of_cells`."""
    return [FieldBlock(days=part) for part in _slices(days, 4 * grid.size * fields)]


def _slices(count: int, size: int) -> Iterator[slice | None]:
    """Parts of so many places, each of `size` bytes."""
    most = max(1, BLOCK_BYTES // max(size, 1))
    if count <= most:
        yield None
        return
    yield from (slice(start, min(start + most, count)) for start in range(0, count, most))


def check_field(field: xr.DataArray, grid: Grid) -> None:
    """Refuse a field that is not of times and places of a grid alone.

    Raises:
        ValueError: a further dimension, or another grid.
    """
    extra = set(field.dims) - {"time", *grid.dims}
    if extra:
        raise ValueError(
            f"{field.name!r} has the dimension {sorted(map(str, extra))[0]!r} besides time and the "
            "grid's; select one value of it."
        )
    grid.values(field.isel(time=slice(0, 1)))
