"""The embedded world: a small made-up climate with a known answer, to try the emulator on.

A regional "truth" on a rotated-pole grid and the fields of several made-up GCMs, each on its own
grid and with its own small errors. See `climate` for the physics, and `gcm_ensemble` for several
GCMs with independent weather that drive two regional models.
"""

from graphdown.config.synthetic import WorldSpec
from graphdown.data.synthetic.gcm_ensemble import make_ensemble
from graphdown.data.synthetic.make import make_world
from graphdown.data.synthetic.world import World

__all__ = ["World", "WorldSpec", "make_ensemble", "make_world"]
