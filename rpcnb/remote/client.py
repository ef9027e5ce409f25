"""`Remote`: the other side, as one object."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from rpcnb.core.answers import expect
from rpcnb.core.device import Device
from rpcnb.core.errors import FunctionNotFound, InvalidHandle
from rpcnb.core.importing import uncollected
from rpcnb.core.values import ArrayRef, FunctionRef, IteratorRef, ModuleRef, ObjectRef
from rpcnb.remote import progress
from rpcnb.remote.catalogue import FunctionCatalogue, FunctionTree
from rpcnb.remote.creation import Creation
from rpcnb.remote.function import RemoteFunction
from rpcnb.remote.lasting import Lasting
from rpcnb.remote.output import print_output
from rpcnb.remote.proxy import HandleProxy, imported_at_first
from rpcnb.session.space import RPCObjectRef, live_ref, live_refs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from rpcnb.remote.array_calls import ArrayCalls
    from rpcnb.remote.batch import Batch
    from rpcnb.remote.device import RemoteDevice
    from rpcnb.remote.files import OnProgress, RemoteFile
    from rpcnb.remote.handles import HandleTable
    from rpcnb.remote.module import RemoteModule
    from rpcnb.remote.progress import ProgressView
    from rpcnb.session.base import RPCSession

HandleProxy.by_ref.update(
    {
        ArrayRef: imported_at_first(ArrayRef, "rpcnb.remote.array", "RemoteArray"),
        FunctionRef: RemoteFunction,
        IteratorRef: imported_at_first(IteratorRef, "rpcnb.remote.iterator", "RemoteGenerator"),
        ModuleRef: imported_at_first(ModuleRef, "rpcnb.remote.module", "RemoteModule"),
        ObjectRef: imported_at_first(ObjectRef, "rpcnb.remote.object", "RemoteObject"),
    }
)


class Remote(Lasting, Creation):
    """The other side of a session: its functions, arrays, modules, devices and files.

    Thread-safe. A context manager: leaving the block closes the session.

    Parameters
    ----------
    session : RPCSession
        What it speaks through; closed by `close`. Nothing is sent here.
    name : str, optional
        What the user calls it; by default the session's name.
    url : str, optional
        How it was reached.

    Attributes
    ----------
    on_progress : callable
        Given a function's name, returns the `ProgressView` that shows a blocking call's progress;
        called when the call first reports some. By default a line on the terminal.
    on_output : callable
        Given ``"stdout"`` or ``"stderr"`` and text, shows what a blocking call printed.
    """

    def __init__(self, session: RPCSession, *, name: str | None = None, url: str = "") -> None:
        self.session = session
        self.name = name or session.name or "remote"
        self.url = url or str(getattr(session, "url", ""))
        self.on_progress: Callable[[str], ProgressView] = progress.make_view
        self.on_output: Callable[[str, str], object] = print_output
        self._builtins: dict[str, RemoteFunction] = {}
        self._lock = threading.Lock()
        self._close_callbacks: list[Callable[[Remote], object]] = []
        self._closed = False
        self.functions = FunctionCatalogue(self)
        """Name -> `RemoteFunction`; fetched when it is first looked into, and by `refresh`."""
        self.batching: Batch | None = None  # the block that collects calls now
        self._arrays: ArrayCalls | None = None

    # --- functions ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Fetch the list of functions again."""
        functions = FunctionCatalogue(self)
        functions.fetch()
        self.functions = functions

    @property
    def fn(self) -> FunctionTree:
        """The functions as attributes: ``remote.fn.demo.blur``."""
        return FunctionTree(self)

    def get_function(self, name: str) -> RemoteFunction:
        """Look up a function over there.

        Raises
        ------
        FunctionNotFound
            There is none; the error names those that look like it.
        """
        ref = self.session.get_function(name)
        if ref is None:
            raise FunctionNotFound(name, self.functions.near(name))
        return RemoteFunction(self, RPCObjectRef(self.session, ref))

    def load_module(self, name: str) -> RemoteModule:
        """Load a module over there: ``remote.load_module("numpy.linalg").norm(a)``.

        Raises
        ------
        PermissionDenied
            The server does not allow this one; the error names those it allows.
        """
        from rpcnb.remote.module import RemoteModule

        module = self.builtin("rpcnb.load_module")(name)
        return expect(module, RemoteModule, "a module")

    # --- calls, devices, arrays -----------------------------------------------------------------

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call over there what is imported here: ``remote.call(scipy.signal.welch, a)``.

        Parameters
        ----------
        function : callable
            Of a module that the server allows. Its twin over there is called; this one is not.
        *args, **kwargs
            As for any `RemoteFunction`: arrays by handle.

        Raises
        ------
        PermissionDenied
            The server does not allow the module; the error names those it allows.
        TypeError
            No function of a module.
        """
        from rpcnb.remote.importable import public_place

        place, name = public_place(function)
        key = f"{place}.{name}"
        twin = self._builtins.get(key)
        if twin is None:
            with self.load_module(place) as module:
                found = self.builtin("rpcnb.module_function")(module, name)
            twin = self._builtins.setdefault(key, expect(found, RemoteFunction, "a function"))
        return twin(*args, **kwargs)

    def batch(self) -> Batch:
        """Send the calls and array operations of a ``with`` block together; see `Batch`."""
        from rpcnb.remote.batch import Batch

        return Batch(self)

    def device(self, name: str | Device = "cpu:0") -> RemoteDevice:
        """Return a device, having asked whether it exists."""
        from rpcnb.remote.device import RemoteDevice

        return RemoteDevice(self, Device.parse(name))

    @property
    def arrays(self) -> ArrayCalls:
        """Runs the operations of this side's arrays; made for the first of them."""
        if self._arrays is None:
            from rpcnb.remote.array_calls import ArrayCalls

            with self._lock:
                if self._arrays is None:
                    self._arrays = ArrayCalls(self)
        return self._arrays

    def settle(self) -> None:
        """Wait for the array operations that were sent ahead.

        Raises
        ------
        RemoteError
            One of them failed.
        """
        if self._arrays is not None:
            self._arrays.settle()

    # --- files ----------------------------------------------------------------------------------

    def upload(
        self,
        source: str | os.PathLike[str] | bytes,
        target: str | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Write a file in the session's work folder.

        Parameters
        ----------
        source : path or bytes
            What to write.
        target : str, optional
            Name over there, relative to the work folder; by default that of `source`.
        on_progress : callable, optional
            Given a `Progress` in bytes after each piece of 1 MiB.

        Returns
        -------
        str
            The name over there.

        Raises
        ------
        PermissionDenied
            The name leads out of the work folder.
        """
        from rpcnb.remote import files

        return files.upload(self, source, target, on_progress)

    def download(
        self,
        name: str,
        to: str | os.PathLike[str] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> bytes | Path:
        """Read a file of the session's work folder.

        Parameters
        ----------
        name : str
            Relative to the work folder.
        to : path, optional
            File or folder to write to; it is replaced only once all has arrived.
        on_progress : callable, optional
            As for `upload`.

        Returns
        -------
        bytes or Path
            The content, or where it was written.
        """
        from rpcnb.remote import files

        return files.download(self, name, to, on_progress)

    def listdir(self, path: str = "") -> list[RemoteFile]:
        """List a folder of the session's work folder: name, is_dir, nbytes."""
        from rpcnb.remote import files

        return files.listdir(self, path)

    def remove(self, name: str) -> None:
        """Remove a file of the session's work folder."""
        self.builtin("rpcnb.remove")(name)

    # --- seeing ---------------------------------------------------------------------------------

    @property
    def handles(self) -> HandleTable:
        """What the session holds for this side, our own helpers left out; sends nothing."""
        from rpcnb.remote.handles import HandleTable

        ours = {function.handle for function in tuple(self._builtins.values())}
        return HandleTable(
            self.arrays.row_of(owner)
            for owner in live_refs(self.session)
            if owner.ref.handle not in ours
        )

    def handle(self, number: int) -> HandleProxy:
        """Return a proxy for something that is held here already, by its number in `handles`.

        Raises
        ------
        InvalidHandle
            Nothing of that number is held here.
        """
        owner = live_ref(self.session, number)
        if owner is None:
            raise InvalidHandle(f"handle {number} is not held here", handle=number, reason="freed")
        return HandleProxy.by_ref[type(owner.ref)](self, owner)

    def ping(self) -> float:
        """Return the seconds of one round trip."""
        began = perf_counter()
        self.session.get_function("")  # answered by whoever runs functions, also through gateways
        return perf_counter() - began

    def stats(self) -> dict[str, Any]:
        """Return figures: ``here``, ``there``, ``rtt`` in seconds, ``hops`` on the way, ``handles``."""
        return {
            "here": self.session.statistics(),
            "there": self.builtin("rpcnb.statistics")(),
            "rtt": self.ping(),
            "hops": self.session.hops(),
            "handles": len(self.handles),
        }

    def __repr__(self) -> str:
        where = f" at {self.url}" if self.url else ""
        size = f": {len(self.functions)} functions" if self.functions.known else ""
        state = " (closed)" if self.closed else ""
        return f"<Remote {self.name}{where}{size}{state}>"

    def cancel(self, call: int) -> None:
        """Ask that a call be stopped, by the number that `manager.subscribe` tells; from any thread.

        Whoever waits for it gets `RemoteCancelled` once the other side has stopped it.
        """
        self.session.cancel_call(call)

    def kill(self) -> None:
        """End this session's process over there at once, whatever it does.

        For a call that cannot be stopped, as it does not return from C. Everything that the session
        held is lost; calls that are out, and what is asked of it later, raise `WorkerDied`: connect
        again. `RemoteFuture.cancel` with ``kill=True`` tries to stop its call first.

        Raises
        ------
        SessionError
            There is no process to kill: functions run in a thread of this process or of their
            server's, or on a server of TVM's.
        RpcnbError
            The server could not be reached.
        """
        self.session.kill()

    def remember(self) -> str:
        """Keep this connection's secret in a file that only you can read.

        Returns
        -------
        str
            The address, without a secret, with which you can connect from now on.

        Raises
        ------
        SessionError
            The session took no secret.
        """
        return self.session.remember()

    # --- ending ---------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def add_close_callback(self, function: Callable[[Remote], object]) -> None:
        """Call `function` with this object once it has been closed."""
        self._close_callbacks.append(function)

    def close(self) -> None:
        """End the session and everything it holds over there.  Idempotent.

        Raises
        ------
        RemoteError
            Of an array operation that nobody has waited for since; it is closed all the same.
        """
        self._close(self.settle)

    def _close(self, before: Callable[[], None] | None) -> None:
        with self._lock:
            first = not self._closed
            self._closed = True
        if not first:
            return
        try:
            if before is not None:
                before()
        finally:
            try:
                self.session.shutdown()
            finally:
                self._tell_closed()

    def _leave(self) -> None:
        self._closed = True
        self._tell_closed()

    def _tell_closed(self) -> None:
        for function in self._close_callbacks:
            function(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        # An error that is on its way says more than what it left in flight.
        self._close(self.settle if kind is None else None)

    # --- for the proxies ------------------------------------------------------------------------

    def builtin(self, name: str) -> RemoteFunction:
        """Return one of the functions every rpcnb server has, looked up once.

        Raises
        ------
        FunctionNotFound
            Another kind of server, which cannot do this.
        """
        function = self._builtins.get(name)
        if function is None:
            ref = self.session.get_function(name)
            if ref is None:
                raise FunctionNotFound(name)
            function = RemoteFunction(self, RPCObjectRef(self.session, ref))
            function = self._builtins.setdefault(name, function)
        return function


def open_remote(
    url: str, token: str | None = None, *, name: str | None = None, timeout: float = 10.0
) -> Remote:
    """Connect, and keep the result nowhere: what `rpcnb.connect` does before it enters the table.

    Parameters
    ----------
    url : str
        ``host:port``, a URL of a known scheme, or the path of a connection file.
    token : str, optional
        The secret; found by address where that is possible.
    name : str, optional
        What to call it here; what the server calls the session stands in the URL.
    timeout : float [s]
        For the connection and the handshake.
    """
    with uncollected():
        from rpcnb.endpoint.client.connect import open_session, without_secret

    session = open_session(url, token=token, timeout=timeout)
    try:
        return Remote(session, name=name, url=without_secret(url))
    except BaseException:
        session.shutdown()
        raise
