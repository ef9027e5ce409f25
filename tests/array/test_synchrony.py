from __future__ import annotations

import threading

from rpcnb.array.synchrony import set_sync_mode, sync_mode, waits_for_each


def test_operations_are_sent_ahead_unless_told_otherwise() -> None:
    assert not waits_for_each()
    with sync_mode():
        assert waits_for_each()
        with sync_mode(False):
            assert not waits_for_each()
    assert not waits_for_each()


def test_the_setting_holds_for_every_thread_and_the_block_for_its_own() -> None:
    found: list[bool] = []

    def look() -> None:
        thread = threading.Thread(target=lambda: found.append(waits_for_each()))
        thread.start()
        thread.join(10)

    with sync_mode():
        look()
    set_sync_mode(True)
    try:
        look()
    finally:
        set_sync_mode(False)
    assert found == [False, True]
