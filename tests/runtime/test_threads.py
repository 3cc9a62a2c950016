"""Work on several items at a time."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from graphdown.runtime import threads
from graphdown.runtime.threads import in_threads


def blas_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_results_come_in_order_from_threads_whose_linear_algebra_has_one(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 3)
    before, meeting = blas_threads(), threading.Barrier(3, timeout=30)

    def work(number):
        meeting.wait()  # all three at a time
        assert np.linalg.norm(np.eye(number + 1)) > 0
        return number, blas_threads()

    assert list(in_threads(work, range(3))) == [(number, {1}) for number in range(3)]
    assert blas_threads() == before


def test_an_error_is_raised_where_its_result_would_come():
    results = in_threads(lambda number: 1 // number, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
