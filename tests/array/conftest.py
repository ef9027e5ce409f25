"""A `Remote` behind a socket, whose round trips are counted and whose table is empty at the end."""

from __future__ import annotations

import gc
import os
import warnings
from typing import TYPE_CHECKING

import pytest

from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.array.namespace import ArrayNamespace


# SciPy reads it when it is imported, and dispatches to other array libraries only then.
os.environ.setdefault("SCIPY_ARRAY_API", "1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    registry = FunctionRegistry()
    registry.add("total", lambda array: float(array.sum()))
    file = tmp_path_factory.mktemp("server") / "connection.json"
    allowed = ["numpy.linalg", "scipy.signal"]
    made = Server(registry=registry, name="lab", allowed_modules=allowed, connection_file=file)
    with warnings.catch_warnings():  # workers inherit the filters, and this run's raise errors
        warnings.simplefilter("always")
        # Python 3.12 and later count the threads of NumPy's libraries, too.
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[Remote]:
    with Remote(open_session(server.url, token=server.token), name="lab") as opened:
        opened.arrays.pipeline.is_open()  # asked once: tests count
        yield opened


@pytest.fixture
def remote(session: Remote, eventually: Callable[..., bool]) -> Iterator[Remote]:
    """Give a session; every array must be given back when the test has ended."""
    ask = session.builtin("rpcnb.statistics")
    yield session
    session.arrays.settle()  # until its reply, an operation keeps what it was given
    if len(session.handles):
        gc.collect()
    # A garbage collection on another thread may be giving one back at this moment.
    assert eventually(lambda: list(session.handles) == [])
    # And nothing that this side does not know of: what it looked up once it keeps.
    looked_up = len(session._builtins) + len(session.session._small._functions)
    assert eventually(lambda: ask()["handles"] == looked_up)


@pytest.fixture
def xp(remote: Remote) -> ArrayNamespace:
    return remote.xp


@pytest.fixture
def round_trips(remote: Remote) -> Callable[[], int]:
    """Give a function that tells how many calls have been made."""
    return lambda: remote.session.statistics()["calls"]
