"""`RemoteFunction`: a function over there, called as one here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import EncodeError, InvalidHandle
from rpcnb.core.values import PLAIN_TYPES, RESERVED, FunctionInfo, FunctionRef
from rpcnb.remote.observer import BlockingObserver
from rpcnb.remote.output import give_warnings
from rpcnb.remote.proxy import HandleProxy
from rpcnb.remote.wrap import NOTHING_LENT, Lent, lift, lower_call
from rpcnb.session.observer import DEFAULT_OPTIONS, CallOptions

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.core.values import Value
    from rpcnb.remote.benchmark import TimeEvaluator
    from rpcnb.remote.client import Remote
    from rpcnb.remote.device import RemoteStream
    from rpcnb.remote.future import RemoteFuture
    from rpcnb.session.space import RPCObjectRef


class RemoteFunction(HandleProxy):
    """A function over there.

    Its name, signature and documentation are known here: ``f?`` and Shift-Tab send nothing.
    Calling it waits for the result; `submit` does not. Small NumPy arrays, plain values, proxies of
    the same session and local functions may be arguments. Thread-safe.

    Parameters
    ----------
    remote : Remote
        Where it lives.
    owner : RPCObjectRef, optional
        Of its handle.
    info : FunctionInfo, optional
        What is known about it; by default what came with the handle.
    find : callable, optional
        Looks the function up when its handle is first needed, where only its name is known.
    """

    def __init__(
        self,
        remote: Remote,
        owner: RPCObjectRef | None,
        info: FunctionInfo | None = None,
        *,
        find: Callable[[], RemoteFunction] | None = None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._remote = remote
        self._held = owner
        self._find = find
        self._options = options
        self.info = info or (owner.ref.info if owner is not None else FunctionInfo(""))
        self.__name__ = self.__qualname__ = self.info.name
        self.__doc__ = self.info.doc

    @property
    def is_usual(self) -> bool:
        """Whether it is a function of the user's, called without options."""
        return self._options is DEFAULT_OPTIONS and not self.__name__.startswith(RESERVED)

    @property
    def owner(self) -> RPCObjectRef:  # type: ignore[override]  # missing until it is fetched
        """Owner of its handle; missing while it is known by name only."""
        if self._held is None:
            raise AttributeError(f"no handle of {self.__name__!r} has been fetched yet")
        return self._held

    def fetch(self) -> RPCObjectRef:
        """Look it up over there if it is known by name only; return the owner of its handle."""
        if self._held is None:
            assert self._find is not None  # one of the two is always given
            found = self._find()
            self._held = found.fetch()
            if self.info.parameters is None:
                self.info = replace(found.info, name=self.info.name)
                self.__doc__ = found.info.doc
        return self._held

    @property
    def __signature__(self) -> inspect.Signature:
        from rpcnb.session.functions import signature_of  # with the roles, a millisecond to import

        try:
            return signature_of(self.info)
        except ValueError as error:  # what inspect expects where there is none
            raise AttributeError(str(error)) from None

    @property
    def freed(self) -> bool:
        """Whether it was given up by `free`; False while it is known by name only."""
        return self._held is not None and self._held.freed

    def free(self) -> None:
        """Give its handle up now; see `HandleProxy.free`."""
        if self._held is not None:
            if self._remote.batching is not None:
                self._remote.batching.send()  # calls of it that were collected come before
            self._held.free()
        if self._find is not None:
            self._held = None  # it is looked up again when it is used again

    def lowered(self) -> FunctionRef:
        """Return the ref; see `Proxy.lowered`."""
        self.fetch()
        ref = super().lowered()
        assert isinstance(ref, FunctionRef)  # by the table that leads here
        return ref

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it over there and wait for the result.

        Within ``with remote.batch():`` it is collected instead; returns a `BatchedCall` at once.

        Raises
        ------
        RemoteError
            It raised over there.
        RemoteInterrupted
            Waiting was interrupted; the call was stopped.
        DeadlineExceeded
            It took longer than the time-out given with `options`.
        EncodeError, ImplicitTransferError, InvalidHandle
            An argument cannot cross; nothing was sent.
        """
        remote = self._remote
        lent: Lent = {}
        # Other names than `args` and `kwargs`, which keep the proxies in them, and so what they stand
        # for, until the call has ended: a release would ride ahead of the call.
        values: Sequence[Value] = args
        named: Mapping[str, Value] = kwargs
        if kwargs or not PLAIN_TYPES.issuperset(map(type, args)):
            values, named = lower_call(remote, args, kwargs, lent)
        batching = remote.batching
        if batching is not None:
            batched = batching.take(self, values, named, lent)
            if batched is not None:
                return batched
        observer = BlockingObserver(remote, self.__name__, lent)
        held = self._held
        ref = self.lowered() if held is None or held.freed else held.ref
        try:
            value = remote.session.call_func(
                ref, values, named, options=self._options, observer=observer
            )
            return value if type(value) in PLAIN_TYPES else lift(value, remote, lent)
        finally:
            if observer.view is not None:
                observer.close()
            if observer.warnings:
                give_warnings(observer.warnings, stacklevel=2)

    def submit(self, /, *args: Any, **kwargs: Any) -> RemoteFuture:
        """Start a call and return its `RemoteFuture` at once.

        Parameters
        ----------
        *args, **kwargs
            Arguments of the remote function.
        stream : RemoteStream, optional
            Runs in order with the stream's other calls.
        timeout : float [s], optional
            After which the call is stopped over there.
        echo : bool, default False
            Print what it prints as it happens, besides collecting it in the future.

        Notes
        -----
        The first calls are sent at once. When several are out, up to half of them may be kept back for
        a millisecond, to be sent together; asking for a result sends them.

        Where the remote function has a parameter called ``stream``, ``timeout`` or ``echo``, the
        argument is the function's; the option is then given with `options`.
        """
        from rpcnb.remote.future import RemoteFuture

        remote, options, echo = self._remote, self._options, False
        lent: Lent = NOTHING_LENT
        values: Sequence[Value] = args
        named: Mapping[str, Value] = kwargs
        keep: object = self
        if kwargs or not PLAIN_TYPES.issuperset(map(type, args)):
            keep = self, args, dict(kwargs)  # with the stream, which ends when nobody has it
            options, echo = self._take_options(kwargs)
            lent = {}
            values, named = lower_call(remote, args, kwargs, lent)
        future = RemoteFuture(remote, self.__name__, lent, echo=echo, keep=keep)
        held = self._held
        ref = self.lowered() if held is None or held.freed else held.ref
        running = remote.session.async_call_func(
            ref, values, named, future.finish, options=options, observer=future.observer
        )
        future.started_as(running)
        return future

    def options(
        self, *, stream: RemoteStream | int | None = None, timeout: float | None = None
    ) -> RemoteFunction:
        """Return this function with options for its calls: ``f.options(timeout=5)(x)``.

        Parameters
        ----------
        stream : RemoteStream, optional
            Calls run in order with the stream's other calls.
        timeout : float [s], optional
            After which a call is stopped over there.
        """
        options = self._merge(self._options, stream, timeout)
        return RemoteFunction(
            self._remote, self._held, self.info, find=lambda: self, options=options
        )

    def time_evaluator(
        self, number: int = 10, repeat: int = 1, min_repeat_ms: float = 0
    ) -> TimeEvaluator:
        """Return a function that measures this one over there, the network excluded.

        Parameters
        ----------
        number : int
            Calls averaged in one measurement, after one call to warm up.
        repeat : int
            Measurements.
        min_repeat_ms : float [ms]
            Raise `number` until a measurement takes at least this long.

        Returns
        -------
        TimeEvaluator
            Called with the function's arguments, it returns a `BenchmarkResult`.
        """
        from rpcnb.remote.benchmark import TimeEvaluator

        make = self._remote.builtin("rpcnb.time_evaluator")
        measure = make(self, number, repeat, min_repeat_ms)
        return TimeEvaluator(measure, self.__name__, self._remote.name)

    def _take_options(self, kwargs: dict[str, Any]) -> tuple[CallOptions, bool]:
        """Move the options of `submit` out of its keyword arguments."""
        if not kwargs:
            return self._options, False
        own = {parameter.name for parameter in self.info.parameters or ()}
        taken = {
            name: kwargs.pop(name)
            for name in ("stream", "timeout", "echo")
            if name in kwargs and name not in own
        }
        options = self._merge(self._options, taken.get("stream"), taken.get("timeout"))
        return options, bool(taken.get("echo", False))

    def _merge(
        self, options: CallOptions, stream: RemoteStream | int | None, timeout: float | None
    ) -> CallOptions:
        if timeout is not None:
            options = replace(options, timeout=float(timeout))
        if stream is None:
            return options
        from rpcnb.remote.device import RemoteStream

        if isinstance(stream, RemoteStream):
            if stream.remote.session is not self._remote.session:
                raise InvalidHandle(f"{stream!r} is of another session", reason="foreign")
            stream = stream.handle
        if type(stream) is not int:
            raise EncodeError(
                f"stream is a {type(stream).__name__}; give what device.create_stream() returned"
            )
        return replace(options, stream=stream)

    def describe(self) -> str:
        """Return its name and signature as one line."""
        return f"{self.__name__}{getattr(self, '__signature__', '(…)')}"

    def __repr__(self) -> str:
        return f"<RemoteFunction {self.describe()} {self._where()}>"
