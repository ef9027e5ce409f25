"""`ArrayMethods`: the operators, methods and conversions of remote arrays, made from the table."""

from __future__ import annotations

import math
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from rpcnb.array import numpy_protocol, policy
from rpcnb.array.metadata import check_version
from rpcnb.array.table import Operation, described, operations, parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from rpcnb.core.device import Device

SCALARS = (bool, int, float, complex, np.generic)
"""What may stand beside an array in an operation, without moving data."""
_BLOCK_BYTES, _BLOCK_ROWS = 1 << 20, 256

BINARY = {
    "add": "add", "and": "bitwise_and", "floordiv": "floor_divide", "lshift": "bitwise_left_shift",
    "matmul": "matmul", "mod": "remainder", "mul": "multiply", "or": "bitwise_or", "pow": "pow",
    "rshift": "bitwise_right_shift", "sub": "subtract", "truediv": "divide", "xor": "bitwise_xor",
}  # fmt: skip
"""Operators, also reflected and in place, by the operation they stand for."""
COMPARISONS = {
    "eq": "equal", "ge": "greater_equal", "gt": "greater", "le": "less_equal", "lt": "less",
    "ne": "not_equal",
}  # fmt: skip
UNARY = {"abs": "abs", "invert": "bitwise_invert", "neg": "negative", "pos": "positive"}


class Engine(Protocol):
    """Runs operations on the arrays of one session.  Thread-safe."""

    @property
    def namespace(self) -> Any:
        """What `__array_namespace__` of its arrays returns."""

    def run(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation of the table; called by the function that the user called.

        Raises
        ------
        RemoteError
            It raised over there.
        ImplicitTransferError, EncodeError, InvalidHandle
            An operand cannot cross; nothing was sent.
        """

    def upload(self, host: NDArray[Any], device: Device | str | None) -> Any:
        """Return an array over there with the content of a NumPy array."""

    def devices(self) -> tuple[Device, ...]:
        """Return the devices whose arrays it can work on, the default one first."""


class ArrayMethods:
    """What an array can do, given its metadata and an `Engine`.

    Arrays are not hashable: ``==`` compares element by element.
    """

    if TYPE_CHECKING:  # what the class that is made of this one has

        @property
        def engine(self) -> Engine: ...
        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def dtype(self) -> np.dtype[Any]: ...
        @property
        def device(self) -> Device: ...
        @property
        def ndim(self) -> int: ...
        @property
        def nbytes(self) -> int: ...
        def to_numpy(self) -> NDArray[Any]: ...
        def item(self, *index: int) -> Any: ...
        def __getattr__(self, name: str) -> Any: ...  # the methods made from the table

    __hash__: ClassVar[None]  # type: ignore[assignment]

    # --- the standard's protocols -------------------------------------------------------------------

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        check_version(api_version)
        return self.engine.namespace

    def to_device(self, device: Device | str, /, *, stream: object = None) -> ArrayMethods:
        """Return it, as it is on that device already.

        Raises
        ------
        ValueError
            Another device; also ``"cpu"``, by which other libraries mean this machine's memory:
            data comes here by `to_numpy` only.
        """
        if stream is not None or str(device) != str(self.device):
            raise ValueError(f"it is on {self.device} over there; to_numpy() brings it here")
        return self

    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if copy is False:
            raise BufferError("its memory is over there; only a copy can come here")
        if stream is not None or dl_device not in {None, (1, 0)}:
            raise BufferError("it can only be copied into this machine's memory")
        return self.to_numpy().__dlpack__(max_version=max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    # --- NumPy's protocols ----------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: object = None) -> NDArray[Any]:
        self.permit("NumPy wants it as a host array")
        if copy is False:
            raise ValueError("its memory is over there; only a copy can come here")
        return np.asarray(self.to_numpy(), dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return numpy_protocol.run_ufunc(self, ufunc, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        del types
        return numpy_protocol.run_function(self, function, args, kwargs)

    def permit(self, what: str) -> None:
        """Return if its content may come here unasked; see `policy.permit`."""
        policy.permit(
            self.nbytes,
            f"{what}, and {_size(self.nbytes)} of {self!r} would move unasked",
            "run the function over there with remote.call(function, a), "
            "download it with a.to_numpy(), into memory you have with a.copy_to(out), "
            "or one element with a.item(…)",
        )

    # --- values -----------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self._scalar("its truth value depends on its data"))

    def __int__(self) -> int:
        return int(self._scalar("int() wants its data"))

    def __float__(self) -> float:
        return float(self._scalar("float() wants its data"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex() wants its data"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"an array of {self.dtype} is no index")
        return int(self._scalar("an index must be known here"))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self.shape else format(str(self), spec)

    def _scalar(self, what: str) -> Any:
        """Return the value of an array without dimensions; a bulk transfer for any other."""
        if self.shape:
            self.permit(what)
            return self.to_numpy()
        return self.item()

    def tolist(self) -> Any:
        """Download it as nested lists of Python numbers."""
        return self.to_numpy().tolist()

    def __contains__(self, value: object) -> bool:
        return bool(self.engine.run("any", (self == value,), {}))

    def __iter__(self) -> Iterator[Any]:
        """Iterate the first dimension: views of it, or the elements, as many at once as fit 1 MiB."""
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        row = max(1, self.nbytes // max(1, self.shape[0]))
        block = min(_BLOCK_ROWS, max(1, _BLOCK_BYTES // row))
        run, rows = self.engine.run, self.shape[0]
        return (
            part
            for start in range(0, rows, block)
            for part in run("rows", (self, start, min(rows, start + block)), {})
        )

    # --- copies and parts -----------------------------------------------------------------------------

    def copy(self, order: str = "C") -> Any:
        """Copy it over there, into new memory in C order."""
        del order
        return self.engine.run("copy", (self,), {})

    def __copy__(self) -> Any:
        return self.engine.run("copy", (self,), {})

    def __deepcopy__(self, memo: object) -> Any:
        return self.engine.run("copy", (self,), {})

    def __getitem__(self, key: Any, /) -> Any:
        return self.engine.run("getitem", (self, index_of(key)), {})

    def __setitem__(self, key: Any, value: Any, /) -> None:
        if isinstance(value, list | tuple):
            value = np.asarray(value, self.dtype)
        self.engine.run("setitem", (self, index_of(key), value), {})

    @property
    def T(self) -> Any:  # noqa: N802 -- the standard's name
        """With its dimensions in reverse order; a view."""
        return self.engine.run("method.transpose", (self,), {})

    @property
    def mT(self) -> Any:  # noqa: N802 -- the standard's name
        """With its last two dimensions exchanged; a view."""
        if self.ndim < 2:
            raise ValueError("mT needs two dimensions or more")
        return self.engine.run("matrix_transpose", (self,), {})

    @property
    def real(self) -> Any:
        """Real part."""
        return self.engine.run("real", (self,), {})

    @property
    def imag(self) -> Any:
        """Imaginary part."""
        return self.engine.run("imag", (self,), {})


def index_of(key: Any) -> Any:
    """Return an index as values: lists become arrays, NumPy's integers become ints.

    Slices hide arrays: their bounds are asked for here, one round trip each.
    """
    if isinstance(key, tuple):
        return tuple(index_of(part) for part in key)
    if isinstance(key, slice):
        parts = (key.start, key.stop, key.step)
        return slice(*(None if part is None else part.__index__() for part in parts))
    if isinstance(key, list):
        return np.asarray(key, dtype=None if key else np.intp)
    if isinstance(key, np.integer):
        return int(key)
    return key


def _operand(value: object) -> bool:
    return isinstance(value, (ArrayMethods, np.ndarray, *SCALARS))


def _size(nbytes: float) -> str:
    unit = min(4, int(math.log(max(nbytes, 1), 1024)))
    text = f"{nbytes:.0f}" if unit == 0 else f"{nbytes / 1024**unit:.1f}"
    return f"{text} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


# --- what is made from the table ---------------------------------------------------------------------

_SELF = Parameter("self", Parameter.POSITIONAL_ONLY)
_OTHER = parameters_of("self, other, /")
_ALONE = parameters_of("self, /")


def _binary(name: str, *, reflected: bool = False) -> Callable[..., Any]:
    def method(self: ArrayMethods, other: Any, /) -> Any:
        if not _operand(other):
            return NotImplemented
        return self.engine.run(name, (other, self) if reflected else (self, other), {})

    return described(method, operations()[name], _OTHER)


def _comparison(name: str) -> Callable[..., Any]:
    def method(self: ArrayMethods, other: Any, /) -> Any:
        if isinstance(other, list | tuple):
            raise TypeError("a remote array and a list are not compared; use xp.asarray(list)")
        if not _operand(other):
            return NotImplemented
        return self.engine.run(name, (self, other), {})

    return described(method, operations()[name], _OTHER)


def _in_place(operator: str, name: str) -> Callable[..., Any]:
    def method(self: ArrayMethods, other: Any, /) -> Any:
        if not _operand(other):
            return NotImplemented
        self.engine.run("inplace", (operator, self, other), {})
        return self

    return described(method, operations()[name], _OTHER)


def _unary(name: str) -> Callable[..., Any]:
    def method(self: ArrayMethods, /) -> Any:
        return self.engine.run(name, (self,), {})

    return described(method, operations()[name], _ALONE)


def _method(operation: Operation) -> Callable[..., Any]:
    name = operation.name

    def method(self: ArrayMethods, /, *args: Any, **kwargs: Any) -> Any:
        return self.engine.run(name, (self, *args), kwargs)

    parameters = (_SELF, *operation.signature.parameters.values())
    return described(method, operation, Signature(parameters))


def _fill(cls: type[ArrayMethods]) -> None:
    made: dict[str, Callable[..., Any]] = {}
    for operator, name in BINARY.items():
        made[f"__{operator}__"] = _binary(name)
        made[f"__r{operator}__"] = _binary(name, reflected=True)
        made[f"__i{operator}__"] = _in_place(f"i{operator}", name)
    made |= {f"__{operator}__": _comparison(name) for operator, name in COMPARISONS.items()}
    made |= {f"__{operator}__": _unary(name) for operator, name in UNARY.items()}
    for operation in operations().values():
        if operation.group == "methods":
            made[operation.short_name] = _method(operation)
    for name, method in made.items():
        method.__name__ = name
        setattr(cls, name, method)
    cls.__hash__ = None  # as == has been set from outside


_fill(ArrayMethods)
