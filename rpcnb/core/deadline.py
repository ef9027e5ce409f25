"""One absolute instant shared by all steps of an operation."""

from __future__ import annotations

import math
from time import monotonic

from rpcnb.core.frozen import frozen


@frozen
class Deadline:
    """An instant on this process's monotonic clock; `NEVER` has none.

    Only the remaining time crosses a session, never the instant: no two machines agree on clocks.
    """

    at: float
    """Seconds on `time.monotonic`; infinity for no deadline."""

    @classmethod
    def after(cls, timeout: float | None) -> Deadline:
        """Return the instant `timeout` seconds from now; None gives `NEVER`."""
        return NEVER if timeout is None else cls(monotonic() + timeout)

    def remaining(self) -> float | None:
        """Return the seconds left, never negative; None when there is no deadline."""
        return None if self.at == math.inf else max(0.0, self.at - monotonic())

    def expired(self) -> bool:
        """Tell whether the instant has passed."""
        return self.at != math.inf and monotonic() >= self.at


NEVER = Deadline(math.inf)
"""No deadline."""
