"""The bench on which generalisation is measured: strategies x train-on sets x apply-to."""

from graphdown.bench.outcome import Outcome, transfer
from graphdown.bench.spec import Block, Strategy, Study, load_study, parse_study

__all__ = [
    "Block",
    "Outcome",
    "Strategy",
    "Study",
    "load_study",
    "parse_study",
    "transfer",
]
