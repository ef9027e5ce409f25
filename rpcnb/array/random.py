"""``remote.random``: NumPy's random generators, over there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rpcnb.array.rows import RANDOM
from rpcnb.core.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.methods import Engine

METHODS = frozenset(RANDOM.split())
"""Methods of `numpy.random.Generator` that run over there."""


class RandomNamespace:
    """Makes random generators over there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def default_rng(
        self, seed: Any = None, *, device: Device | str | None = None
    ) -> RandomGenerator:
        """Make a generator, as `numpy.random.default_rng`.

        Parameters
        ----------
        seed : int or sequence of int, optional
            The same seed gives the same numbers as NumPy gives here, whatever library the arrays
            belong to.
        device : Device or str, optional
            Where its arrays are made; by default where arrays are made unless told otherwise.
        """
        held = self._engine.run("random.default_rng", () if seed is None else (seed,), {})
        return RandomGenerator(self._engine, held, None if device is None else Device.parse(device))


class RandomGenerator:
    """A `numpy.random.Generator` over there: ``rng.normal(size=(1000, 3))`` gives a remote array.

    Its state is over there and goes on with every call. Thread-safe in so far as calls of one
    session run one at a time.
    """

    def __init__(self, engine: Engine, held: Any, device: Device | None = None) -> None:
        self._engine = engine
        self._held = held
        self._device = device

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in METHODS:
            raise AttributeError(f"a random generator has no method {name!r}")
        return partial(_draw, self._engine, self._held, self._device, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METHODS})

    def __repr__(self) -> str:
        return f"<RandomGenerator {self._held!r}>"


def _draw(
    engine: Engine, held: Any, device: Device | None, name: str, /, *args: Any, **kwargs: Any
) -> Any:
    return engine.run("random", (held, device, name, args, kwargs), {})
