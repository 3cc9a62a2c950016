"""The bench on which generalisation is measured: strategies x train-on sets x apply-to."""

from graphdown.bench.spec import Block, Strategy, Study, load_study, parse_study
from graphdown.bench.transfer import Outcome, transfer

__all__ = [
    "Block",
    "Outcome",
    "Strategy",
    "Study",
    "load_study",
    "parse_study",
    "transfer",
]
