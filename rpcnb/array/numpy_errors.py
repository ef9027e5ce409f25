"""NumPy's own classes of error, made again on this side."""

from __future__ import annotations

import numpy as np

from rpcnb.core.errors import RemoteError


def _remote(cls: type[Exception]) -> type[RemoteError]:
    doc = f"Array code over there raised a `{cls.__name__}`."
    made: type[RemoteError] = type(f"Remote{cls.__name__}", (RemoteError, cls), {"__doc__": doc})
    return made


KNOWN = {
    "numpy.exceptions.AxisError": _remote(np.exceptions.AxisError),
    "numpy.linalg.LinAlgError": _remote(np.linalg.LinAlgError),
}
"""Name over there -> class here. Those that code catches, or that are two builtins at once."""


def numpy_error(error: RemoteError) -> RemoteError:
    """Return the error to raise: one that is also NumPy's class, where that is known."""
    cls = KNOWN.get(error.type_name)
    return error if cls is None else cls(error.info)
