"""Fingerprint of everything that determines an output's values, and differences between two."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from graphdown.cf.provenance import versions
from graphdown.data.reading.dates import calendar_of, days_of, seconds_of
from graphdown.data.sample_store import files_seen
from graphdown.downscaling.driving_inputs import DrivingInputs
from graphdown.emulator.emulator import Emulator
from graphdown.runtime.hashing import array_digest

ATTRIBUTE = "graphdown_fingerprint"
DIGITS = 16  # of each hash
WORDS = {
    "emulator": "another emulator",
    "target": "another target",
    "inputs": "other inputs",
    "times": "other times",
    "historical": "other historical files",
    "options": "other options",
    "versions": "other versions of graphdown or its dependencies",
}
Fingerprint = dict[str, str]


def fingerprint_of(
    emulator: Emulator,
    driving: DrivingInputs,
    historical: Sequence[str],
    time: xr.DataArray,
    options: Sequence[str],
) -> Fingerprint:
    """Fingerprint of an output, as short texts by the keys of WORDS.

    Files are identified by name, size and time of the last change, wherever they lie.

    Args:
        emulator: as it is used, on its target.
        driving: the inputs.
        historical: paths of the historical files.
        time: the times [time] of the output.
        options: words of the command line that change values.
    """
    paths = [driving.paths(number) for number in range(len(driving.members))]
    files = {names: files_seen(names) for names in paths}
    inputs = [
        [member.label, files[names], member.select]
        for member, names in zip(driving.members, paths, strict=True)
    ]
    times = array_digest([days_of(time), seconds_of(time)])[:DIGITS]
    return {
        "emulator": emulator.sha256,
        "target": _target(emulator),
        "inputs": _digest(json.dumps(inputs)),
        "times": f"{calendar_of(time)} {times}",
        "historical": _digest(json.dumps(files_seen(historical))),
        "options": " ".join(options),
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def fingerprint_in(path: Path) -> Fingerprint | None:
    """Fingerprint that an output bears; None if it bears none or is no output."""
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
    """Words for the differences between two fingerprints, empty if there are none."""
    words = [text for key, text in WORDS.items() if one.get(key) != other.get(key)]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def as_attribute(fingerprint: Mapping[str, str]) -> dict[str, str]:
    """Global attribute of an output that holds its fingerprint."""
    return {ATTRIBUTE: json.dumps(fingerprint, sort_keys=True)}


def _target(emulator: Emulator) -> str:
    target, statics = emulator.domain.target, emulator.domain.statics
    fields = [target.values(statics[name]) for name in sorted(map(str, statics.data_vars))]
    masks = [target.mask, emulator.domain.present(emulator.targets)]
    return array_digest([target.lon, target.lat, *masks, *fields])[:DIGITS]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
