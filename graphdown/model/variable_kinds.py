"""Kinds of variables that a loss or a head is for."""

from collections.abc import Callable
from typing import NamedTuple

from graphdown.variables.catalogue import describe


class VariableKind(NamedTuple):
    """A kind of variables.

    Attributes:
        description: noun phrase for messages, in the plural.
        includes: whether a CF/CMIP name, as of a target, is one of them.
    """

    description: str
    includes: Callable[[str], bool]


ANY = VariableKind("all variables", lambda name: True)
NON_NEGATIVE = VariableKind(
    "variables that are never negative, such as pr or rsds",
    lambda name: describe(name).is_non_negative,
)
PRECIPITATION = VariableKind(
    "precipitation, never negative and often 0, such as pr or prsn",
    lambda name: describe(name).is_precipitation,
)
