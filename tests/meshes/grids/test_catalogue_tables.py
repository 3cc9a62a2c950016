"""The catalogue against the two CORDEX tables; the folder is named by GRAPHDOWN_DATA."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from meshes import Grid
from meshes.geometry.sphere import rotated_pole_matrix

LARGE = 100_000
FOLDER = os.environ.get("GRAPHDOWN_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="GRAPHDOWN_DATA names no folder of real data")


def marks(name, row, names):
    """Mark the second name of a large grid as slow."""
    large = row.n_longitude * row.n_latitude > LARGE
    return [pytest.mark.slow] if large and name != min(names) else []


def rows():
    if not FOLDER:
        return []
    tables = {n: pd.read_csv(Path(FOLDER, f"CORDEX-{n}_grids.csv")) for n in ("CMIP5", "CMIP6")}
    of_cmip6 = tables["CMIP6"].set_index("domain_id")
    listed = []
    for table, frame in tables.items():
        for row in frame.itertuples():
            names = {row.domain_id} | ({row.CORDEX_domain} - {np.nan})
            # CMIP6 defines ANT-12 and ARC-12 anew; the older grids keep their older names.
            newer = of_cmip6.n_longitude.get(row.domain_id, row.n_longitude) != row.n_longitude
            names -= {row.domain_id} if newer else set()
            listed += [
                pytest.param(name, row, id=f"{table}-{name}", marks=marks(name, row, names))
                for name in sorted(names)
            ]
    return listed


@cache
def made(name):
    """Return kind, shape, own axes and pole of a named grid; the tables share most names."""
    grid = Grid.named(name)
    rotated = grid.kind == "rotated_pole"
    x, y = (grid.coords[n].values for n in (("rlon", "rlat") if rotated else ("lon", "lat")))
    attrs = grid.coords[grid.grid_mapping].attrs if rotated else {}
    pole = [attrs.get(f"grid_north_pole_{n}") for n in ("longitude", "latitude")]
    return grid.kind, grid.shape, x, y, pole


@pytest.mark.parametrize(("name", "row"), rows())
def test_every_row_is_known_by_name_and_agrees(name, row):
    kind, shape, x, y, made_pole = made(name)
    assert (len(x), len(y)) == (row.n_longitude, row.n_latitude)
    assert shape == (row.n_latitude, row.n_longitude)
    assert (x[0], y[0]) == pytest.approx((row.lower_left_longitude, row.lower_left_latitude))
    np.testing.assert_allclose(np.diff(x), row.grid_spacing_longitude, atol=2e-6)
    np.testing.assert_allclose(np.diff(y), row.grid_spacing_latitude, atol=2e-6)
    pole = (row.grid_north_pole_longitude, row.grid_north_pole_latitude)
    if np.isnan(pole[0]) or pole[1] == 90.0:
        assert kind == "regular"
    else:
        given, expected = rotated_pole_matrix(*made_pole), rotated_pole_matrix(*pole)
        np.testing.assert_allclose(given, expected, atol=1e-12)


def test_the_tables_are_there_in_full():
    assert len({p.id for p in rows()}) > 190
