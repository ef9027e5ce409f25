"""The functions of the demo: ordinary Python, registered by name.

Nothing here knows who calls: `rpcnb.track` reports progress to a caller far away, ``print`` appears
under the caller's cell, and what is returned stays here if it is an array or a function.
"""

from __future__ import annotations

import time
from itertools import takewhile
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

import rpcnb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@rpcnb.register("demo.echo")
def echo(value: Any) -> Any:
    """Return what it is given."""
    return value


@rpcnb.register("demo.stats")
def stats(image: np.ndarray) -> dict[str, float]:
    """Describe an array in a few numbers."""
    return {
        "min": float(image.min()),
        "max": float(image.max()),
        "mean": float(image.mean()),
        "std": float(image.std()),
    }


@rpcnb.register("demo.blur")
def blur(image: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    """Blur an image with a Gaussian, row by row and then column by column.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, channels)
    sigma : float [pixels]
        Width of the Gaussian.
    """
    radius = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    height, width = image.shape[:2]
    result = image.astype(np.float32)
    with_border = np.pad(result, ((radius, radius), *((0, 0),) * (image.ndim - 1)), mode="edge")
    for row in rpcnb.track(range(height), description="rows"):
        result[row] = np.tensordot(weights, with_border[row : row + 2 * radius + 1], 1)
    with_border = np.pad(
        result, ((0, 0), (radius, radius), *((0, 0),) * (image.ndim - 2)), mode="edge"
    )
    for column in rpcnb.track(range(width), description="columns"):
        window = with_border[:, column : column + 2 * radius + 1]
        result[:, column] = np.tensordot(weights, window, (0, 1))
    print(f"blurred {height} x {width} pixels with sigma {sigma:g}")
    return result.astype(image.dtype)


@rpcnb.register("demo.count_slowly")
def count_slowly(n: int = 100, seconds: float = 0.1) -> int:
    """Count to `n`, waiting `seconds` before each step: something to watch, and to stop."""
    for step in rpcnb.track(range(n), description="counting"):
        time.sleep(seconds)
        if (step + 1) % 10 == 0:
            print(f"counted to {step + 1}")
    return n


@rpcnb.register("demo.train")
def train(
    epochs: int = 20, callback: Callable[[int, float], object] | None = None
) -> dict[str, Any]:
    """Fit a line to 10,000 noisy points by gradient descent.

    Parameters
    ----------
    epochs : int
    callback : callable, optional
        Called after each epoch with its number and the loss; it may live with the caller.
    """
    generator = np.random.default_rng(seed=7)
    x = generator.normal(size=10_000)
    y = 3.0 * x + 1.0 + generator.normal(scale=0.1, size=x.size)
    slope, offset, losses = 0.0, 0.0, []
    for epoch in rpcnb.track(range(epochs), description="epochs"):
        error = slope * x + offset - y
        losses.append(float(np.mean(error**2)))
        slope -= 0.2 * float(np.mean(error * x))
        offset -= 0.2 * float(np.mean(error))
        if callback is not None:
            callback(epoch, losses[-1])
    return {"slope": slope, "offset": offset, "losses": losses}


@rpcnb.register("demo.primes")
def primes(limit: int = 1_000_000) -> Iterator[int]:
    """Yield the primes up to `limit`, each when it is found."""
    found: list[int] = []
    for number in range(2, limit + 1):
        root = isqrt(number)
        if all(number % prime for prime in takewhile(lambda p: p <= root, found)):  # noqa: B023
            found.append(number)
            yield number


@rpcnb.register("demo.make_scaler")
def make_scaler(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that multiplies by `factor`; it lives here, too."""

    def scale(image: np.ndarray) -> np.ndarray:
        """Multiply every element, staying within the dtype."""
        scaled = image * float(factor)
        if image.dtype.kind in "iu":
            limits = np.iinfo(image.dtype)
            scaled = scaled.clip(limits.min, limits.max)
        return scaled.astype(image.dtype)

    return scale


@rpcnb.register("demo.mandelbrot")
def mandelbrot(width: int = 600, height: int = 400, iterations: int = 80) -> np.ndarray:
    """Compute the Mandelbrot set, row by row.

    Returns
    -------
    array of shape (height, width), uint16
        After how many iterations each point escaped; `iterations` for those that did not.
    """
    real = np.linspace(-2.2, 0.8, width)
    picture = np.full((height, width), iterations, np.uint16)
    for row in rpcnb.track(range(height), description="rows"):
        point = real + 1j * (2.4 * row / height - 1.2)
        value = np.zeros_like(point)
        for step in range(iterations):
            value = value**2 + point
            escaped = (np.abs(value) > 2) & (picture[row] == iterations)
            picture[row, escaped] = step
            value[np.abs(value) > 2] = 2.0 + 2.0j  # stays outside, and finite
    return picture
