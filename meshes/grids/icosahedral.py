"""Grids of the refined icosahedron: the triangles of ICON."""

from meshes.geometry.icosahedron import icosphere
from meshes.geometry.sphere import xyz_to_lonlat
from meshes.grids.base import GridData
from meshes.grids.points import points_grid


def icon_grid(root: int, bisections: int) -> GridData:
    """Return the centres of the triangles of ICON's grid R{root}B{bisections}, unrelaxed.

    Raises:
        ValueError: the root is not a power of two, or the grid is the icosahedron itself.
    """
    level = bisections + root.bit_length() - 1
    if root != 2 ** (root.bit_length() - 1) or level < 1:
        raise ValueError(
            f"R{root}B{bisections} cannot be made: the root must be a power of two, such as R2B4; "
            "read the grid from a file of the model."
        )
    mesh = icosphere(level, level)
    return points_grid(*xyz_to_lonlat(mesh.xyz[mesh.faces[0]].sum(axis=1)))
