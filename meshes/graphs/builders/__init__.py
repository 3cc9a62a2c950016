"""Builders of meshes and edges, one a file; every module here is imported with `meshes`."""
