"""Where downscaled fields come from: the identity of the coarse input.

The model whose fields are downscaled is called the driving model, as in
CORDEX. Its identity is copied from the global attributes of the input (of the first file, if there
are several) under the names of CORDEX-CMIP6. CMIP6, CMIP5 and CORDEX write it differently, so each
name has a list of attributes, the first that says something counts. An attribute that none of them
gives is left out, never guessed. The label of the parent run (parent_variant_label,
parent_experiment_rip) is not taken: it names the run that the driving one was started from.
"""

from collections.abc import Mapping
from typing import Any

DRIVING = {
    "driving_mip_era": ("mip_era",),
    "driving_institution_id": ("institution_id", "institute_id"),
    "driving_source_id": ("source_id", "model_id"),
    "driving_experiment_id": (
        "experiment_id",
        "driving_experiment_id",
        "driving_experiment_name",
    ),
    "driving_variant_label": (
        "variant_label",
        "driving_variant_label",
        "driving_model_ensemble_member",
    ),
}
CMIP5_MEMBER = ("realization", "initialization_method", "physics_version")
SAYS_NOTHING = ("", "n/a", "none", "no parent", "no driving", "unknown")


def driving_attrs(attrs: Mapping[Any, Any]) -> dict[str, str]:
    """Return the global attributes that name the driving model, experiment and member.

    Args:
        attrs: the global attributes of the coarse input.
    """
    texts = {key: _text(value) for key, value in attrs.items()}
    if all(texts.get(key) for key in CMIP5_MEMBER):
        numbers = (texts[key] for key in CMIP5_MEMBER)
        member = "".join(f"{letter}{n}" for letter, n in zip("rip", numbers, strict=True))
        texts.setdefault("variant_label", member)
    found = {
        name: next((texts[key] for key in keys if texts.get(key)), "")
        for name, keys in DRIVING.items()
    }
    return {name: value for name, value in found.items() if value}


def versions() -> dict[str, str]:
    """Versions of graphdown and of what it computes with."""
    from importlib.metadata import version

    return {name: version(name) for name in ("graphdown", "jax", "flax", "numpy", "xarray")}


def _text(value: Any) -> str:
    text = " ".join(str(value).split())
    return "" if text.lower() in SAYS_NOTHING else text
