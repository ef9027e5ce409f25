"""What the browser tests call: served by a process of its own, as a person would."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import rpcnb


@rpcnb.register("lab.slow")
def slow(marker: str = "", steps: int = 200, pause: float = 0.05) -> str:
    """Say how far it is; write `marker` at the end."""
    for _ in rpcnb.track(range(steps), description="steps"):
        time.sleep(pause)
    if marker:
        Path(marker).write_text("ran to its end", encoding="utf-8")
    return "through"


@rpcnb.register("lab.shout")
def shout() -> None:
    """Print without end."""
    while True:
        print("x" * 100)


@rpcnb.register("lab.add")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@rpcnb.register("lab.make")
def make(rows: int = 1000, columns: int = 100) -> np.ndarray:
    """Make an array that stays here."""
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


@rpcnb.register("lab.planted")
def planted(nbytes: int = 2**24) -> np.ndarray:
    """Make a square array of noise with one NaN and one hot pixel."""
    side = int((nbytes // 4) ** 0.5)
    picture = np.empty((side, side), np.float32)
    picture[:] = np.linspace(-1, 1, side, dtype=np.float32)
    picture += np.sin(np.arange(side, dtype=np.float32) / side * 20)[:, None]
    picture[side // 3, side // 4] = np.nan
    picture[side // 2, side - side // 5] = 1000
    return picture
