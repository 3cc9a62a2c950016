"""Several processes that share the runs of a study."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from graphdown.config.extensions import load_extensions
from graphdown.errors import GraphdownError
from graphdown.runtime.console import notices_shown
from graphdown.runtime.signals import Interrupted, stopped_at_once
from graphdown.transfer.scheduler import StudyScheduler
from graphdown.transfer.spec import Study


def run_in_processes(study: Study, jobs: int) -> None:
    """Run what is left of a study in new processes, each on its share of the processor's cores.

    Progress and notices of each process are written to `process<number>.log` in the study's
    folder. When this process is stopped or one of them fails, all of them stop, with checkpoints.

    Raises:
        GraphdownError: the error of a process, or one was killed.
    """
    context = multiprocessing.get_context("spawn")
    errors: SimpleQueue[GraphdownError] = context.SimpleQueue()
    logs = [Path(study.output) / f"process{number}.log" for number in range(jobs)]
    processes = [
        context.Process(target=_work, args=(study, jobs, log, errors), daemon=True) for log in logs
    ]
    try:
        for number, process in enumerate(processes):
            with _share_of_cores(number, jobs):
                process.start()
        while alive := [process for process in processes if process.is_alive()]:
            wait([process.sentinel for process in alive])
            for process, log in zip(processes, logs, strict=True):
                if process.exitcode:
                    raise _failure(process.exitcode, log, errors)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
        for process in processes:
            if process.pid is not None:
                process.join()


def _failure(status: int, log: Path, errors: "SimpleQueue[GraphdownError]") -> GraphdownError:
    if not errors.empty():
        return errors.get()
    return GraphdownError(
        f"A process of the study ended with status {status}, see {str(log)!r}: it was stopped, or "
        "killed because memory ran out, of which fewer 'jobs' need less; the same command resumes."
    )


@contextmanager
def _share_of_cores(number: int, jobs: int) -> Iterator[None]:
    """Restrict this thread, and processes that it starts, to one of `jobs` shares of its cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[number::jobs] or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _work(study: Study, jobs: int, log: Path, errors: "SimpleQueue[GraphdownError]") -> None:
    """Do runs; progress and notices go to the log, so that those of processes do not mix."""
    from graphdown.runtime.compilation_cache import keep_compiled

    threading.Thread(target=_end_with_parent, daemon=True).start()
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = log.open("a", encoding="utf-8", buffering=1)
    try:
        with notices_shown(), stopped_at_once():
            keep_compiled()
            for strategy in study.strategies:
                load_extensions(study.experiment_of(strategy).extensions)
            scheduler = StudyScheduler(study, jobs)
            scheduler.refresh()
            scheduler.finish()
    except GraphdownError as error:
        errors.put(error)
        sys.exit(2)
    except Interrupted as stop:
        sys.exit(stop.status)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
