"""Tests of `rpcnb.endpoint.serving.children`: processes that may have ended, descriptors by number."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, strategies as st

from rpcnb.endpoint.serving.children import close_all, kill_group, send_signal


@pytest.mark.parametrize("function", [kill_group, lambda n: send_signal(n, 15)])
def test_nobody_left_to_signal_is_fine(function) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    function(pid)


@given(st.sets(st.integers(0, 11), min_size=1))
def test_descriptors_are_closed_and_no_others(chosen) -> None:
    ends = [os.dup(0) for _ in range(12)]
    close_all([ends[place] for place in chosen])
    still_open = set()
    for place, end in enumerate(ends):
        try:
            os.close(end)
        except OSError:
            continue
        still_open.add(place)
    assert still_open == set(range(12)) - chosen


def test_what_stdout_leads_to_may_be_gone(run_python) -> None:
    code = """
import os, sys
from rpcnb.endpoint.serving.children import flush_output
reader, writer = os.pipe()
os.dup2(writer, 1)
os.close(reader), os.close(writer)
sys.stdout.write("into the void")
flush_output()
os._exit(0)
"""
    assert run_python(code) == ""
