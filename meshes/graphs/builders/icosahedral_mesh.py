"""Mesh "icosahedral": the refined icosahedron around the target."""

from meshes.geometry.icosahedron import Mesh
from meshes.graphs.base import GraphSpec
from meshes.graphs.builder_registry import mesh_builder
from meshes.graphs.mesh import build_mesh
from meshes.grids.grid import Grid


@mesh_builder("icosahedral")
def icosahedral_mesh(target: Grid, spec: GraphSpec) -> Mesh:
    """Return the mesh of the specification's levels and margin (see `meshes.build_mesh`)."""
    return build_mesh(target, spec.mesh_level, spec.coarsest_level, spec.margin_km)
