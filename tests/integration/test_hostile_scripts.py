"""What a hostile server may say, case by case: to each request, and in each place for its text.

A case passes when the client ends with a result or with an error of ours, and shows nothing that
acts on a terminal or is markup.
"""

from __future__ import annotations

import math
import shutil
import sys
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import rpcnb
from rpcnb.core.device import CPU
from rpcnb.core.dtype import Field, RecordDType
from rpcnb.core.errors import ErrorInfo, RpcnbError
from rpcnb.core.values import (
    ArrayRef,
    DenseArray,
    FunctionInfo,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    Parameter,
)
from rpcnb.core.visible import printable_output, visible
from rpcnb.endpoint.client.connect import open_session
from rpcnb.notebook.formatters import DISPLAYS
from rpcnb.session.base import raise_or_return
from rpcnb.wire import messages as m

sys.path.insert(0, str(Path(__file__).parent))
from hostile import PATIENCE, TOKEN  # beside this file, which is no package

MEMORY = 32 << 20
MIB = 1 << 20
TIB = 1 << 40


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def nothing_grows():
    before = psutil.Process().memory_info().rss
    yield
    assert psutil.Process().memory_info().rss - before < MEMORY


# --- each reply to each request -------------------------------------------------------------------


def stream_wait(session) -> object:
    done: Future[tuple[object, object]] = Future()
    session.async_stream_wait(CPU, 0, lambda *ended: done.set_result(ended))
    return raise_or_return(*done.result(PATIENCE))


def array(nbytes: int) -> ArrayRef:
    return ArrayRef(Handle(7), (nbytes,), "|u1")


USES = {
    "function": lambda s: s.get_function("f"),
    "call": lambda s: s.call_func(FunctionRef(Handle(1)), (1,)),
    "small download": lambda s: s.copy_from_remote(array(64), bytearray(64), 64),
    "download": lambda s: s.copy_from_remote(array(MIB), bytearray(MIB), MIB),
    "small upload": lambda s: s.copy_to_remote(bytes(64), array(64), 64),
    "upload": lambda s: s.copy_to_remote(bytes(2 * MIB), array(2 * MIB), 2 * MIB),
    "device": lambda s: s.get_device_api(CPU, allow_missing=True),
    "stream": stream_wait,
}
VALUES = {
    "nothing": None,
    "truth": True,
    "less than nothing": -1,
    "a large number": 10**300,
    "no number": math.nan,
    "text": "x" * 30_000,
    "bytes": bytes(1 << 16),
    "a list": [[[[]]]] * 100,
    "a dict of dunder names": {"__class__": "x", "__reduce__": ["os.system", "id"]},
    "a function": FunctionRef(Handle((1 << 63) - 1), FunctionInfo("__init__")),
    "an array of 1 TiB": ArrayRef(Handle(5), (TIB,), "|u1"),
    "an array with a wild view": ArrayRef(Handle(5), (9, 9), "<f8", CPU, 0, 0, (1 << 62, -8)),
    "a module": ModuleRef(Handle(5), "os", ("system", "__class__")),
    "an object": ObjectRef(Handle(5), "SystemExit", "SystemExit()"),
    "an iterator": IteratorRef(Handle(5), "it"),
    "a small array": DenseArray("|b1", (4,), b"\2\3\4\5"),
    "text that is none": DenseArray("<U1", (1,), b"\xff\xff\xff\x7f"),
}
ERROR = ErrorInfo("SystemExit", "gone", "SystemExit", (1,))
WORDS = {
    **{what: lambda n, value=value: [m.Return(n, value)] for what, value in VALUES.items()},
    "an error": lambda n: [m.Raised(n, ERROR)],
    "a stop": lambda n: [m.Stopped(n)],
    "a deadline": lambda n: [m.Stopped(n, m.CancelReason.DEADLINE)],
    "an answer twice": lambda n: [m.Return(n, 1), m.Return(n, 2)],
    "an answer to others": lambda n: [m.Return(n + 100, 1), m.Return(n, None)],
    "data": lambda n: [m.CopyData(n, 0, 3, True, b"abc"), m.Return(n, None)],
    "data far out": lambda n: [m.CopyData(n, TIB, 3, True, b"abc"), m.Return(n, None)],
    "too much data": lambda n: [m.CopyData(n, 0, 4 * MIB, True, bytes(4 * MIB)), m.Return(n, None)],
    "wild progress": lambda n: [
        *(
            m.Progress(n, done, total)
            for done in (math.nan, -1.0, math.inf)
            for total in (0.0, None)
        ),
        m.Return(n, None),
    ],
    "much output": lambda n: [*[m.Output(n, "stdout", "x" * 30_000)] * 50, m.Return(n, None)],
    "many starts": lambda n: [*[m.Started(n)] * 50, m.Return(n, None)],
    "a call of what was not lent": lambda n: [
        m.CallFunc(9, 1, ("x",), {}, 0, None, n),
        m.Return(n),
    ],
    "a goodbye": lambda n: [m.Goodbye("go")],
    "blame": lambda n: [m.Goodbye("go", error=True)],
    "garbage": lambda n: [bytes(range(256))],
    "a hang-up": lambda n: [None],
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("words", WORDS)
def test_whatever_is_answered_ends_in_a_result_or_an_error_of_ours(hostile, use, words) -> None:
    url = hostile(lambda server: server.answer(lambda request: WORDS[words](request.id)))
    with open_session(url, token=TOKEN, timeout=PATIENCE) as session, suppress(RpcnbError):
        USES[use](session)


def test_1_tib_that_was_announced_is_not_waited_for(hostile) -> None:
    """One array of 1 TiB by handle: looking at it and taking some of it costs nothing here."""

    def reply(request):
        small = type(request) is m.CopyFromRemote and request.nbytes <= MIB
        value = None if type(request) is m.DeviceCall else ArrayRef(Handle(5), (TIB,), "|u1")
        if type(request) is m.GetFunction:
            catalogue = request.name == "rpcnb.functions"
            value = None if catalogue else FunctionRef(Handle(1), FunctionInfo("f"))
        yield m.CopyData(request.id, 0, 3, True, b"abc") if small else m.Return(request.id, value)

    with rpcnb.connect(hostile(lambda server: server.answer(reply)), TOKEN) as remote:
        array = remote.get_function("f")()
        assert array.nbytes == TIB
        assert "TiB" in DISPLAYS[type(array)](array)
        with pytest.raises((RpcnbError, MemoryError)):
            array.to_numpy()


# --- text in each place where a server's text goes ------------------------------------------------

EVIL = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=alert(1) x='",
    "entity": "&lt;script&gt;&#0;</div></pre></details>",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;root@bank\x07",
    "answer": "\x1b[6n\x9b6n\x05",
    "link": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "direction": "\u202egpj.exe\u2066\u2069",
    "invisible": "a\u200b\u200d\ufeffb\u00ad",
    "lines": "a\rb\x0bc\x0cd\u2028e\x85f",
    "dunder": "__class__.__init__.__globals__",
    "formula": "$\\href{javascript:alert(1)}{x}$",
    "long": "\x1b[31m<b>" * 10_000,
    "nothing": "\0\0",
}


def is_harmless(text: str) -> bool:
    return text in (visible(text), printable_output(text))


def text_of(thing: object) -> str:
    try:
        return str(thing)
    except RpcnbError as error:  # of an array, which asks for it
        return str(error)


def looked_at(thing: object) -> None:
    """Look at something as terminals and notebooks do."""
    texts = [repr(thing), text_of(thing), thing.__doc__ or "", *map(str, dir(thing))]
    assert [text for text in texts if not is_harmless(text)] == []
    if type(thing) in DISPLAYS:
        markup = DISPLAYS[type(thing)](thing)
        assert is_harmless(markup)
        for bad in ("<script", "<img", "<b>", "onmouseover=alert(1) x='"):
            assert bad not in markup.replace("&#x27;", "&"), markup


def returning(value, catalogue=()):
    """Return what a server answers whose functions return `value`, and which lists those given."""

    def reply(request):
        if type(request) is m.GetFunction:
            handle = 2 if request.name == "rpcnb.functions" else 1
            yield m.Return(request.id, FunctionRef(Handle(handle), FunctionInfo("f")))
        elif request.function == 2:
            yield m.Return(request.id, list(catalogue))
        else:
            yield from value(request.id) if callable(value) else [m.Return(request.id, value)]

    return reply


def called(url: str) -> None:
    with rpcnb.connect(url, TOKEN, timeout=PATIENCE) as remote:
        looked_at(remote.get_function("f")())


def raised(url: str) -> None:
    with rpcnb.connect(url, TOKEN, timeout=PATIENCE) as remote:
        function = remote.get_function("f")
        with pytest.raises(RpcnbError) as caught:
            function()
        looked_at(caught.value)
        assert all(map(is_harmless, getattr(caught.value, "__notes__", ())))


def listed(url: str) -> None:
    with rpcnb.connect(url, TOKEN, timeout=PATIENCE) as remote:
        for thing in (remote, remote.functions, remote.fn, *remote.functions.values()):
            looked_at(thing)


def printed(url: str) -> None:
    with rpcnb.connect(url, TOKEN, timeout=PATIENCE) as remote:
        seen = []
        remote.on_output = lambda _stream, text: seen.append(text)
        function = remote.get_function("f")
        assert function() is None
        call = function.submit()
        assert call.result(PATIENCE) is None
        assert seen
        assert all(map(is_harmless, [*seen, call.stdout, call.stderr, str(call.progress)]))
        looked_at(call)


def refused(url: str) -> None:
    with pytest.raises(RpcnbError) as caught:
        open_session(url, token=TOKEN, timeout=PATIENCE)
    looked_at(caught.value)


def functions(**fields):
    return [{"name": "f", **fields}]


def info(*values) -> list[object]:
    return functions(parameters=[[*values]])


def in_turn(*values):
    """Return a function's results, one after the other; the last one again and again."""
    left = list(values)
    return lambda n: [m.Return(n, left.pop(0) if len(left) > 1 else left[0])]


PLACES = {
    "type of an object": lambda evil: (called, ObjectRef(Handle(6), evil, "x")),
    "text of an object": lambda evil: (called, ObjectRef(Handle(6), "x", evil)),
    "name of a module": lambda evil: (called, ModuleRef(Handle(6), evil)),
    "names in a module": lambda evil: (called, ModuleRef(Handle(6), "x", (evil,))),
    "words on a module": lambda evil: (called, ModuleRef(Handle(6), "x", (), evil)),
    "name of a generator": lambda evil: (called, IteratorRef(Handle(6), evil)),
    "name of a function": lambda evil: (called, FunctionRef(Handle(6), FunctionInfo(evil))),
    "words on a function": lambda evil: (
        called,
        FunctionRef(Handle(6), FunctionInfo("x", doc=evil)),
    ),
    "parameter": lambda evil: (
        called,
        FunctionRef(Handle(6), FunctionInfo("x", (Parameter(evil, 1, evil, evil),), evil)),
    ),
    "field of an array": lambda evil: (
        called,
        ArrayRef(Handle(6), (2,), RecordDType(8, (Field(evil[:200], "<f8", 0),))),
    ),
    "text of an array": lambda evil: (called, in_turn(array(64), evil)),
    "name in a list": lambda evil: (listed, functions(name=evil)),
    "words in a list": lambda evil: (listed, functions(doc=evil, returns=evil)),
    "parameter in a list": lambda evil: (listed, info(evil, 1, evil, evil)),
    "class of an error": lambda evil: (raised, ErrorInfo(evil, "x")),
    "message of an error": lambda evil: (raised, ErrorInfo("x", evil, "ValueError", (evil,))),
    "traceback": lambda evil: (raised, ErrorInfo("x", "x", "KeyError", (), evil)),
    "way of an error": lambda evil: (raised, ErrorInfo("x", "x", "", (), "", (evil, evil))),
    "error of ours": lambda evil: (raised, ErrorInfo("rpcnb.X", evil, "WorkerDied", (), evil)),
    "function not found": lambda evil: (
        raised,
        ErrorInfo("rpcnb.X", evil, "FunctionNotFound", (evil, evil)),
    ),
    "output": lambda evil: (
        printed,
        lambda n: [
            m.Output(n, "stdout", evil[:20_000]),
            m.Output(n, "stderr", evil[:20_000]),
            m.Progress(n, 1.0, 2.0, evil[:20_000]),
            m.Return(n, None),
        ],
    ),
    "goodbye": lambda evil: (raised, lambda _n: [m.Goodbye(evil[:9000], error=True)]),
    "end": lambda evil: (raised, lambda _n: [m.Goodbye(evil[:9000])]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("evil", EVIL)
def test_text_is_shown_as_text_wherever_it_stands(hostile, place, evil) -> None:
    look, value = PLACES[place](EVIL[evil])
    answer = (lambda n: [m.Raised(n, value)]) if isinstance(value, ErrorInfo) else value
    catalogue = value if look is listed else ()
    look(hostile(lambda server: server.answer(returning(answer, catalogue))))


@pytest.mark.parametrize("evil", EVIL)
def test_text_of_a_refusal_is_shown_as_text(hostile, evil) -> None:
    refused(hostile(lambda _server: None, refusal=EVIL[evil]))


NAMES = [
    *("SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException", "BaseExceptionGroup"),
    *("StopIteration", "StopAsyncIteration", "MemoryError", "RecursionError", "CancelledError"),
    *(
        "asyncio.exceptions.CancelledError",
        "concurrent.futures.CancelledError",
        "RemoteInterrupted",
    ),
    *("RemoteCancelled", "rpcnb.core.errors.RemoteInterrupted", "os.system", "builtins.eval"),
    *("__import__", "__class__", "", ".", "a.b.c", "type", "object", "Warning", "NoneType"),
]


@pytest.mark.parametrize("name", NAMES)
def test_an_error_is_a_plain_exception_whatever_it_calls_itself(hostile, name) -> None:
    given = ErrorInfo(name, "x", name, (1,))
    url = hostile(lambda server: server.answer(returning(lambda n: [m.Raised(n, given)])))
    with rpcnb.connect(url, TOKEN, timeout=PATIENCE) as remote:
        function = remote.get_function("f")
        with pytest.raises(RpcnbError) as caught:
            function()
    ending = (StopIteration, StopAsyncIteration, SystemExit, KeyboardInterrupt, GeneratorExit)
    assert not isinstance(caught.value, ending)


PATHS = [
    *("../evil", "../../evil", "/evil", "a/../../evil", "..", ".", "", "/", "a/", "..\\evil"),
    *("C:\\evil", "~/evil", "\0", "evil\0.txt", "a\nb", "$HOME/evil", "`id`", "-rf", "x" * 300),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_listed_name_leads_to_no_place_but_the_folder_it_is_put_in(
    hostile, tmp_path, path
) -> None:
    names = iter([[[path, False, 3]], b"abc"])
    url = hostile(
        lambda server: server.answer(returning(lambda n: [m.Return(n, next(names, b""))]))
    )
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    with rpcnb.connect(url, TOKEN, timeout=PATIENCE) as remote:
        (file,) = remote.listdir()
        with suppress(RpcnbError, OSError, ValueError):
            remote.download(file.name, folder)
    written = [found for found in tmp_path.rglob("*") if found.is_file()]
    assert all(found.parent == folder for found in written)
    shutil.rmtree(tmp_path / "a")
