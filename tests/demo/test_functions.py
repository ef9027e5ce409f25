"""The demo functions, called as the ordinary functions they are."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from rpcnb.demo import functions as demo


def test_blur_keeps_what_is_even_and_spreads_what_is_not() -> None:
    even = np.full((9, 12, 3), 100, np.uint8)
    assert (demo.blur(even, sigma=1.5) == even).all()
    point = np.zeros((31, 41), np.float32)
    point[15, 20] = 1.0
    blurred = demo.blur(point, sigma=2.0)
    assert blurred.dtype == point.dtype
    assert blurred.sum() == pytest.approx(1.0, abs=1e-3)
    assert blurred.argmax() == point.argmax()
    np.testing.assert_allclose(blurred, blurred[::-1, ::-1], atol=1e-6)
    rows, _ = np.indices(point.shape)
    assert (blurred * (rows - 15) ** 2).sum() == pytest.approx(4.0, rel=0.05)


def test_primes_come_in_order_and_on_demand() -> None:
    assert list(demo.primes(30)) == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert list(islice(demo.primes(10**12), 3)) == [2, 3, 5]
    assert list(demo.primes(1)) == []


def test_training_tells_every_epoch_and_finds_the_line() -> None:
    told = []
    fit = demo.train(epochs=40, callback=lambda epoch, loss: told.append((epoch, loss)))
    assert [epoch for epoch, _ in told] == list(range(40))
    assert [loss for _, loss in told] == fit["losses"]
    assert (fit["slope"], fit["offset"]) == pytest.approx((3.0, 1.0), abs=0.05)


def test_a_scaler_stays_within_the_dtype() -> None:
    image = np.array([0, 100, 200], np.uint8)
    scaled = demo.make_scaler(2)(image)
    assert scaled.dtype == np.uint8
    assert scaled.tolist() == [0, 200, 255]
    assert demo.make_scaler(0.5)(np.array([1.0])).tolist() == [0.5]


def test_mandelbrot_knows_inside_from_outside() -> None:
    picture = demo.mandelbrot(width=60, height=40, iterations=30)
    assert picture.shape == (40, 60)
    assert picture[20, 44] == 30  # the origin belongs to the set
    assert picture[0, 0] < 5
    np.testing.assert_array_equal(picture[1:20], picture[:20:-1])  # symmetric about the real axis


def test_small_functions() -> None:
    assert demo.echo([1, None]) == [1, None]
    assert demo.stats(np.array([1.0, 3.0])) == {"min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0}
    assert demo.count_slowly(10, seconds=0.0) == 10
