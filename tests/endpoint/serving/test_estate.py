"""Tests of `rpcnb.endpoint.serving.estate`: what is kept of a broker, and for whom."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import pytest

from rpcnb.endpoint.serving.estate import (
    LINES,
    Estate,
    EstateFile,
    clear_away,
    estate_path,
    find_estate,
    knock,
    listen_for_heirs,
    remove_estate,
)

URL = "tcp://127.0.0.1:9090"
NOBODY = 2**22 + 1
"""No process has this number."""


def write_estate(estate: Estate) -> None:
    EstateFile(lambda: estate).write()


@pytest.fixture
def estate(tmp_path, monkeypatch) -> Estate:
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    return Estate(URL, NOBODY, os.getpid(), str(tmp_path), "00" * 32, [{"session_id": "a"}])


def test_the_estate_of_a_dead_broker_with_a_living_zygote_is_found_by_its_address(estate) -> None:
    assert find_estate(URL) is None
    write_estate(estate)
    assert find_estate(URL) == estate
    assert find_estate("tcp://127.0.0.1:9091") is None
    remove_estate(URL)
    assert find_estate(URL) is None
    remove_estate(URL)


@pytest.mark.parametrize("change", [{"pid": os.getpid()}, {"zygote": NOBODY}])
def test_nothing_is_inherited_from_the_living_or_of_the_dead(estate, change) -> None:
    write_estate(replace(estate, **change))
    assert find_estate(URL) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"url": 1, "other": 2}'])
def test_a_file_of_another_kind_is_no_estate(estate, text) -> None:
    estate_path(URL).write_text(text)
    assert find_estate(URL) is None


def test_only_this_user_can_read_it_and_nobody_sees_it_by_accident(estate) -> None:
    write_estate(estate)
    assert stat.S_IMODE(estate_path(URL).stat().st_mode) == 0o600
    assert "00" * 32 not in repr(estate)
    assert "session_id" not in repr(estate)


def test_what_led_to_a_dead_broker_is_cleared_away(estate) -> None:
    for number in (NOBODY, os.getpid()):
        (estate_path(URL).parent / f"server-{number}-9090.sock").touch()
    clear_away(estate)
    left = [path.name for path in estate_path(URL).parent.glob("server-*")]
    assert left == [f"server-{os.getpid()}-9090.sock"]


def test_heirs_knock_where_they_are_waited_for_however_long_the_path(tmp_path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    assert knock(folder) is None
    with (
        listen_for_heirs(folder) as listener,
        knock(folder) as heir,
        listener.accept()[0] as zygote,
    ):
        heir.sendall(b"x")
        assert zygote.recv(1) == b"x"
    assert listen_for_heirs(tmp_path / "absent") is None


def test_sessions_are_added_by_a_line_each_and_the_last_word_on_each_counts(estate) -> None:
    file = EstateFile(lambda: estate)
    file.write()
    first = estate_path(URL).read_text()
    file.add({"session_id": "b", "epoch": 1})
    file.add({"session_id": "a", "epoch": 2})
    assert estate_path(URL).read_text().startswith(first)
    found = find_estate(URL)
    assert found.sessions == [{"session_id": "a", "epoch": 2}, {"session_id": "b", "epoch": 1}]
    assert stat.S_IMODE(estate_path(URL).stat().st_mode) == 0o600


def test_the_file_is_written_anew_when_most_of_its_lines_are_of_the_past(estate) -> None:
    file = EstateFile(lambda: estate)
    file.write()
    sizes = set()
    for _ in range(3 * LINES):
        file.add({"session_id": "b"})
        sizes.add(len(estate_path(URL).read_text().splitlines()))
    assert max(sizes) <= LINES + 2
    assert min(sizes) == 1


def test_a_file_that_somebody_removed_is_written_anew_but_not_after_the_end(estate) -> None:
    file = EstateFile(lambda: estate)
    file.write()
    remove_estate(URL)
    file.add({"session_id": "a"})
    assert find_estate(URL) == estate
    file.remove()
    file.add({"session_id": "a"})
    file.write()
    assert not estate_path(URL).exists()
