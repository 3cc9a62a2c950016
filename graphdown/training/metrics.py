"""metrics.csv: one row per validation."""

import csv
from pathlib import Path


class MetricsLog:
    """Rows of step, seconds, loss and scores in a CSV file that survives a resumed run."""

    def __init__(self, path: Path, resumed_at: int) -> None:
        """Open the file; rows after the step resumed at are dropped, since they come again."""
        self.path = path
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= resumed_at]
            path.unlink()
            for row in rows:
                self.add(row)

    def add(self, row: dict[str, str]) -> None:
        """Append one row; the first one sets the columns."""
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
