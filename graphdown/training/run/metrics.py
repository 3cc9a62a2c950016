"""metrics.csv: one row per validation."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from graphdown.runtime.atomic import write_durably
from graphdown.runtime.write_errors import explained_write_errors

Row = dict[str, str]


class MetricsLog:
    """Rows of step, seconds, loss and scores: those of the checkpoints, written as CSV."""

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        """Write these rows, and nothing else, to the file.

        Raises:
            GraphdownError: it cannot be written.
        """
        self.path = path
        self.rows = list(rows)
        self._write()

    def add(self, row: Row) -> None:
        """Add one row; columns that earlier ones lack are empty there.

        Raises:
            GraphdownError: the file cannot be written; it is as it was.
        """
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        with explained_write_errors(self.path, "the same command resumes from the last checkpoint"):
            if not self.rows:
                self.path.unlink(missing_ok=True)
                return
            text = io.StringIO()
            columns = dict.fromkeys(name for row in self.rows for name in row)
            writer = csv.DictWriter(text, list(columns), restval="")
            writer.writeheader()
            writer.writerows(self.rows)
            write_durably(self.path, text.getvalue())
