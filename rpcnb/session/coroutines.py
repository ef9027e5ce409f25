"""The event loop of one session, on a thread of its own, where ``async def`` functions run.

`asyncio` takes 3.6 MB, a tenth of a worker's memory that a fork has to look at; so the first such
call imports it, or whoever forks workers that have ``async def`` functions.
"""

from __future__ import annotations

import threading
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine


class LoopThread:
    """Runs coroutines on a thread that starts with the first one.  Thread-safe.

    The coroutines handed in must not raise: they have nobody to raise to.
    """

    def __init__(self, name: str = "rpcnb-loop") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, make: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Run the coroutine that `make` returns; return what cancels it, callable anywhere."""
        loop = self._running_loop()
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            tasks.append(loop.create_task(make(), context=Context()))

        def cancel() -> None:
            # One turn of the loop later, because a task that is cancelled before its first step
            # never runs at all, and could not tell anybody.
            loop.call_soon_threadsafe(loop.call_soon, lambda: tasks[0].cancel())  # noqa: PLW0108 -- no task yet

        loop.call_soon_threadsafe(begin)
        return cancel

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def close(self) -> None:
        """End the thread once what runs has ended, having been cancelled.  Does not wait."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            import asyncio

            asyncio.run_coroutine_threadsafe(_end_all(loop), loop)


async def _end_all(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    tasks = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    if tasks:
        await asyncio.wait(tasks, timeout=5.0)  # one that swallows its cancellation cannot hold us
    loop.stop()
