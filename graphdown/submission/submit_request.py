"""Arguments of `graphdown submit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from graphdown.errors import GraphdownError

RUNS = "runs/{domain}_{training}"


@dataclass(frozen=True)
class SubmitRequest:
    """Arguments of `graphdown submit`.

    Attributes:
        benchmark: name of the benchmark.
        data: folder with the benchmark's unpacked ALPS_domain, NZ_domain and SA_domain.
        output: the submission's folder, which has its name.
        runs: folder of each run, with {domain} for ALPS, NZ or SA and {training} for
            ESD_pseudo_reality or Emulator_hist_future.
        members: 10 for an emulator that makes members, as the benchmark asks of generative ones; 0
            for one field a day.
        seed: of the members.
        templates: folder with the benchmark's templates, such as pr_ALPS.nc, whose coordinates and
            attributes are taken; by default those of the runs' targets.
        zip: pack the folder into a .zip file beside it.
        overwrite: replace files that other runs or inputs made.
    """

    benchmark: Positional[Annotated[Literal["cordex-ml-bench"], arg(metavar="BENCHMARK")]]
    data: Positional[Annotated[Path, arg(metavar="DATA")]]
    output: Annotated[Path, arg(aliases=["-o"])]
    runs: Annotated[str, arg(metavar="PATTERN")] = RUNS
    members: Literal[0, 10] = 0
    seed: int = 0
    templates: Annotated[Path | None, arg(metavar="FOLDER")] = None
    zip: bool = False
    overwrite: bool = False

    def run(self, domain: str, training: str) -> Path:
        """Folder of the run of a domain and training.

        Raises:
            GraphdownError: the pattern does not tell the runs apart.
        """
        if not ("{domain}" in self.runs and "{training}" in self.runs):
            raise GraphdownError(
                f"--runs: {self.runs!r} does not tell the runs apart; write it with {{domain}} and "
                f"{{training}}, as in {RUNS}."
            )
        named = self.runs.replace("{domain}", domain).replace("{training}", training)
        return Path(named)
