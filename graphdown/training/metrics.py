"""metrics.csv: one row per validation."""

import csv
import io
from pathlib import Path

from graphdown.disk import failure_told, write_whole
from graphdown.errors import GraphdownError


class MetricsLog:
    """Rows of step, seconds, loss and scores in a CSV file that survives a resumed run."""

    def __init__(self, path: Path, resumed_at: int) -> None:
        """Open the file; rows after the step resumed at are dropped, since they come again.

        Raises:
            GraphdownError: the file is damaged, or cannot be written.
        """
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            self.rows = [row for row in _read(path) if int(row["step"]) <= resumed_at]
            self._write()

    def add(self, row: dict[str, str]) -> None:
        """Add one row; columns that earlier ones lack are empty there.

        Raises:
            GraphdownError: the file cannot be written; it is as it was.
        """
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        if not self.rows:
            self.path.unlink(missing_ok=True)
            return
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self.rows for name in row)
        writer = csv.DictWriter(text, list(columns), restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        with failure_told(self.path, "the same command goes on from the last checkpoint"):
            write_whole(self.path, text.getvalue())


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        whole = all(row["step"].isdecimal() and None not in row for row in rows)
    except (KeyError, AttributeError, ValueError, csv.Error):
        whole = False
    if not whole:
        raise GraphdownError(
            f"{str(path)!r} is damaged; mend it or move it away, and the same command goes on."
        )
    return rows
