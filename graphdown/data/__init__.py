"""Files to arrays: open and check fields, pair days, normalise, terrain. It knows no network."""

from graphdown.data.fields import open_fields, to_canonical
from graphdown.data.load import ExperimentData, load_data
from graphdown.data.normalise import Normaliser
from graphdown.data.pair import pair, select_period

__all__ = [
    "ExperimentData",
    "Normaliser",
    "load_data",
    "open_fields",
    "pair",
    "select_period",
    "to_canonical",
]
