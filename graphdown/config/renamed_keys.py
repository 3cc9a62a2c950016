"""Keys that have another name than before, for the message where an old one is met."""

from collections.abc import Sequence

from graphdown.errors import ExperimentError

RENAMED = {
    "finetune.depth_decay": "finetune.layerwise_decay",
    "finetune.held_out": "finetune.validation_share",
    "finetune.moves": "finetune.trainable",
    "finetune.pull": "finetune.l2_sp",
    "may_lack": "optional_predictors",
    "model.modes": "model.eofs",
    "training.samples": "training.sample_storage",
}
_OPTIONS_OF = "finetune"  # the section whose keys are options of the command of the same name


def renamed(key: str) -> str | None:
    """Present name of a key, None if it was not renamed.

    Args:
        key: dotted path of the key; it may begin with that of a section which holds the
            experiment's keys, as in "strategies.full.finetune.moves".
    """
    for old, new in RENAMED.items():
        if key == old or key.endswith(f".{old}"):
            return key.removesuffix(old) + new
    return None


def check_options(arguments: Sequence[str]) -> None:
    """Refuse options of a command that have another name now.

    Args:
        arguments: those of the command line, the command's name first.

    Raises:
        ExperimentError: an option was renamed; the message says to what.
    """
    if list(arguments[:1]) != [_OPTIONS_OF]:
        return
    for option in (argument.split("=")[0] for argument in arguments if argument.startswith("--")):
        new = RENAMED.get(f"{_OPTIONS_OF}.{option[2:].replace('-', '_')}")
        if new is not None:
            name = new.removeprefix(f"{_OPTIONS_OF}.").replace("_", "-")
            raise ExperimentError(f"'{option}' is now called '--{name}'; rename it.")
