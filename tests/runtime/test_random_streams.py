"""Streams of random numbers keep their numbers, so that runs can be repeated."""

from graphdown.runtime.random_streams import RandomStream


def test_numbers_of_the_streams_never_change():
    assert {stream: int(number) for stream, number in RandomStream.__members__.items()} == {
        "MEMBER_NOISE": 0,
        "MEMBER_RANKS": 1,
        "RANK_WAVES": 20,
        "DEPENDENCE_FIT": 21,
        "CALIBRATION": 22,
        "EOF_START": 23,
        "SOURCE_ORDER": 7919,
        "STUDY_SEEDS": 20060,
        "TRAINING_STEP": 104729,
        "NETWORKS": 350377,
        "ADAPTERS": 611953,
        "PRETRAINING_STEP": 15485863,
        "TRAINING_NOISE": 15485863,
        "PRETRAINING_VALIDATION": 32452843,
    }
