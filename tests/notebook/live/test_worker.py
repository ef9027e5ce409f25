from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from rpcnb.notebook.live.worker import Worker

if TYPE_CHECKING:
    import pytest


def test_tasks_run_in_order_on_another_thread() -> None:
    worker, done, order = Worker("w"), threading.Event(), []
    worker.put(lambda: order.append(threading.current_thread().name))
    worker.put(lambda: order.append(2))
    worker.put(done.set)
    assert done.wait(5)
    assert order == ["w", 2]


def test_a_task_that_fails_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    worker, done = Worker("w"), threading.Event()

    def fail() -> None:
        raise ValueError("no")

    with caplog.at_level(logging.ERROR, "rpcnb.live"):
        worker.put(fail)
        worker.put(done.set)
        assert done.wait(5)
    assert "could not be served" in caplog.text
