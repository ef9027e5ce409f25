"""Running cases: limit and rpcnb in turn, each in fresh processes, round after round."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from benchmarks.child import placements, probe_together, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.cases import Case, Figure
    from benchmarks.child import Figures

NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class Result:
    """What one figure was in each round."""

    figure: Figure
    limit: list[float] = field(default_factory=list)
    """Empty where there is no limit."""
    rpcnb: list[float] = field(default_factory=list)
    peers: dict[str, list[float]] = field(default_factory=dict)
    """Name -> what another library needed in the same rounds; without those that cannot do it."""
    failure: str = ""
    """Why there are no figures."""

    @property
    def ratio(self) -> float | None:
        """Times the limit: the median over the rounds, each compared with itself only."""
        return self.times_limit(self.rpcnb)

    def times_limit(self, found: list[float]) -> float | None:
        """Return how often the limit goes into what was `found`; None where there is none."""
        if not self.limit or len(found) != len(self.limit):
            return None
        more_is_better = self.figure.unit == "/s"
        ratios = [
            limit / ours if more_is_better else ours / limit
            for limit, ours in zip(self.limit, found, strict=True)
        ]
        return median(ratios)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.figure.target is None or not self.rpcnb:
            return None
        value = self.ratio
        return (median(self.rpcnb) if value is None else value) <= self.figure.target


class Runner:
    """Measures cases. A context manager: it keeps servers, which its end stops.

    Parameters
    ----------
    peers : mapping
        Other libraries to measure in the same rounds: name -> module; see `benchmarks.peers`.
    """

    def __init__(self, peers: Mapping[str, str] | None = None) -> None:
        self._peers = dict(peers or {})
        self._placements = placements()
        self._servers: dict[tuple[str, tuple[int, ...]], dict[str, Any]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def run(self, cases: Iterable[Case], rounds: int, note: Callable[[str], None]) -> list[Result]:
        """Measure all cases `rounds` times, the whole table once a round."""
        table = [(case, [Result(figure) for figure in case.figures]) for case in cases]
        for number in range(rounds):
            for case, results in table:
                note(f"round {number + 1} of {rounds}: {case.figures[0].name}")
                try:
                    self._measure(case, results, limit_first=number % 2 == 0)
                except (RuntimeError, LookupError) as error:
                    for result in results:
                        result.failure = str(error) or repr(error)
        return [result for _, results in table for result in results]

    def _measure(self, case: Case, results: list[Result], *, limit_first: bool) -> None:
        """Add one round to the results of one case, or nothing if one side fails."""
        sides: dict[str, Figures] = {}
        for side in ("limit", "rpcnb") if limit_first else ("rpcnb", "limit"):
            if side == "rpcnb":
                sides[side] = self._probe(
                    case, f"benchmarks.probes:{case.probe}", case.server, case.our_arguments
                )
            elif case.limit == "direct":
                sides[side] = self._probe(case, f"benchmarks.probes:{case.probe}", "rpcnb")
            elif case.limit:
                sides[side] = self._probe(
                    case, f"benchmarks.limits:{case.limit}", "limit", case.limit_arguments
                )
        for result in results:
            result.rpcnb.append(sides["rpcnb"][result.figure.key])
            if "limit" in sides:
                result.limit.append(sides["limit"][result.figure.key])
        if case.for_peers:
            self._measure_peers(case, results)

    def _measure_peers(self, case: Case, results: list[Result]) -> None:
        """Add one round of the other libraries; one that fails is left out from then on."""
        for name, module in list(self._peers.items()):
            try:
                found = self._probe(case, f"benchmarks.peers.probes:{case.probe}", module)
            except RuntimeError as error:
                print(f"{name} is left out from here on: {error}", file=sys.stderr)
                del self._peers[name]
                continue
            for result in results:
                if result.figure.key in found:
                    result.peers.setdefault(name, []).append(found[result.figure.key])

    def _probe(
        self, case: Case, function: str, kind: str, besides: Mapping[str, Any] = NOTHING
    ) -> Figures:
        place = self._placements.get(case.placement)
        if place is None:
            raise LookupError("this machine lends us one core only")
        arguments = {**case.arguments, **besides}
        if kind:
            arguments["server"] = self._server(kind, place.server)
        if "." in kind:
            arguments["peer"] = kind
        found = probe_together(function, place.client, case.clients, **arguments)
        if case.clients == 1:
            return found[0]
        return {key: sum(each[key] for each in found) for key in found[0]}  # rates

    def _server(self, kind: str, cores: tuple[int, ...]) -> dict[str, Any]:
        """Return what is known about a running server of that kind on these cores.

        A kind with a dot is the module of another library's server.
        """
        known = self._servers.get((kind, cores))
        if known is None:
            if kind == "limit":
                context = server("benchmarks.limits", cores=cores)
            elif "." in kind:
                context = server(kind, cores=cores)
            elif kind == "gateway":
                behind = self._server("rpcnb", cores)
                context = server("benchmarks.serve", cores=cores, behind=behind)
            else:
                context = server("benchmarks.serve", cores=cores)
            known = self._servers[kind, cores] = self._stack.enter_context(context)
        return known
