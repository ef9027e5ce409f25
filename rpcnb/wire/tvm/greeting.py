"""The first bytes of a TVM connection: magic and key there, magic and key back."""

from __future__ import annotations

from rpcnb.core.errors import HandshakeError
from rpcnb.core.limits import KIB
from rpcnb.wire.tvm.values import I32

MAGIC = 0x000FF271
DUPLICATE_KEY, NO_MATCH = MAGIC + 1, MAGIC + 2
LONGEST_KEY = 4 * KIB


class Greeting:
    """The client's half of the first bytes: magic and key there, magic and key back.

    Parameters
    ----------
    key : str
        What the server is called; ``client:`` is put before it.
    timeout : float [s], optional
        After which the server ends the session, whatever it does.
    """

    def __init__(self, key: str, timeout: float | None = None) -> None:
        options = "" if timeout is None else f" -timeout={timeout:g}"
        text = f"client:{key}{options}".encode()
        self.key = key
        self.sends = I32.pack(MAGIC) + I32.pack(len(text)) + text
        """The bytes to send first."""
        self.server_key: str | None = None
        """What the server says of itself; None until it has."""
        self._data = b""

    @property
    def missing(self) -> int:
        """Bytes to receive next, never more than belong to the greeting; 0 when it is done."""
        if self.server_key is not None:
            return 0
        if len(self._data) < 8:
            # One at a time would be slow, eight at once would wait for ever after a refusal.
            return 4 - len(self._data) % 4
        return 8 + self._key_nbytes() - len(self._data)

    def receive(self, data: bytes) -> None:
        """Take note of received bytes, at most `missing`.

        Raises
        ------
        HandshakeError
            Not a TVM server, or it does not accept the key.
        """
        self._data += data
        if len(self._data) == 4:
            self._check_answer()
        elif len(self._data) >= 8 and len(self._data) == 8 + self._key_nbytes():
            self.server_key = self._data[8:].decode("utf-8", "replace")

    def _key_nbytes(self) -> int:
        (nbytes,) = I32.unpack_from(self._data, 4)
        if not 0 <= nbytes <= LONGEST_KEY:
            message = f"a TVM server announced a key of {nbytes:,} bytes"
            raise HandshakeError(message)
        return int(nbytes)

    def _check_answer(self) -> None:
        (answer,) = I32.unpack(self._data)
        if answer == MAGIC:
            return
        reasons = {
            NO_MATCH: f"the TVM server has no key {self.key!r}; give the right one: tvm://…?key=K",
            DUPLICATE_KEY: f"the TVM proxy already has a client with the key {self.key!r}",
        }
        message = reasons.get(answer, "what answers there is no TVM server")
        raise HandshakeError(message)
