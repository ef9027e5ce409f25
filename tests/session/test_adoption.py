from __future__ import annotations

from rpcnb.core.values import TypeCode
from rpcnb.session.adoption import adopt
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession


def test_everything_but_functions_and_the_callers_own_is_given_away_once() -> None:
    registry = FunctionRegistry()
    registry.add("t.nothing", lambda: None)
    with LocalSession(registry) as session:
        left, own = object(), object()
        number = session.handles.issue(left, TypeCode.OBJECT)
        kept = session.handles.issue(own, TypeCode.OBJECT)
        session.get_function("t.nothing")
        assert adopt(session, [kept]) == [[number, left]]
        assert adopt(session, [kept]) == []
        assert session.handles.get(kept, TypeCode.OBJECT) is own
