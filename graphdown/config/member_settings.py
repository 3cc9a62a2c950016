"""MemberSpec: what is fitted to an emulator's members when its training ends."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MemberSpec:
    """What is fitted to an emulator's members when its training ends.

    Attributes:
        fit_dependence: whether the correlation of members from one step to the next, and for heads
            with a distribution also in space and between targets, is fitted on days of training;
            else steps and targets are independent, and ranks are correlated in space as
            exp(-d / 150 km).
        calibrate: whether the ranks at which members of heads are drawn are corrected such that
            the truth's ranks on the days of validation are uniform, for groups of like expectation.
    """

    fit_dependence: bool = False
    calibrate: bool = False
