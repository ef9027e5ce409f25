"""Between the objects of this process and the values that may cross a session.

What goes by value and what stays here is decided by exact type:

========================================= ===================================================
plain scalars, ``list tuple dict slice``  copied, item by item
``Ellipsis``, `Device`, NumPy dtypes      as they are
NumPy scalars (``np.str_`` included)      `DenseArray`, marked as a scalar
arrays of a backend                       `ArrayRef`, always
callables, classes included               `FunctionRef`
Python modules                            `ModuleRef`
generators                                `IteratorRef`
everything else                           `ObjectRef`
========================================= ===================================================

A subclass of a builtin (``OrderedDict``, a named tuple, an enum member, a ``bool`` flag class) is
*something else*: its class does not exist on the other side, and arriving as its base it would
have lost what makes it more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from reprlib import Repr
from types import EllipsisType, GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rpcnb.core.device import Device
from rpcnb.core.dtype import element_count
from rpcnb.core.errors import DecodeError, EncodeError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.core.values import (
    OWNED_REFS,
    PLAIN_TYPES,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionInfo,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    TypeCode,
    Value,
)
from rpcnb.session.backend import ArrayBackend, backend_of
from rpcnb.session.dtypes import to_dtype, to_numpy_dtype

if TYPE_CHECKING:
    from rpcnb.session.handles import HandleTable

CallBack: TypeAlias = Callable[[CallbackRef, Sequence[Value], Mapping[str, Value]], Value]
"""Calls a function that the caller lent, and returns what it returns."""
Issued: TypeAlias = list[tuple[Handle, TypeCode]]

_PLAIN = PLAIN_TYPES.issuperset
_NAMES = 1024
"""Functions of a module that are listed."""
_TEXT = 200
"""Characters of a summary or a name."""
_DOC = 8192
_SHORT = Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = _TEXT


class Callback:
    """A function of the caller, to be called by code here while that call lasts."""

    def __init__(self, marshaller: Marshaller, ref: CallbackRef, call_back: CallBack) -> None:
        self._marshaller = marshaller
        self._ref = ref
        self._call_back = call_back
        self.__name__ = ref.info.name

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call it over there and return what it returns.

        Arrays and objects among the arguments are lent as new handles, which the other side frees.
        """
        values = self._marshaller.to_values((*args, *kwargs.values()))
        named = dict(zip(kwargs, values[len(args) :], strict=True))
        result = self._call_back(self._ref, values[: len(args)], named)
        return self._marshaller.to_object(result, self._call_back)

    def __repr__(self) -> str:
        return f"<callback {self.__name__}>"


class Marshaller:
    """Turns objects into values and back.  Thread-safe.

    Parameters
    ----------
    handles : HandleTable
        Holds what stays here.
    backends : sequence of ArrayBackend
        Who says what an array is.
    describe_function : callable
        Returns a `FunctionInfo`; must not raise.
    limits : Limits
    """

    def __init__(
        self,
        handles: HandleTable,
        backends: Sequence[ArrayBackend],
        describe_function: Callable[[Callable[..., Any]], FunctionInfo],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._handles = handles
        self._backends = backends
        self._describe_function = describe_function
        self._depth = limits.depth

    # --- object -> value --------------------------------------------------------------------------

    def to_value(self, obj: object) -> Value:
        """Return the value for an object; refs in it are new handles, owned by the receiver.

        Raises
        ------
        EncodeError
            Containers nested too deep, or an array whose dtype cannot cross.
        SessionError
            The session holds as many objects as it may.

        Notes
        -----
        After an error nothing is held that was not held before.
        """
        if type(obj) in PLAIN_TYPES:
            return obj
        issued: Issued = []
        try:
            return self._lower(obj, issued, 0)
        except BaseException:
            self._take_back(issued)
            raise

    def to_values(self, objects: Sequence[object]) -> tuple[Value, ...]:
        """Return the values for several objects: all, or after an error none."""
        if _PLAIN(map(type, objects)):
            return tuple(objects)
        issued: Issued = []
        try:
            return tuple(self._lower(obj, issued, 0) for obj in objects)
        except BaseException:
            self._take_back(issued)
            raise

    def _take_back(self, issued: Issued) -> None:
        for handle, type_code in issued:
            self._handles.free(handle, type_code)

    def _issue(self, obj: object, type_code: TypeCode, issued: Issued) -> Handle:
        handle = self._handles.issue(obj, type_code)
        issued.append((handle, type_code))
        return handle

    def _lower(self, obj: Any, issued: Issued, depth: int) -> Value:
        kind = type(obj)
        if kind in PLAIN_TYPES or kind is EllipsisType or kind is Device:
            return obj
        if kind is list or kind is tuple or kind is dict:
            return self._lower_container(obj, issued, depth)
        if kind is slice:
            return slice(*self._lower_items((obj.start, obj.stop, obj.step), issued, depth))
        if isinstance(obj, np.generic):
            return DenseArray(to_dtype(obj.dtype), (), obj.tobytes(), is_scalar=True)
        if isinstance(obj, np.dtype):
            return DTypeValue(to_dtype(obj))
        return self._lower_held(obj, issued)

    def _lower_container(self, obj: Any, issued: Issued, depth: int) -> Value:
        if depth >= self._depth:
            raise EncodeError(
                f"containers are nested deeper than {self._depth}, or contain themselves"
            )
        if type(obj) is dict:
            keys = self._lower_items(tuple(obj), issued, depth + 1)
            values = self._lower_items(tuple(obj.values()), issued, depth + 1)
            return dict(zip(keys, values, strict=True))
        return type(obj)(self._lower_items(obj, issued, depth + 1))

    def _lower_items(self, items: Sequence[Any], issued: Issued, depth: int) -> Sequence[Value]:
        if _PLAIN(map(type, items)):
            return items
        return [self._lower(item, issued, depth) for item in items]

    def _lower_held(self, obj: Any, issued: Issued) -> Value:
        """Return the ref for something that stays here; described first, as that may fail."""
        backend = backend_of(self._backends, obj)
        if backend is not None:
            description = backend.describe(obj)
            return description.ref(self._issue(obj, TypeCode.ARRAY, issued))
        if isinstance(obj, GeneratorType):
            name = obj.__qualname__[:_TEXT]
            return IteratorRef(self._issue(obj, TypeCode.ITERATOR, issued), name)
        if isinstance(obj, ModuleType):
            names, doc = module_functions(obj), _doc_of(obj)
            return ModuleRef(self._issue(obj, TypeCode.MODULE, issued), obj.__name__, names, doc)
        if callable(obj):
            info = self._describe_function(obj)
            return FunctionRef(self._issue(obj, TypeCode.FUNCTION, issued), info)
        name, summary = type_name(type(obj)), summarize(obj)
        return ObjectRef(self._issue(obj, TypeCode.OBJECT, issued), name, summary)

    # --- value -> object --------------------------------------------------------------------------

    def to_object(self, value: Value, call_back: CallBack) -> Any:
        """Return the object for a value: what its refs name here, and copies of the rest.

        Parameters
        ----------
        value : Value
        call_back : callable
            Used by the functions among them that the caller lent.

        Raises
        ------
        InvalidHandle
            A ref names nothing here, or something of another kind.
        DecodeError
            Not a value, nested too deep, or an array whose bytes do not fit.
        """
        if type(value) in PLAIN_TYPES:
            return value
        if type(value) in OWNED_REFS:
            return self._handles.get(value.handle, value.type_code)
        return self._lift(value, call_back, 0)

    def to_objects(self, values: Iterable[Value], call_back: CallBack) -> list[Any]:
        """Do what `to_object` does, for each; a call of it takes 0.3 µs."""
        objects = []
        for value in values:
            if type(value) in PLAIN_TYPES:
                objects.append(value)
            elif type(value) in OWNED_REFS:
                objects.append(self._handles.get(value.handle, value.type_code))
            else:
                objects.append(self._lift(value, call_back, 0))
        return objects

    def _lift(self, value: Any, call_back: CallBack, depth: int) -> Any:
        kind = type(value)
        if kind in PLAIN_TYPES or kind is EllipsisType or kind is Device:
            return value
        if kind in OWNED_REFS:
            return self._handles.get(value.handle, value.type_code)
        if kind is list or kind is tuple or kind is dict or kind is slice:
            return self._lift_container(value, call_back, depth)
        if kind is DenseArray:
            return dense_to_numpy(value)
        if kind is DTypeValue:
            return to_numpy_dtype(value.dtype)
        if kind is CallbackRef:
            return Callback(self, value, call_back)
        raise DecodeError(f"a {type_name(kind)} is no value that may cross a session")

    def _lift_container(self, value: Any, call_back: CallBack, depth: int) -> Any:
        if depth >= self._depth:
            raise DecodeError(f"containers are nested deeper than {self._depth}")

        def lift_items(items: Sequence[Any]) -> Sequence[Any]:
            if _PLAIN(map(type, items)):
                return items
            return [self._lift(item, call_back, depth + 1) for item in items]

        if type(value) is slice:
            return slice(*lift_items((value.start, value.stop, value.step)))
        if type(value) is dict:
            keys, values = lift_items(tuple(value)), lift_items(tuple(value.values()))
            return dict(zip(keys, values, strict=True))
        return type(value)(lift_items(value))


def dense_to_numpy(value: DenseArray) -> Any:
    """Return a small array as a NumPy array of its own, writable; or as a NumPy scalar.

    Raises
    ------
    DecodeError
        The bytes are not as many as shape and dtype ask for.
    """
    dtype = to_numpy_dtype(value.dtype)
    wanted, given = element_count(value.shape) * dtype.itemsize, memoryview(value.data).nbytes
    if wanted != given:
        raise DecodeError(f"{given:,} bytes for an array of {wanted:,}")
    array = np.ndarray(value.shape, dtype, buffer=value.data).copy()
    return array[()] if value.is_scalar else array


def module_functions(module: ModuleType) -> tuple[str, ...]:
    """Return the names of a module's public functions, sorted: at most 1,024.

    Public is what ``__all__`` lists or, without it, what has no underscore in front and was
    defined there: a helper's ``from subprocess import run`` is not a function it offers.
    """
    content = vars(module)
    listed = content.get("__all__")
    if listed is not None:
        names = [name for name in listed if isinstance(name, str)]
    else:
        names = [
            name
            for name, value in content.items()
            if getattr(value, "__module__", None) in (module.__name__, None)
        ]
    public = {name for name in names if not name.startswith("_") and callable(content.get(name))}
    return tuple(sorted(public)[:_NAMES])


def type_name(kind: type) -> str:
    """Return the qualified name of a class, builtins without a prefix."""
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{prefix}{kind.__qualname__}"[:_TEXT]


def summarize(obj: object) -> str:
    """Return a short ``repr``.  The code behind it is foreign: it may raise, and say anything."""
    try:
        text = repr(obj) if type(obj).__repr__ is object.__repr__ else _SHORT.repr(obj)
    except Exception as error:  # noqa: BLE001
        text = f"<{type_name(type(obj))}, whose repr raised {type(error).__name__}>"
    return _sendable(text)[:_TEXT]


def _doc_of(module: ModuleType) -> str:
    doc = module.__doc__
    return _sendable(doc)[:_DOC] if isinstance(doc, str) else ""


def _sendable(text: str) -> str:
    # A lone surrogate is a str to Python and no text to anybody else.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
