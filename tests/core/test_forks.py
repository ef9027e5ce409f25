"""Tests of `rpcnb.core.forks`: what a forked child does first."""

from __future__ import annotations


def test_children_do_what_was_asked_for_and_their_parent_does_not(run_python) -> None:
    code = """
import os
from rpcnb.core.forks import do_in_children

def act():
    print("acted", flush=True)

do_in_children(act)
do_in_children(act)  # once is enough
if os.fork() == 0:
    print("child", flush=True)
    os._exit(0)
os.wait()
print("parent")
"""
    assert run_python(code) == "acted\nchild\nparent\n"


def test_children_forget_what_still_lives_then(run_python) -> None:
    code = """
import os
from rpcnb.core.forks import forget_in_children

class Thing:
    def __init__(self, name):
        self.name = name

    def forget(self):
        print("forgot", self.name, flush=True)

kept, gone = Thing("kept"), Thing("gone")
forget_in_children(kept)
forget_in_children(gone)
del gone
for _ in range(2):
    if os.fork() == 0:
        if os.fork() == 0:
            print("grandchild", flush=True)  # its parent has forgotten already
        else:
            os.wait()
        os._exit(0)
    os.wait()
"""
    assert run_python(code) == 2 * "forgot kept\ngrandchild\n"
