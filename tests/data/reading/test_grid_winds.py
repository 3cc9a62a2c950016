"""Winds along the axes of a grid, and winds on another grid than the first variable's."""

import numpy as np
import pytest
import xarray as xr

from graphdown.data.reading.fields import to_canonical
from graphdown.data.reading.rules import Notes
from graphdown.errors import DataError
from meshes import Grid, bilinear
from meshes.geometry.sphere import tangent_frame

ROTATED = Grid.rotated(-162.0, 39.25, np.arange(-8.0, 8.1, 2.0), np.arange(-6.0, 6.1, 2.0))
REGULAR = Grid.regular(2.0, 2.0, (-8.0, 36.0, 20.0, 56.0))
FLOW = np.array([3.0, -5.0, 7.0])  # a wind in space, m s-1, of which points see what is horizontal
TIME = {"time": xr.date_range("2001-01-01", periods=3)}


def seen(grid):
    """Eastward and northward component [N] of the flow."""
    return (tangent_frame(grid.xyz) @ FLOW)[:, :2].T


def along_axes(grid):
    """Components [N] along the axes of a rotated grid, by its pole."""
    pole = Grid.from_points([-162.0], [39.25]).xyz[0]
    across = pole - (grid.xyz @ pole)[:, None] * grid.xyz
    across = across / np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([np.cross(across, grid.xyz) @ FLOW, across @ FLOW])


def fields(grid, components, standard_names, names=("uas", "vas")):
    made = {}
    for name, values, standard_name in zip(names, components, standard_names, strict=True):
        attrs = {"units": "m s-1", "standard_name": standard_name}
        every = np.tile(values, (3, 1)).astype(np.float32)
        made[name] = grid.dataarray(every, name, ("time",), TIME, attrs)
    return xr.Dataset(made)


@pytest.mark.parametrize("names", [("uas", "vas"), ("U10M", "V10M")])
@pytest.mark.parametrize(
    "standard_names", [("grid_eastward_wind", "grid_northward_wind"), ("x_wind", "y_wind")]
)
def test_winds_along_the_axes_become_eastward_and_northward(names, standard_names):
    ds, notes = fields(ROTATED, along_axes(ROTATED), standard_names, names), Notes()
    out = to_canonical(ds, ("uas", "vas"), notes=notes)
    for name, expected in zip(("uas", "vas"), seen(ROTATED), strict=True):
        np.testing.assert_allclose(ROTATED.values(out[name])[2], expected, atol=0.02)
    assert out.uas.attrs["standard_name"] == "eastward_wind"
    assert {note.rule for note in notes.listed()} == {"wind-turned"}
    again = to_canonical(out, ("uas", "vas"), notes=(untouched := Notes()))
    np.testing.assert_array_equal(again.vas, out.vas)
    assert not untouched.listed()


def test_axes_along_east_and_north_need_no_turn():
    ds, notes = fields(REGULAR, seen(REGULAR), ("x_wind", "y_wind")), Notes()
    out = to_canonical(ds[["uas"]], ("uas",), notes=notes)
    np.testing.assert_array_equal(out.uas, ds.uas)
    assert not notes.listed()


def test_one_component_alone_cannot_be_turned():
    ds = fields(ROTATED, along_axes(ROTATED), ("x_wind", "y_wind"))
    with pytest.raises(DataError, match=r"'uas' is a wind along the grid's axes \(x_wind\)"):
        to_canonical(ds[["uas"]], ("uas",))


def test_winds_on_another_grid_are_interpolated_as_vectors():
    pressure, attrs = np.full((3, REGULAR.size), 1e5, np.float32), {"units": "Pa"}
    first = REGULAR.dataarray(pressure, "psl", ("time",), TIME, attrs).to_dataset()
    winds = fields(ROTATED, seen(ROTATED), ("eastward_wind", "northward_wind"))
    moved = winds.rename({d: f"{d}_2" for d in ROTATED.dims}).rename(lon="lon_2", lat="lat_2")
    out = to_canonical(xr.merge([first, moved]), ("psl", "uas", "vas"))
    frames = [tangent_frame(grid.xyz)[:, :2] for grid in (ROTATED, REGULAR)]
    in_space = bilinear(ROTATED, REGULAR).apply(np.einsum("cn,nck->kn", seen(ROTATED), frames[0]))
    expected = np.einsum("kn,nck->cn", in_space, frames[1])
    for name, values in zip(("uas", "vas"), expected, strict=True):
        np.testing.assert_allclose(REGULAR.values(out[name])[1], values, atol=1e-4)
        assert out[name].dims == out.psl.dims and out[name].dtype == np.float32


@pytest.mark.parametrize(
    "told",
    [
        {"standard_name": ("Grid_Eastward_Wind", "grid_northward_wind ")},
        {"long_name": ("wind along x", "wind along y")},
        {"long_name": ("x-component of wind", "y-component of wind")},
        {"long_name": ("Grid-relative eastward wind", "Grid-relative northward wind")},
    ],
)
def test_winds_along_the_axes_are_known_by_what_their_file_says_of_them(told):
    ds, notes = fields(ROTATED, along_axes(ROTATED), ("", "")), Notes()
    for number, name in enumerate(("uas", "vas")):
        del ds[name].attrs["standard_name"]
        ds[name].attrs |= {key: texts[number] for key, texts in told.items()}
    out = to_canonical(ds, ("uas", "vas"), notes=notes)
    for name, expected in zip(("uas", "vas"), seen(ROTATED), strict=True):
        np.testing.assert_allclose(ROTATED.values(out[name])[2], expected, atol=0.02)
    assert {note.rule for note in notes.listed()} == {"wind-turned"}
    with pytest.raises(DataError, match="'uas' is a wind along the grid's axes") as caught:
        to_canonical(ds[["uas"]], ("uas",))
    assert caught.value.rule == "wind-alone"


def test_a_component_along_the_axes_does_not_go_with_one_towards_north():
    ds = fields(ROTATED, along_axes(ROTATED), ("x_wind", "northward_wind"))
    with pytest.raises(DataError, match="only with the other component along them"):
        to_canonical(ds, ("uas", "vas"))


def of_wrf(description):
    """Winds as WRF writes them: no standard names, dimensions of its own."""
    made = fields(ROTATED, along_axes(ROTATED), ("", ""), ("U10", "V10"))
    for field in made.data_vars.values():
        field.attrs = {"units": "m s-1", "description": description}
    y, x = ROTATED.dims
    return made.drop_vars([y, x], errors="ignore").rename({y: "south_north", x: "west_east"})


def test_winds_of_wrf_are_along_its_axes_unless_they_were_turned():
    out = to_canonical(of_wrf("U at 10 M"), ("uas", "vas"), notes=(notes := Notes()))
    assert "wind-turned" in {note.rule for note in notes.listed()}
    for name, expected in zip(("uas", "vas"), seen(ROTATED), strict=True):
        np.testing.assert_allclose(out[name].values[2].ravel(), expected, atol=0.02)
    turned = of_wrf("U rotated to earth coordinates")
    out = to_canonical(turned, ("uas", "vas"))
    np.testing.assert_array_equal(out.uas.values, turned.U10.values)
