"""The streams of random numbers that are drawn from one seed."""

from enum import IntEnum


class RandomStream(IntEnum):
    """One use of random numbers; numbers of different streams are independent.

    A stream's number goes into NumPy's seed sequence, or is folded into JAX's key, beside the seed
    of the run; those that are the same for every run are seeds themselves. It must never change, or
    runs could not be repeated by a later version. Those of training are larger than any number of
    sources, since the order of a source's days is seeded by the source's number in its place.
    """

    MEMBER_NOISE = 0  # of ensemble members, for the network
    MEMBER_RANKS = 1  # of ensemble members, in the distributions of the targets
    RANK_WAVES = 20  # the random fields that all ranks are made of
    DEPENDENCE_FIT = 21  # what the correlations of members are fitted by
    CALIBRATION = 22  # ranks of values with a probability of their own
    EOF_START = 23  # the vectors from which the EOFs are iterated
    SOURCE_ORDER = 7919  # which source a step of training draws from
    STUDY_SEEDS = 20060  # which seeds a resample of a transfer study takes
    TRAINING_STEP = 104729
    NETWORKS = 350377  # further networks of a deep ensemble
    ADAPTERS = 611953  # low-rank matrices of fine-tuning
    PRETRAINING_STEP = 15485863
    TRAINING_NOISE = 15485863  # of JAX's generator, so it is a stream apart all the same
    PRETRAINING_VALIDATION = 32452843
