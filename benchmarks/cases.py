"""The table of what is measured, against what, and how good it shall be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

KIB, MIB = 1024, 1024 * 1024
PEER_PROBES = frozenset(
    {
        "null_call",
        "small_call",
        "in_batch",
        "in_flight",
        "mean",
        "churn",
        "together",
        "bulk",
        "connecting",
        "first_call",
    }
)
"""Those that `benchmarks.peers.probes` has, too."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the report: a figure that a case measures."""

    name: str
    key: str = "median"
    """Its name among what the probe returns."""
    unit: str = "s"
    """``s``, ``/s`` or ``B``; of ``/s`` more is better."""
    target: float | None = None
    """At most so many times the limit; or, where there is no limit, at most so many units."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: a probe of rpcnb, and its limit."""

    figures: tuple[Figure, ...]
    probe: str
    """Function in `benchmarks.probes`."""
    limit: str = ""
    """Function in `benchmarks.limits`; ``direct`` is the same probe without the hop."""
    placement: str = "one"
    """Which cores the two ends get; see `benchmarks.child.placements`."""
    arguments: dict[str, Any] = field(default_factory=dict)
    limit_arguments: dict[str, Any] = field(default_factory=dict)
    """What the limit is told besides."""
    our_arguments: dict[str, Any] = field(default_factory=dict)
    """What rpcnb's probe is told besides."""
    server: str = "rpcnb"
    """``rpcnb``, ``gateway``, or empty where none is needed."""
    clients: int = 1

    @property
    def for_peers(self) -> bool:
        """Whether other libraries are measured, too: what can be compared, and ends in seconds."""
        return (
            self.server == "rpcnb"
            and self.probe in PEER_PROBES
            and self.limit != "memcpy"
            and self.arguments.get("nbytes", 0) <= 64 * MIB
        )


def call(name: str, probe: str, target: float, number: int, **more: Any) -> Case:
    """Return a case that is a call, whose limit is one message there and back."""
    figures = (Figure(name, target=target),)
    return Case(figures, probe, "ping", arguments={"number": number}, **more)


def copies(nbytes: int, label: str, number: int, target: float | None, **more: Any) -> list[Case]:
    """Return copies: small ones as a user of this machine connects, large ones by TCP as the limit.

    A user's arrays of 64 KiB or more lie in shared memory: see `same_host`, and `copies_by_tcp`.
    """
    return [
        Case(
            (Figure(f"{direction} {label}", target=target),),
            more.get("probe", "bulk"),
            "bulk",
            placement="two" if nbytes >= MIB else "one",
            arguments={"nbytes": nbytes, "number": number, "direction": direction},
            our_arguments={"shared": True} if nbytes < MIB else {},
        )
        for direction in ("upload", "download")
    ]


def copies_by_tcp(nbytes: int, label: str, number: int) -> list[Case]:
    """Return small copies as they go where nothing is shared: what the limit does, between machines."""
    arguments = {"nbytes": nbytes, "number": number}
    return [
        Case(
            (Figure(f"{direction} {label} by TCP"),),
            "bulk_by_tcp",
            "bulk",
            "one",
            {**arguments, "direction": direction},
        )
        for direction in ("upload", "download")
    ]


def same_host(nbytes: int, label: str, number: int) -> list[Case]:
    """Return copies through shared memory, whose limit is one from memory to memory."""
    return [
        Case(
            (Figure(f"same host: {direction} {label}", target=1.2),),
            "bulk",
            "memcpy",
            "one",
            {"nbytes": nbytes, "number": number, "direction": direction},
            our_arguments={"shared": True},
        )
        for direction in ("upload", "download")
    ]


def null_call(where: str, placement: str, median: float, p99: float | None) -> Case:
    return Case(
        (
            Figure(f"null call, {where}", target=median),
            Figure(f"... p99, {where}", "p99", target=p99),
        ),
        "null_call",
        "ping",
        placement,
        {"number": 5000},
    )


CASES: list[Case] = [
    null_call("one core", "one", 1.25, 1.6),
    null_call("two cores", "two", 1.45, None),
    Case(
        (Figure("null call by TCP, one core"),),
        "null_call_by_tcp",
        "ping",
        "one",
        {"number": 5000},
    ),
    call("3 arguments + 2 keywords", "small_call", 1.45, 5000),
    call("mean of a held 1 MB array", "mean", 1.25, 3000, limit_arguments={"mode": "mean"}),
    call("create + free an object", "churn", 2.0, 3000),
    Case(
        (Figure("5,000 calls in flight", "rate", "/s", 3.0),),  # 120 k/s where the limit is 359
        "in_flight",
        "in_flight",
        "two",
        {"number": 5000},
    ),
    Case(
        (Figure("5,000 calls in one batch", "rate", "/s", 0.9),),  # 400 k/s, likewise
        "in_batch",
        "in_flight",
        "two",
        {"number": 5000},
    ),
    Case(
        (Figure("8 client processes", "rate", "/s", 1.33),),  # 80 k/s where the limit is 106
        "together",
        "together",
        "free",
        {"seconds": 1.0},
        clients=8,
    ),
    Case(
        (Figure("a call through a gateway (limit: without it)", target=2.3),),
        "null_call",
        "direct",
        arguments={"number": 3000},
        server="gateway",
    ),
    *copies(8, "8 B", 500, 1.5),
    *copies(4 * KIB, "4 KiB", 500, 1.5),
    *copies(64 * KIB, "64 KiB", 300, 1.5),
    *copies_by_tcp(8, "8 B", 500),
    *copies_by_tcp(64 * KIB, "64 KiB", 300),
    *copies(MIB, "1 MiB", 100, 1.4),
    *copies(64 * MIB, "64 MiB", 7, 1.15),
    *copies(256 * MIB, "256 MiB", 3, 1.15),
    *copies(64 * MIB, "64 MiB, new memory", 5, None, probe="bulk_new"),
    *same_host(MIB, "1 MiB", 300),
    *same_host(64 * MIB, "64 MiB", 7),
    Case(
        (Figure("same host: view of 64 MiB", target=50e-6),),
        "shared_view",
        arguments={"nbytes": 64 * MIB, "number": 100},
    ),
    Case((Figure("connect"),), "connecting", "connecting", "free", {"number": 15}),
    Case(
        (Figure("fresh process to first call", target=1.5),), "first_call", "first_exchange", "free"
    ),
    Case(
        (Figure("import rpcnb", target=0.040),),
        "importing",
        placement="free",
        arguments={"names": "rpcnb.register"},
        server="",
    ),
    Case(
        (Figure("import rpcnb, all a client uses"),),
        "importing",
        placement="free",
        arguments={"names": "rpcnb.connect, rpcnb.RemoteArray"},
        server="",
    ),
    Case(
        (
            Figure("memory of a server at rest", "broker", "B", 45e6),
            Figure("memory of an idle session", "session", "B", 3e6),
        ),
        "memory",
        placement="free",
        arguments={"sessions": 3},
    ),
]


def quickened(case: Case) -> Case | None:
    """Return a case that takes a tenth of the time and tells less; None for the longest."""
    if case.arguments.get("nbytes", 0) > 64 * MIB:
        return None
    arguments = dict(case.arguments)
    if arguments.get("number", 0) > 10 and case.probe not in {"in_flight", "in_batch"}:
        arguments["number"] //= 10
    if "seconds" in arguments:
        arguments["seconds"] = 0.2
    return replace(case, arguments=arguments)
