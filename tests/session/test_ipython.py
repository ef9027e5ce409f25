"""The forms that displays take on their way; the shell itself runs in tests/remote/test_cells.py."""

from __future__ import annotations

import asyncio
import base64

import pytest

from rpcnb.session.ipython import (
    LARGEST_PICTURE,
    LONGEST_TEXT,
    CellLoop,
    nobody_to_ask,
    picture_sizes,
    sendable,
    shortened,
)


def test_texts_are_bounded_and_keep_both_ends() -> None:
    assert sendable("text/plain", "short") == "short"
    long = "a" * LONGEST_TEXT + "z" * 10
    sent = sendable("text/html", long)
    assert isinstance(sent, str)
    assert len(sent) < LONGEST_TEXT + 100
    assert sent.startswith("aaa")
    assert sent.endswith("zzz")
    assert shortened("abcdefgh", 4) == "ab\n… 4 characters left out …\ngh"


def test_pictures_cross_as_base64_or_not_at_all() -> None:
    assert sendable("image/png", b"png") == base64.b64encode(b"png").decode()
    assert sendable("image/png", "cG5n") == "cG5n"
    assert sendable("image/png", b"x" * (LARGEST_PICTURE + 1)) is None
    assert sendable("image/png", "x" * (2 * LARGEST_PICTURE)) is None


def test_what_is_neither_text_nor_picture_stays() -> None:
    assert sendable("application/json", {"a": 1}) is None


def test_of_the_metadata_only_sizes_cross() -> None:
    given = {"image/png": {"width": 3, "height": True, "needs_background": "light"}, "isolated": 1}
    assert picture_sizes(given) == {"image/png": {"width": 3}}


def test_a_cell_that_is_interrupted_while_it_awaits_does_not_go_on_later() -> None:
    run, happened = CellLoop(), []

    async def struck() -> None:
        try:
            await asyncio.sleep(0)
            raise KeyboardInterrupt
        finally:
            happened.append("ended")

    async def waits(future: asyncio.Future[None]) -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        await future
        happened.append("went on")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(struck())
    assert run._loop is not None
    future = run._loop.create_future()
    with pytest.raises(KeyboardInterrupt):
        run(waits(future))
    assert future.cancelled()
    run._loop.close()
    assert happened == ["ended"]


def test_nobody_is_asked() -> None:
    with pytest.raises(RuntimeError, match=r"input\(\) has nobody to ask .* --in answer"):
        nobody_to_ask("input")("how much?")
