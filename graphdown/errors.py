"""Errors whose message is meant for the user: one sentence with the cure."""


class GraphdownError(ValueError):
    """What the user gave cannot be used; the message says what, where and what to do."""


class ExperimentError(GraphdownError):
    """An experiment file is wrong; the message names the key."""


class DataError(GraphdownError):
    """A data file or dataset is wrong; the message names the file or variable.

    Attributes:
        rule: name of the refusal in `graphdown.data.reading.rules`, if it is one of those.
    """

    rule: str | None = None


class DamageError(GraphdownError):
    """What a run made is absent or damaged; a checkpoint may serve to make it again."""
