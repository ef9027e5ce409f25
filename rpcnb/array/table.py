"""The table of operations, made from `rows` once."""

from __future__ import annotations

import ast
import inspect
import re
from collections import namedtuple
from functools import cache
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from rpcnb.array import rows
from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROW = re.compile(
    r"(?P<name>\w+)\((?P<parameters>.*?)\)"
    r"(?: -> (?P<fields>[\w ]+))?(?: \[(?P<rule>\w+)\])?: (?P<doc>.+)"
)
WAITS = "waits"
"""In place of a rule: the result must be waited for."""


@frozen
class Operation:
    """One row."""

    name: str
    """As it is sent: ``add``, ``linalg.svd``, ``method.sum``."""
    group: str
    """Heading it stands under: ``elementwise``, ``linalg``, …"""
    signature: Signature
    doc: str
    """One sentence."""
    make_result: Any = None
    """Class of the named tuple it returns; None for anything else."""
    writes: bool = False
    """Whether it may change an operand."""
    rule: str = WAITS
    """Name of the rule of `array.inference` that tells shape and dtype of its result."""
    names: tuple[str, ...] = ()
    """Names of what it takes; those of a method begin with ``self``."""

    @property
    def short_name(self) -> str:
        """Its name without what stands in front of the last dot."""
        return self.name.rpartition(".")[2]


def parameters_of(text: str) -> Signature:
    """Read a signature without annotations, whose defaults are literals: ``x, /, *, axis=None``."""
    function = ast.parse(f"def f({text}): pass").body[0]
    assert isinstance(function, ast.FunctionDef)  # by the text above
    names = function.args
    given = [None] * (len(names.posonlyargs) + len(names.args) - len(names.defaults))
    defaults: Iterator[ast.expr | None] = iter([*given, *names.defaults])
    made = [_parameter(a, Parameter.POSITIONAL_ONLY, next(defaults)) for a in names.posonlyargs]
    made += [_parameter(a, Parameter.POSITIONAL_OR_KEYWORD, next(defaults)) for a in names.args]
    if names.vararg:
        made.append(_parameter(names.vararg, Parameter.VAR_POSITIONAL, None))
    pairs = zip(names.kwonlyargs, names.kw_defaults, strict=True)
    made += [_parameter(a, Parameter.KEYWORD_ONLY, default) for a, default in pairs]
    if names.kwarg:
        made.append(_parameter(names.kwarg, Parameter.VAR_KEYWORD, None))
    return Signature(made)


def _parameter(
    argument: ast.arg, kind: inspect._ParameterKind, default: ast.expr | None
) -> Parameter:
    value = Parameter.empty if default is None else ast.literal_eval(default)
    return Parameter(argument.arg, kind, default=value)


def _read(text: str, group: str, prefix: str = "", rule: str = WAITS) -> Iterator[Operation]:
    for line in text.strip().splitlines():
        match = _ROW.fullmatch(line)
        assert match is not None, line
        fields = (match["fields"] or "").split()
        name = match["name"]
        made = namedtuple(f"{name}_result", fields) if fields else None  # noqa: PYI024
        signature = parameters_of(match["parameters"])
        names = ("self",) * (group == "methods") + tuple(signature.parameters)
        told = match["rule"] or rule
        full = f"{prefix}{name}"
        yield Operation(full, group, signature, match["doc"], made, rule=told, names=names)


def _listed(text: str, group: str, prefix: str, doc: str) -> Iterator[Operation]:
    signature = parameters_of("*args, **kwargs")
    for name in text.split():
        yield Operation(f"{prefix}{name}", group, signature, doc.format(name))


_OWN = (
    Operation("getitem", "indexing", parameters_of("x, key, /"), "A part of it.", rule="getitem"),
    Operation(
        "setitem", "indexing", parameters_of("x, key, value, /"), "Set a part.", writes=True,
        rule="written",
    ),
    Operation("copy", "indexing", parameters_of("x, /"), "A copy in new memory.", rule="copied"),
    Operation("library", "indexing", parameters_of(""), "Name of the library of new arrays."),
    Operation("rows", "indexing", parameters_of("x, start, stop, /"), "Some of its rows."),
    Operation("put", "indexing", parameters_of("x, device, /"), "A small array, by value.", rule="copied"),
    Operation("item", "indexing", parameters_of("x, /"), "The value of its one element."),
    Operation("text", "display", parameters_of("x, /"), "What NumPy writes for it, shortened."),
    Operation("statistics", "display", parameters_of("x, /"), "Its extremes, mean, deviation."),
    Operation(
        "look", "display", parameters_of("x, axes, index, blocks, names, clip, /"), "A part of it."
    ),
    Operation("figures", "display", parameters_of("x, /"), "Its extremes, quantiles, histogram."),
    Operation("planes", "display", parameters_of("x, side, /"), "It as small pictures."),
    Operation(
        "ufunc", "numpy", parameters_of("name, method, inputs, options, out, /"),
        "A method of a ufunc.", writes=True, rule="ufunc",
    ),
    Operation(
        "inplace", "operators", parameters_of("name, x, y, /"), "x += y and the like.", writes=True,
        rule="written",
    ),
    Operation("random", "random", parameters_of("generator, device, name, args, kwargs, /"), "Draw.", writes=True),
    Operation("random.default_rng", "random", parameters_of("seed=None"), "A random generator."),
)  # fmt: skip


@cache
def operations() -> dict[str, Operation]:
    """Return name -> operation, in the order of the rows."""
    made = (
        *_read(rows.CREATION, "creation"),
        *_read(rows.METADATA, "metadata"),
        *_read(rows.ELEMENTWISE, "elementwise", rule="elementwise"),
        *_read(rows.REDUCTION, "reduction", rule="reduction"),
        *_read(rows.VIEW, "views", rule="view"),
        *_read(rows.MANIPULATION, "manipulation"),
        *_read(rows.LINALG, "linalg", "linalg."),
        *_read(rows.FFT, "fft", "fft."),
        *_read(rows.METHODS, "methods", "method."),
        *_read(rows.VIEW_METHODS, "methods", "method."),
        *_listed(rows.FUNCTIONS, "numpy", "numpy.", "As `numpy.{}`, over there."),
        *_listed(rows.SPECIAL, "special", "special.", "As `scipy.special.{}`, over there."),
        *_listed(rows.SCIPY_FFT, "scipy", "scipy.fft.", "As `scipy.fft.{}`, over there."),
        *_OWN,
    )
    return {operation.name: operation for operation in made}


def described(
    function: Callable[..., Any], operation: Operation, signature: Signature
) -> Callable[..., Any]:
    """Give a function the name, signature and documentation of an operation."""
    function.__name__ = function.__qualname__ = operation.short_name
    function.__doc__ = operation.doc
    function.__signature__ = signature  # type: ignore[attr-defined]  # what inspect looks for
    return function
