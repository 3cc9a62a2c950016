"""The bench on which generalisation is measured: strategies x train-on sets x apply-to."""

from graphdown.transfer.outcome import Outcome, transfer
from graphdown.transfer.spec import Block, Strategy, Study, load_study, parse_study

__all__ = [
    "Block",
    "Outcome",
    "Strategy",
    "Study",
    "load_study",
    "parse_study",
    "transfer",
]
