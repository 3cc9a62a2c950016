"""An emulator's passport: what it learned from, how good it is, and whose it is, in one file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphdown.errors import DamageError
from graphdown.runtime.atomic import write_durably
from graphdown.runtime.hashing import checkpoint_sha256

PASSPORT = "passport.json"
NEWEST = 1
Passport = Mapping[str, Any]


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Passport with the hash of its content, by which a change is noticed."""
    plain = json.loads(json.dumps({**content, "format": NEWEST}))
    plain.pop("sha256", None)
    return {**plain, "sha256": checkpoint_sha256({}, plain)}


def write_passport(folder: Path, passport: Passport) -> None:
    """Write a passport into an emulator's folder, in place of the one before."""
    write_durably(folder / PASSPORT, json.dumps(passport, indent=1, ensure_ascii=False) + "\n")


def read_passport(folder: Path, emulator_sha256: str) -> dict[str, Any] | None:
    """Passport in an emulator's folder, None if there is none.

    Args:
        folder: of the emulator.
        emulator_sha256: hash of its parameters and schema.

    Raises:
        DamageError: it was changed since it was written, or is another emulator's.
    """
    path = folder / PASSPORT
    if not path.is_file():
        return None
    try:
        passport: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content = {key: value for key, value in passport.items() if key != "sha256"}
        unchanged = passport["sha256"] == checkpoint_sha256({}, content)
        of_emulator = passport["emulator"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamageError(
            f"{str(path)!r} is damaged ({' '.join(str(error).split())}); copy the folder again or "
            "repeat the training."
        ) from None
    if not unchanged:
        raise DamageError(
            f"{str(path)!r} was changed since it was written; copy the folder again, or score the "
            "run again to write it anew."
        )
    if of_emulator != emulator_sha256:
        raise DamageError(
            f"{str(path)!r} is the passport of another emulator; copy the folder again."
        )
    return passport


def short_attrs(passport: Passport | None) -> dict[str, str]:
    """Global attributes of outputs that a passport gives: training, licence and contact."""
    if passport is None:
        return {}
    training = passport["training"]
    sources = ", ".join(training["sources"])
    found = {
        "training_sources": sources,
        "training_period": " to ".join(training["periods"]["train"]),
        "license": passport["owner"]["licence"],
        "contact": passport["owner"]["contact"],
        "references": passport["owner"]["citation"],
    }
    return {name: text for name, text in found.items() if text}
