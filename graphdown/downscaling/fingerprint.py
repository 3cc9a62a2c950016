"""What an output is made by, and whether another start would make the same one."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.cf.provenance import versions
from graphdown.data.reading.ensemble_members import Driving
from graphdown.data.reading.files import find_paths
from graphdown.data.reading.time_decoding import calendar_of, days_of, seconds_of
from graphdown.data.sample_store import files_seen
from graphdown.emulator.emulator import Emulator

ATTRIBUTE = "graphdown_settings"
WORDS = {
    "emulator": "another emulator",
    "target": "another target",
    "inputs": "other inputs",
    "times": "other times",
    "historical": "other historical files",
    "options": "other options",
    "versions": "other versions of graphdown or what it computes with",
}


def fingerprint_of(
    emulator: Emulator,
    members: Sequence[Driving],
    historical: Sequence[str],
    time: xr.DataArray,
    options: Sequence[str],
) -> dict[str, str]:
    """Return what decides on the values of an output, as short texts by the keys of WORDS.

    Files are known by their name, size and last change, wherever they lie.

    Args:
        emulator: as it is used, on its target.
        members: the inputs.
        historical: files of the historical fields.
        time: the times [time] of the output.
        options: words of the command line that change values.
    """
    inputs = [[m.label, _files(m.files), m.select] for m in members]
    return {
        "emulator": emulator.sha256,
        "target": _target(emulator),
        "inputs": _digest(json.dumps(inputs)),
        "times": f"{calendar_of(time)} {array_digest([days_of(time), seconds_of(time)])}",
        "historical": _digest(json.dumps(_files(historical))),
        "options": " ".join(options),
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def fingerprint_in(path: Path) -> dict[str, str] | None:
    """Return what an output says that it was made by; None if it says nothing or is no output."""
    try:
        if path.is_dir():
            attrs = json.loads((path / ".zattrs").read_text(encoding="utf-8"))
        else:
            with xr.open_dataset(path, engine="netcdf4") as ds:
                attrs = ds.attrs
        found = json.loads(attrs[ATTRIBUTE])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return found if isinstance(found, dict) else None


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return words for what differs between settings, empty if nothing does."""
    words = [text for key, text in WORDS.items() if one.get(key) != other.get(key)]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def as_attribute(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the global attribute by which an output says what it was made by."""
    return {ATTRIBUTE: json.dumps(settings, sort_keys=True)}


def array_digest(arrays: Iterable[np.ndarray]) -> str:
    """Return a hash of the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _target(emulator: Emulator) -> str:
    target, statics = emulator.domain.target, emulator.domain.statics
    fields = [target.values(statics[name]) for name in sorted(map(str, statics.data_vars))]
    return array_digest([target.lon, target.lat, target.mask, *fields])


def _files(files: Sequence[str]) -> list[list[object]]:
    seen = files_seen(find_paths(files)) if files else []
    return [[os.path.basename(path), size, changed] for path, size, changed in seen]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
