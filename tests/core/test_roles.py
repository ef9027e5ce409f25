from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.roles import (
    MAX_CAVEATS,
    WHOLE,
    Grant,
    Role,
    grant_of,
    join_caveats,
    split_caveats,
)

ROLES = st.sampled_from(["role=inspector", "role=reader", "role=executor", "role=exec"])
NAMES = st.sampled_from(["functions=a.*", "functions=a.b,c", "functions=*"])
TIMES = st.integers(0, 10**10).map("expires={}".format)
CAVEATS = st.lists(ROLES | NAMES | TIMES, max_size=6)
EVERYTHING = ("a.b", "a.c", "b", "c")


def test_each_role_includes_those_before_it():
    assert Role.INSPECTOR < Role.READER < Role.EXECUTOR < Role.EXEC
    assert [Role.named(str(role)) for role in Role] == list(Role)


def test_an_unknown_role_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="roles are inspector, reader, executor, exec"):
        Role.named("admin")


def test_nothing_taken_away_leaves_everything():
    assert grant_of("") == WHOLE
    assert WHOLE.is_whole
    assert all(map(WHOLE.allows_name, EVERYTHING))


def test_caveats_are_read():
    grant = grant_of("role=reader;functions=stats.*,demo.show;expires=1790000000")
    assert grant == Grant(Role.READER, (("stats.*", "demo.show"),), 1790000000.0)
    assert grant.allows_name("stats.load")
    assert not grant.allows_name("demo.shows")


def test_several_lists_of_functions_must_all_agree():
    grant = grant_of("functions=a.*;functions=a.b,c")
    assert [name for name in EVERYTHING if grant.allows_name(name)] == ["a.b"]


@given(CAVEATS, CAVEATS)
def test_more_caveats_never_allow_more(first, second):
    less, more = grant_of(";".join(first)), grant_of(";".join([*first, *second]))
    assert more.role <= less.role
    assert more.expires <= less.expires
    assert all(less.allows_name(name) for name in EVERYTHING if more.allows_name(name))


@pytest.mark.parametrize(
    "caveats",
    [
        "x",
        "role",
        "role=",
        "role=admin",
        "expires=soon",
        "colour=red",
        ";",
        "role=reader;",
        "role=a b",
    ],
)
def test_what_is_not_understood_grants_nothing(caveats):
    with pytest.raises(ValueError, match=r"caveat|role|invalid literal"):
        grant_of(caveats)


def test_caveats_are_joined_if_they_fit():
    assert join_caveats("", "role=reader", "", "expires=5") == "role=reader;expires=5"
    assert split_caveats("role=reader;expires=5") == ["role=reader", "expires=5"]
    with pytest.raises(ValueError, match="too long"):
        join_caveats(*["functions=" + "x" * 300] * 2)
    assert len("functions=" + "x" * 300) < MAX_CAVEATS


def test_without_an_end_there_is_none():
    assert grant_of("role=reader").expires == math.inf
