"""Names of variables: which variable, of which step or sub-step.

A predictor of the step before is called tas@-1, a target in the first sub-step of a step tas#1;
a name without such a mark belongs to the step itself.
"""

import re
from collections.abc import Sequence

NAME = re.compile(r"([^@#/]+)(?:@[+-]\d+|#(\d+))?")


def check_names(names: Sequence[str]) -> None:
    """Refuse names that no variable can have.

    Raises:
        ValueError: the first such name.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable")


def lagged(name: str, lag: int) -> str:
    """Name of a variable in the step so many after the step itself."""
    return f"{name}@{lag:+d}" if lag else name


def lag_of(name: str) -> int:
    """Steps by which a variable of another step is later than the step itself."""
    match = re.search(r"@([+-]\d+)$", name)
    return int(match[1]) if match else 0


def part(name: str, number: int) -> str:
    """Name of a variable in a sub-step, counted from 1."""
    return f"{name}#{number}"


def variable_of(name: str) -> str:
    """CF/CMIP name of a variable of any step."""
    return _read(name)[0]


def variables_of(names: Sequence[str]) -> tuple[str, ...]:
    """CF/CMIP names of variables of any steps, each once."""
    return tuple(dict.fromkeys(map(variable_of, names)))


def number_of(name: str) -> int:
    """Number of the sub-step of a variable, counted from 1; 0 for a whole step."""
    return int(_read(name)[1] or 0)


def parts_of(name: str, names: Sequence[str]) -> list[int]:
    """Places in `names` of a variable's sub-steps, in order."""
    places = {number_of(n): i for i, n in enumerate(names) if variable_of(n) == name}
    return [places[number] for number in sorted(places) if number]


def _read(name: str) -> tuple[str, str | None]:
    matched = NAME.fullmatch(name)
    return (name, None) if matched is None else (matched[1], matched[2])
