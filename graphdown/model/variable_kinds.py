"""Kinds of variables that a loss or a head is for."""

from collections.abc import Callable
from typing import NamedTuple

from graphdown.variables.names import is_non_negative


class VariableKind(NamedTuple):
    """A kind of variables.

    Attributes:
        description: noun phrase for messages, in the plural.
        includes: whether a CF/CMIP name, as of a target, is one of them.
    """

    description: str
    includes: Callable[[str], bool]


ANY = VariableKind("all variables", lambda name: True)
AMOUNTS = VariableKind("amounts that are never negative", is_non_negative)
