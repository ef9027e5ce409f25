"""A backend for `scipy.fft`: its functions, called with remote arrays, run over there.

SciPy asks backends through its uarray protocol, which knows this class by its two names alone:
nothing of SciPy is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.array.methods import ArrayMethods
from rpcnb.array.table import operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class FFTBackend:
    """``scipy.fft.set_backend(rpcnb.fft_backend)``; other arrays go to SciPy's own backend."""

    __ua_domain__ = "numpy.scipy.fft"

    @staticmethod
    def __ua_function__(method: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        name = f"scipy.fft.{method.__name__}"
        array = next(_arrays((*args, *kwargs.values())), None)
        if array is None or name not in operations():
            return NotImplemented
        return array.engine.run(name, args, {k: v for k, v in kwargs.items() if v is not None})


def _arrays(values: Sequence[Any]) -> Iterator[ArrayMethods]:
    return (value for value in values if isinstance(value, ArrayMethods))


fft_backend = FFTBackend()
"""What to give to `scipy.fft.set_backend` or `scipy.fft.set_global_backend`."""
