"""Repairs that users register."""

import numpy as np
import pytest
import xarray as xr

from graphdown.data.reading.fields import read_files, to_canonical
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import REPAIRS, register_repair
from graphdown.errors import DataError, GraphdownError
from meshes import Grid

GRID = Grid.regular(2.0, 2.0, (0.0, 40.0, 8.0, 46.0))
TIME = xr.date_range("2001-01-01", periods=6)


@pytest.fixture(autouse=True)
def repairs_forgotten(monkeypatch):
    monkeypatch.setattr(REPAIRS, "_items", dict(REPAIRS._items))


def dataset():
    values = np.full((6, GRID.size), 288.0, np.float32)
    values[:, 2] = 0.0
    field = GRID.dataarray(values, "tas", ("time",), {"time": TIME}, {"units": "K"})
    return xr.Dataset({"tas": field}, attrs={"source_id": "OLD-GCM"})


@pytest.fixture
def zero_is_missing():
    @register_repair("zero-kelvin", "Temperatures of OLD-GCM at 0 K are missing.")
    def repair(field, attrs):
        old = field.name == "tas" and attrs.get("source_id") == "OLD-GCM"
        return field.where(field > 0) if old else None


def test_a_field_is_refused_without_its_repair():
    with pytest.raises(DataError, match="'tas' runs from 0 to 288"):
        to_canonical(dataset(), ["tas"])


def test_a_repair_changes_the_values_of_a_dataset(zero_is_missing):
    made = to_canonical(dataset(), ["tas"]).tas
    assert made.attrs["units"] == "K"
    assert np.isnan(GRID.values(made)[:, 2]).all()
    assert int(made.isnull().sum()) == 6


def test_a_repair_of_files_is_lazy_and_noted(zero_is_missing, tmp_path):
    for part, days in (("a", slice(0, 3)), ("b", slice(3, 6))):
        dataset().isel(time=days).to_netcdf(tmp_path / f"{part}.nc")
    ds, understood = read_files([str(tmp_path / "*.nc")], Request(("tas",)))
    assert ds.tas.chunks is not None and int(ds.tas.isnull().sum()) == 6
    (note,) = (own for own in understood.notes if own.rule == "zero-kelvin")
    assert str(note).endswith("Temperatures of OLD-GCM at 0 K are missing [zero-kelvin]")


def test_a_repair_that_has_nothing_to_do_is_not_noted(zero_is_missing, tmp_path):
    other = dataset().assign_attrs(source_id="NEW-GCM")
    with pytest.raises(DataError, match="'tas' runs from 0 to 288"):
        to_canonical(other, ["tas"])


def test_a_repair_may_correct_the_units():
    @register_repair("kelvin-said", "Temperatures in degrees Celsius say so.")
    def repair(field, attrs):
        return field.assign_attrs(units="degC") if field.max() < 100 else None

    celsius = (dataset() - 273.15).where(dataset() > 0)
    celsius["tas"].attrs["units"] = "K"
    made = to_canonical(celsius, ["tas"]).tas
    np.testing.assert_allclose(made.max(), 288.0, atol=1e-3)


def test_a_repair_that_drops_days_is_refused():
    register_repair("short", "Days are dropped.")(lambda field, attrs: field.isel(time=slice(3)))
    with pytest.raises(DataError, match="the repair 'short' changes the shape of 'tas'"):
        to_canonical(dataset(), ["tas"])


def test_the_name_of_a_rule_is_taken():
    with pytest.raises(GraphdownError, match="The repair 'fill-code' is registered already"):
        register_repair("fill-code", "Another.")(lambda field, attrs: None)
