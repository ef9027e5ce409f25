"""What all proxies have in common: they belong to one session and cannot leave it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self

from rpcnb.core.errors import InvalidHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import Ref, Value
    from rpcnb.remote.client import Remote
    from rpcnb.session.space import RPCObjectRef


class Proxy(ABC):
    """Something that belongs to one session.  Hashed and compared by identity."""

    _remote: Remote
    classes: ClassVar[set[type]] = set()
    """All of them: `isinstance` of an abstract class is Python code, and arguments are asked often."""

    def __init_subclass__(cls) -> None:
        Proxy.classes.add(cls)

    @property
    def remote(self) -> Remote:
        """The `Remote` it belongs to."""
        return self._remote

    @abstractmethod
    def lowered(self) -> Value:
        """Return the value that stands for it in a call."""

    def lowered_for(self, remote: Remote) -> Value:
        """Return the value that stands for it in a call of `remote`.

        Raises
        ------
        InvalidHandle
            It belongs to another session, or was freed.
        """
        if self._remote is not remote:  # two may share a session
            self._check_session(remote)
        return self.lowered()

    def _check_session(self, remote: Remote) -> None:
        if self._remote.session is not remote.session:
            raise InvalidHandle(
                f"{self!r} belongs to {self._remote.name!r} and cannot be used on {remote.name!r}; "
                "data moves between sessions by way of this machine: b.array(a.to_numpy())",
                reason="foreign",
            )

    def __reduce_ex__(self, protocol: object) -> str | tuple[object, ...]:
        # Also what copy.copy and copy.deepcopy end up with.
        raise TypeError(
            f"a {type(self).__name__} names something in the session {self._remote.name!r}: "
            "it cannot be pickled, nor copied by the copy module"
        )


class HandleProxy(Proxy):
    """Holds one handle, which is freed when the last proxy that shares its owner is collected."""

    by_ref: ClassVar[dict[type, Callable[[Remote, RPCObjectRef], HandleProxy]]] = {}
    """Class of a ref -> class of its proxy, or what imports that and makes one."""

    def __init__(self, remote: Remote, owner: RPCObjectRef) -> None:
        self._remote = remote
        self.owner = owner

    def lowered(self) -> Ref:
        """Return the ref; see `Proxy.lowered`."""
        owner = self.owner
        if owner.freed:
            raise InvalidHandle(f"{self!r} was freed", handle=owner.ref.handle, reason="freed")
        ref: Ref = owner.ref
        return ref

    @property
    def handle(self) -> int:
        """Number of the handle in its session."""
        return int(self.owner.ref.handle)

    @property
    def freed(self) -> bool:
        """Whether it was given up by `free`."""
        return self.owner.freed

    def free(self) -> None:
        """Give it up now instead of when it is collected.  Idempotent; sends nothing by itself."""
        self.owner.free()

    def pin(self, minutes: float | None = None) -> None:
        """Keep it over there though nothing here refers to it any more.

        It ends with `unpin`, `free` or the session; ``remote.handle(number)`` brings it back.

        Parameters
        ----------
        minutes : float, optional
            For how long; by default for good.

        Raises
        ------
        InvalidHandle
            It was freed.
        """
        from rpcnb.remote import pins

        self.lowered()
        pins.pin(self._remote, self.owner, minutes)

    def unpin(self) -> None:
        """Keep it no longer than something here refers to it."""
        from rpcnb.remote import pins

        pins.unpin(self._remote, self.owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.free()

    def _where(self) -> str:
        """Return the end of a repr."""
        return f"on {self._remote.name}" + (" (freed)" if self.freed else "")


def imported_at_first(ref: type, module: str, name: str) -> Callable[..., HandleProxy]:
    """Return what makes proxies of a class that is imported for the first, and takes its place then.

    A client's first call needs none of them, and they are a third of the imports of all.
    """

    def make(*args: Any) -> HandleProxy:
        proxy: type[HandleProxy] = getattr(import_module(module), name)
        HandleProxy.by_ref[ref] = proxy
        return proxy(*args)

    return make
