"""`RemoteObject`: anything over there that is nothing more special."""

from __future__ import annotations

from rpcnb.remote.proxy import HandleProxy


class RemoteObject(HandleProxy):
    """An object over there: it can be passed back to functions of its session, and freed."""

    @property
    def type_name(self) -> str:
        """Qualified name of its class over there."""
        return str(self.owner.ref.type_name)

    @property
    def summary(self) -> str:
        """Its ``repr`` when it was returned, shortened over there."""
        return str(self.owner.ref.summary)

    def __repr__(self) -> str:
        return f"<RemoteObject {self.type_name} {self._where()}: {self.summary}>"
