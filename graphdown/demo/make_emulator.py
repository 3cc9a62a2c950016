"""The emulator that is installed, made again: `python -m graphdown.demo.make_emulator`.

It is that of the experiment "demo" with its training climate and its passport. To be run where the
package lies in a checkout, after a change of the file format or of the experiment.
"""

import shutil
import tempfile
from pathlib import Path

from graphdown.comparison import evaluate_run
from graphdown.config.experiment_file import load_experiment
from graphdown.config.packaged import packaged_config
from graphdown.demo.quick import installed_emulator
from graphdown.training import load_for, train

MOST_BYTES = 2 * 2**20


def keep_emulator(run: Path, folder: Path) -> None:
    """Put the emulator of a run in place of that in a folder.

    Raises:
        ValueError: it is larger than 2 MiB.
    """
    files = sorted((run / "emulator").iterdir())
    size = sum(file.stat().st_size for file in files)
    if size > MOST_BYTES:
        raise ValueError(f"The emulator has {size:,} bytes, more than {MOST_BYTES:,}.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)


def main() -> None:
    """Train and score the experiment, and keep its emulator."""
    with tempfile.TemporaryDirectory() as folder:
        experiment = load_experiment(packaged_config("demo"), [f"output={folder}/run"])
        data = load_for(experiment)
        train(experiment, data)
        evaluate_run(experiment.output, data)
        keep_emulator(Path(experiment.output), installed_emulator())


if __name__ == "__main__":
    main()
