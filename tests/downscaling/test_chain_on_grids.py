"""The whole chain, check, train, downscale, on grids that files tell without latitudes."""

import numpy as np
import pytest
import xarray as xr
import yaml

from graphdown.cli import main
from meshes import Grid, icosphere
from meshes.geometry.sphere import xyz_to_lonlat

DAYS = xr.date_range("2000-01-01", periods=12)
LAMBERT = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": 49.5,
    "longitude_of_central_meridian": 10.5,
    "latitude_of_projection_origin": 49.5,
    "false_easting": 0.0,
    "false_northing": 0.0,
}


def weather(dims, shape, **attrs):
    values = np.random.default_rng(0).normal(280.0, 3.0, (len(DAYS), *shape)).astype(np.float32)
    return xr.Dataset(
        {"tas": (("time", *dims), values, {"units": "K", **attrs})}, coords={"time": DAYS}
    )


def healpix(nside=16):
    ds = weather(("cell",), (12 * nside**2,), grid_mapping="crs")
    attrs = {"grid_mapping_name": "healpix", "healpix_nside": nside, "healpix_order": "nest"}
    return ds.assign_coords(crs=((), 0, attrs))


def ugrid(level=3):
    mesh = icosphere(level)
    lon, lat = xyz_to_lonlat(mesh.xyz)
    ds = weather(("nface",), (len(mesh.faces[-1]),), mesh="mesh", location="face")
    attrs = {"cf_role": "mesh_topology", "topology_dimension": 2}
    attrs |= {"node_coordinates": "node_lon node_lat", "face_node_connectivity": "fnc"}
    ds["mesh"] = ((), 0, attrs)
    ds["fnc"] = (("nface", "three"), mesh.faces[-1], {"start_index": 0})
    ds["node_lon"] = ("nnode", lon, {"standard_name": "longitude", "units": "degrees_east"})
    ds["node_lat"] = ("nnode", lat, {"standard_name": "latitude", "units": "degrees_north"})
    return ds


def lambert(n=6):
    axis = 1e5 * (np.arange(n) - n / 2)
    ds = weather(("y", "x"), (n, n), grid_mapping="crs")
    attrs = {name: {"standard_name": f"projection_{name}_coordinate"} for name in ("y", "x")}
    coords = {name: (name, axis, {**attrs[name], "units": "m"}) for name in ("y", "x")}
    return ds.assign_coords(crs=((), 0, LAMBERT), **coords)


def regular():
    grid = Grid.regular(5.0, 5.0)
    values = weather(("n",), (grid.size,)).tas.values
    return grid.dataarray(values, "tas", ("time",), {"time": DAYS}, {"units": "K"}).to_dataset()


PAIRS = {
    "healpix source, projected target": (healpix, lambert),
    "ugrid source, healpix target": (ugrid, lambda: healpix(4)),
    "regular source, ugrid target": (regular, lambda: ugrid(1)),
}


def write_experiment(source, target):
    source().to_netcdf("coarse.nc")
    target().to_netcdf("fine.nc")
    raw = {
        "name": "x",
        "output": "run",
        "predictors": ["tas"],
        "targets": ["tas"],
        "data": {
            "target": {"files": ["fine.nc"]},
            "sources": [{"name": "gcm", "files": ["coarse.nc"]}],
        },
        "periods": {
            "train": ["2000-01-01", "2000-01-06"],
            "validation": ["2000-01-07", "2000-01-09"],
            "test": ["2000-01-10", "2000-01-12"],
        },
        "graph": {"mesh_level": 4, "encode_radius_km": 1500, "margin_km": 400},
        "model": {"channels": 4, "rounds": 1, "target_channels": 4},
        "training": {"steps": 2, "batch_size": 2, "validate_every": 2, "warmup_steps": 1},
    }
    with open("x.yaml", "w") as file:
        yaml.safe_dump(raw, file)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.usefixtures("compiled_in_haste")
def test_chain_runs_on_grids_without_latitudes(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source, target = PAIRS[pair]
    write_experiment(source, target)
    main(["check", "coarse.nc", "--target", "fine.nc"])
    assert "coarse.nc covers 100 % of the target" in capsys.readouterr().out
    main(["train", "x.yaml"])
    main(["downscale", "run", "coarse.nc", "-o", "out.nc"])
    with xr.open_dataset("fine.nc") as asked, xr.open_dataset("out.nc") as made:
        assert made.tas.sizes == asked.tas.sizes
        assert made.tas.notnull().all()
        wanted, grid = Grid.from_dataset(asked), Grid.from_dataset(made)
        np.testing.assert_allclose(grid.xyz, wanted.xyz, atol=1e-6)
        np.testing.assert_allclose(grid.area, wanted.area, rtol=1e-3)
        assert grid.kind == wanted.kind
        assert {"lat", "lon"} <= set(made.coords)
        assert not any("cf_role" in v.attrs for v in made.variables.values())
        for name in asked.tas.dims:
            if name in asked.coords:
                np.testing.assert_array_equal(made[name], asked[name])
