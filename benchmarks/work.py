"""The work that every server of a benchmark offers, whatever it speaks: plain functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import timing

if TYPE_CHECKING:
    import numpy as np


class Thing:
    """A small object that stays over there."""


def nothing() -> None: ...


def small(number: int, factor: float, name: str, *, flag: bool, label: str) -> float:
    del name, flag, label
    return number * factor


def mean(values: np.ndarray) -> float:
    return float(values.mean())


def make() -> Thing:
    return Thing()


def renew(words: np.ndarray) -> int:
    return timing.renew(words)


def checksum(words: np.ndarray) -> int:
    return timing.checksum(words)
