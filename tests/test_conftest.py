"""The leak checks of conftest.py catch leaks."""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = {
    "thread": """
        import threading
        stop = threading.Event()
        def test_leak(): threading.Thread(target=stop.wait, args=(30,), name="lost").start()
        def teardown_module(): stop.set()
    """,
    "descriptor": """
        import os
        def test_leak(no_leaked_fds): os.dup(1)
    """,
    "handle": """
        held = []
        def test_leak(no_leaked_handles):
            no_leaked_handles(lambda: len(held))
            held.append(1)
    """,
}


@pytest.fixture
def with_our_conftest(pytester: pytest.Pytester) -> pytest.Pytester:
    source = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    pytester.makeconftest(source.replace("GRACE = 2.0", "GRACE = 0.05"))
    return pytester


@pytest.mark.parametrize("kind", CASES)
def test_a_leak_fails_the_test_that_made_it(with_our_conftest: pytest.Pytester, kind: str) -> None:
    with_our_conftest.makepyfile(CASES[kind])
    result = with_our_conftest.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([r".*(threads|descriptors|handles) left.*"])


def test_a_tidy_test_passes_all_checks(with_our_conftest: pytest.Pytester) -> None:
    with_our_conftest.makepyfile("""
        import os, threading
        def test_tidy(no_leaked_fds, no_leaked_handles, eventually):
            no_leaked_handles(lambda: 0)
            ended = threading.Thread(target=os.close, args=(os.dup(1),))
            ended.start()
            assert eventually(lambda: not ended.is_alive())
            assert not eventually(lambda: False, timeout=0.01)
    """)
    with_our_conftest.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_test_that_takes_too_long_shows_where_the_processes_are_that_it_started(
    with_our_conftest: pytest.Pytester,
) -> None:
    with_our_conftest.makepyfile("""
        import os, signal, threading
        from rpcnb.endpoint.serving.worker import tell_stacks_when_asked
        started = []
        def wait_for_nobody():
            threading.Event().wait(60)
        def test_slow():
            child = os.fork()
            if not child:
                tell_stacks_when_asked()
                wait_for_nobody()
            started.append(child)
            threading.Event().wait(60)
        def teardown_module():
            os.kill(started[0], signal.SIGKILL)
            os.waitpid(started[0], 0)
    """)
    result = with_our_conftest.runpytest_subprocess(
        "-p", "no:cacheprovider", "-o", "timeout=1", "--timeout-method=signal"
    )
    result.stdout.fnmatch_lines(["*in wait_for_nobody*"])
