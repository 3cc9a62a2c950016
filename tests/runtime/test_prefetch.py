"""Batches made in the background: order, bounds, errors, the end."""

import threading
import time

import pytest

from graphdown.runtime.prefetch import prefetched


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("prefetch")]


def test_results_come_in_order_however_long_each_takes():
    def slow(i):
        time.sleep(0.01 * (3 - i % 4))
        return i * i

    assert list(prefetched(slow, range(12), ahead=5, threads=3)) == [i * i for i in range(12)]
    assert not threads()


def test_the_next_ones_are_made_meanwhile_but_no_more_than_asked_for():
    made, four = [], threading.Event()

    def make(i):
        made.append(i)
        if len(made) == 4:
            four.set()
        return i

    results = prefetched(make, iter(range(1000)), ahead=3)
    assert next(results) == 0
    assert four.wait(10.0)
    time.sleep(0.05)
    assert sorted(made) == [0, 1, 2, 3]
    results.close()
    assert not threads()


def test_what_fails_is_raised_in_its_turn_and_ends_the_threads():
    def make(i):
        if i == 2:
            raise OSError("the disk is gone")
        return i

    results = prefetched(make, range(10))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
    assert not threads()
