"""Score predictions by the protocol's measures; tables and a report with pictures."""

from graphdown.evaluation.cases import Case, score_cases
from graphdown.evaluation.ensemble import evaluate_ensemble
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.measures import MEASURES, Measure, register_measure
from graphdown.evaluation.protocol import PROTOCOL
from graphdown.evaluation.report import write_report
from graphdown.evaluation.table import format_table

__all__ = [
    "MEASURES",
    "Case",
    "PROTOCOL",
    "Measure",
    "evaluate",
    "evaluate_ensemble",
    "format_table",
    "register_measure",
    "score_cases",
    "write_report",
]
