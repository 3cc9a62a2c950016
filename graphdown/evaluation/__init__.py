"""Score predictions by the protocol's measures; tables and a report with pictures."""

from graphdown.evaluation.cases import Case, score_cases
from graphdown.evaluation.ensemble import evaluate_ensemble
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.floor import (
    climate_floor,
    climate_floors,
    ensemble_floor,
    with_floors,
)
from graphdown.evaluation.further_measures import FURTHER
from graphdown.evaluation.measures import MEASURES, Measure, register_measure
from graphdown.evaluation.member_scores import evaluate_members
from graphdown.evaluation.protocol import PROTOCOL
from graphdown.evaluation.report import write_report
from graphdown.evaluation.season_filter import evaluate_by_season
from graphdown.evaluation.table import format_table

__all__ = [
    "FURTHER",
    "MEASURES",
    "Case",
    "PROTOCOL",
    "Measure",
    "climate_floor",
    "climate_floors",
    "ensemble_floor",
    "evaluate",
    "evaluate_by_season",
    "evaluate_ensemble",
    "evaluate_members",
    "format_table",
    "register_measure",
    "score_cases",
    "with_floors",
    "write_report",
]
