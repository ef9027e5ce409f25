"""SIGQUIT shows where a session's process is, and does it no harm."""

from __future__ import annotations

import signal


def test_a_worker_that_is_asked_for_its_stacks_writes_them_and_goes_on(own_server, remote) -> None:
    with own_server.connect() as session:
        echo = remote(session, "t.echo")
        assert echo(1) == 1
        (worker,) = own_server.workers()
        worker.send_signal(signal.SIGQUIT)
        assert echo(2) == 2
    errors = own_server.end()
    assert "most recent call first" in errors
    assert "in serve" in errors
