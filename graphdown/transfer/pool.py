"""Several processes do the runs of a study together."""

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


def in_processes(study: Study, jobs: int) -> None:
    """Do what is left of a study in new processes, each on its share of the processor's cores.

    What each one has to tell goes to `process<number>.log` in the study's folder. When this
    process is stopped or one of them fails, all of them stop, with checkpoints.

    Raises:
        GraphdownError: as one of the processes did, or one was killed.
    """
    context = multiprocessing.get_context("spawn")
    told: SimpleQueue[GraphdownError] = context.SimpleQueue()
    logs = [Path(study.output) / f"process{number}.log" for number in range(jobs)]
    processes = [
        context.Process(target=_work, args=(study, jobs, log, told), daemon=True) for log in logs
    ]
    try:
        for number, process in enumerate(processes):
            with _cores(number, jobs):
                process.start()
        while alive := [process for process in processes if process.is_alive()]:
            wait([process.sentinel for process in alive])
            for process, log in zip(processes, logs, strict=True):
                if process.exitcode:
                    raise _failure(process.exitcode, log, told)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
        for process in processes:
            if process.pid is not None:
                process.join()


def _failure(status: int, log: Path, told: "SimpleQueue[GraphdownError]") -> GraphdownError:
    if not told.empty():
        return told.get()
    return GraphdownError(
        f"A process of the study ended with status {status}, see {str(log)!r}: it was stopped, or "
        "killed for want of memory, of which fewer 'jobs' need less; the same command goes on."
    )


@contextmanager
def _cores(number: int, jobs: int) -> Iterator[None]:
    """Leave this thread, and the processes that it starts, one of `jobs` shares of its cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    every = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, every[number::jobs] or every)
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


def _work(study: Study, jobs: int, log: Path, told: "SimpleQueue[GraphdownError]") -> None:
    """Do runs; progress and notices go to the log, lest those of several processes mix."""
    from graphdown.runtime.compilation_cache import keep_compiled

    threading.Thread(target=_end_with_parent, daemon=True).start()
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = log.open("a", encoding="utf-8", buffering=1)
    try:
        with notices_shown(), stopped_at_once():
            keep_compiled()
            for strategy in study.strategies:
                load_extensions(study.experiment_of(strategy).extensions)
            StudyScheduler(study, jobs).finish()
    except GraphdownError as error:
        told.put(error)
        sys.exit(2)
    except Interrupted as stop:
        sys.exit(stop.status)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
