"""What outlives a connection: leaving a session, and taking up one that somebody left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from rpcnb.session.space import live_refs

if TYPE_CHECKING:
    from rpcnb.remote.function import RemoteFunction
    from rpcnb.session.base import RPCSession


class Lasting(ABC):
    """The part of a `Remote` about sessions that go on without it."""

    session: RPCSession

    @abstractmethod
    def builtin(self, name: str) -> RemoteFunction:
        """Return one of the functions every rpcnb server has."""

    @abstractmethod
    def _leave(self) -> None:
        """Be closed, without an end of the session over there."""

    def detach(self) -> None:
        """Leave the session as it is, with everything it holds and what runs in it.

        This object is closed then. Whoever connects to ``rpcnb://host:port/NAME`` takes up the
        session that was opened by that name; `adopt` gives them what it holds. A session that
        nobody takes up ends after the server's ``lease``.

        Raises
        ------
        SessionError
            A session of this kind cannot be left.
        """
        self.session.detach()
        self._leave()

    def adopt(self) -> dict[int, Any]:
        """Take over what the session's former client held.

        Returns
        -------
        dict
            The number that it had in the other's `handles` -> the proxy it has here. What is in
            here already is not among it.
        """
        own = [int(owner.ref.handle) for owner in live_refs(self.session)]
        return {int(number): proxy for number, proxy in self.builtin("rpcnb.adopt")(own)}
