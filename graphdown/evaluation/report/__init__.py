"""The report: one page with tables, maps and charts."""

from graphdown.evaluation.report.write import write_report

__all__ = ["write_report"]
