"""A passport as text: `graphdown describe`."""

from pathlib import Path
from typing import Any

from graphdown.emulator.passport import Passport
from graphdown.emulator.storage import load
from graphdown.errors import GraphdownError


def describe(run: str | Path) -> str:
    """Text of the passport of a run's emulator.

    Raises:
        GraphdownError: it has none, or is damaged.
    """
    return passport_text(passport_of(run))


def passport_of(run: str | Path) -> Passport:
    """Passport of a run's emulator, checked.

    Raises:
        GraphdownError: it has none, or is damaged.
    """
    passport = load(run).passport
    if passport is None:
        raise GraphdownError(
            f"{str(run)!r} has no passport; train it with this version of graphdown, which writes "
            "one."
        )
    return passport


def passport_text(passport: Passport) -> str:
    """Text of a passport, in paragraphs of Markdown."""
    parts = [
        f"# {passport['name']}",
        _training(passport["training"]),
        _fields(passport),
        _climate(passport["climate"]),
        _scores(passport),
        _error_calibration(passport["error_calibration"]),
        _owner(passport),
    ]
    return "\n\n".join(part for part in parts if part)


def _training(training: dict[str, Any]) -> str:
    lines = ["## Trained on", ""]
    for name, source in training["sources"].items():
        grid, known = source["grid"], [v for k, v in source.items() if k.startswith("driving_")]
        whose = f" ({', '.join(known)})" if known else ""
        banked = ", upscaled to random grids" if name in training["random_grids"] else ""
        lines.append(f"- {name}{whose}: {_grid(grid)}{banked}")
    first, last = training["periods"]["train"]
    held = " to ".join(training["periods"]["validation"])
    lines += ["", f"Days from {first} to {last}; {held} chose the weights."]
    if any(training["warming_offset"]):
        low, high = training["warming_offset"]
        lines.append(f"Temperatures were shifted by {low:g} to {high:g} K in training.")
    return "\n".join(lines)


def _fields(passport: Passport) -> str:
    def listed(variables: dict[str, dict[str, str]]) -> str:
        return ", ".join(f"{name} ({v['units']})" for name, v in variables.items())

    return "\n".join(
        (
            "## Fields",
            "",
            f"- Takes: {listed(passport['predictors'])}",
            f"- Makes: {listed(passport['targets'])}",
            f"- On: {_grid(passport['target'])}",
        )
    )


def _grid(grid: dict[str, Any]) -> str:
    return (
        f"{grid['kind']} grid, {grid['points']} points, {grid['spacing_km']:g} km apart, "
        f"{grid['extent']}"
    )


def _climate(climate: dict[str, dict[str, list[float]]] | None) -> str:
    if climate is None:
        return "## Range of the training\n\nNot known."
    lines = ["## Range of the training", "", "Regional means of seasons, lowest to highest.", ""]
    for name, seasons in climate.items():
        ranges = (f"{season} {low:g} to {high:g}" for season, (low, high) in seasons.items())
        lines.append(f"- {name}: {'; '.join(ranges)}")
    return "\n".join(lines)


def _scores(passport: Passport) -> str:
    if not passport["scores"]:
        return "## Scores\n\nNot scored yet; graphdown evaluate RUN adds them."
    lines = ["## Scores", "", f"On {' to '.join(passport['test_period'])}.", ""]
    lines += ["| block | source | variable | measure | value |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['block']} | {row['source']} | {row['variable']} | {row['measure']} | "
        f"{row['value']:g} {row['units']} |"
        for row in passport["scores"]
    ]
    return "\n".join(lines)


def _error_calibration(calibration: dict[str, Any] | None) -> str:
    if calibration is None:
        return (
            "## Expected errors\n\nNot calibrated: distances from the training are known, the "
            "errors that belong to them are not."
        )
    low, high = calibration["novelty"]
    return (
        f"## Expected errors\n\nCalibrated on {calibration['spans']} {calibration['span']}s of "
        f"{', '.join(calibration['groups'])}, of novelty {low:.2f} to {high:.2f}."
    )


def _owner(passport: Passport) -> str:
    owner = passport["owner"]
    stated = {
        "Licence": owner["licence"] or "not stated",
        "Contact": owner["contact"] or "not stated",
        "Cite": owner["citation"] or "graphdown, and the data that it was trained on",
    }
    lines = ["## Use", "", *(f"- {key}: {text}" for key, text in stated.items())]
    made = ", ".join(f"{name} {number}" for name, number in passport["versions"].items())
    lines += [f"- Hash of the emulator: {passport['emulator']['sha256']}", f"- Made with: {made}"]
    return "\n".join(lines)
