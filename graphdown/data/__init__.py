"""Files to arrays: open and check fields, pair days, normalise, terrain. It knows no network."""

from graphdown.data.load import ExperimentData, load_data
from graphdown.data.normalise import Normaliser
from graphdown.data.pairing import pair, select_period
from graphdown.data.reading.fields import open_fields, read_files, to_canonical
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.file_summary import Understanding, VariableUnderstood

__all__ = [
    "ExperimentData",
    "Normaliser",
    "Request",
    "Understanding",
    "VariableUnderstood",
    "load_data",
    "open_fields",
    "pair",
    "read_files",
    "select_period",
    "to_canonical",
]
