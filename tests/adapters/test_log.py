"""The log in its formats. A datagram socket of the test stands for journald's, and is read as journald reads it."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from zcluster.adapters.journal import Record, record_from
from zcluster.adapters.log import (
    JournaldLog,
    JsonLog,
    PlainLog,
    defect,
    entry,
    is_journal,
    log_line,
    open_log,
)
from zcluster.codes.catalogue import CATALOGUE
from zcluster.codes.entry import message_id

TOLD = Record(
    1_700_000_000_123,
    "n1",
    "warning",
    "lease-lapsed",
    "blue: no majority acknowledged us for 140 ms",
    {"group": "blue", "epoch": 4, "alive": ["n2"]},
    77,
    3,
)


def fields_of(datagram: bytes) -> dict[str, str]:
    """As docs/JOURNAL_NATIVE_PROTOCOL.md of systemd says."""
    found: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        found[name.decode()] = value.decode()
        datagram = rest
    return found


class StandInForJournald:
    """A datagram socket where journald's would be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def entry(self) -> dict[str, str]:
        return fields_of(self.socket.recv(1 << 17))


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[StandInForJournald]:
    standing = StandInForJournald(tmp_path / "socket")
    yield standing
    standing.socket.close()


def test_an_entry_has_its_fields(journald: StandInForJournald) -> None:
    instead = io.StringIO()
    log = open_log("journal", instead, {}, journald.path)
    log.write(TOLD)
    log.close()
    found = journald.entry()
    assert json.loads(found.pop("ZCLUSTER_FACTS")) == dict(TOLD.facts)
    assert found == {
        "MESSAGE": "lease-lapsed: blue: no majority acknowledged us for 140 ms",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "zcluster",
        "MESSAGE_ID": message_id("lease-lapsed"),
        "ZCLUSTER_CODE": "lease-lapsed",
        "ZCLUSTER_LEVEL": "warning",
        "ZCLUSTER_NODE": "n1",
        "ZCLUSTER_GROUP": "blue",
        "ZCLUSTER_EPOCH": "4",
        "ZCLUSTER_INCARNATION": "77",
        "ZCLUSTER_NUMBER": "3",
    }
    assert instead.getvalue() == ""


@given(some.text(max_size=200), some.dictionaries(some.text(max_size=9), some.text(max_size=40), max_size=4))
def test_no_text_makes_fields_of_its_own(text: str, facts: dict[str, str]) -> None:
    facts = {**facts, "group": text}
    found = fields_of(entry(TOLD._replace(text=text, facts=facts)))
    assert len(found) == 12 - 1
    line = " ".join(text.split())
    assert found["MESSAGE"] == f"lease-lapsed: {line}".encode("utf-8", "replace").decode()
    assert found["ZCLUSTER_GROUP"] == text.encode("utf-8", "replace").decode()


def test_what_journald_does_not_take_is_a_line(tmp_path: Path, journald: StandInForJournald) -> None:
    instead = io.StringIO()
    unheard = JournaldLog(tmp_path / "nobody", PlainLog(instead))
    unheard.write(TOLD)
    unheard.close()
    assert instead.getvalue() == log_line(TOLD)
    log = JournaldLog(journald.path, PlainLog(instead))
    for _ in range(5000):  # its queue is full long before: nothing waits
        log.write(TOLD)
    log.close()
    assert instead.getvalue().count("\n") > 1


def test_auto_is_the_journal_only_where_systemd_connected_this_very_stream(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        status = os.fstat(stream.fileno())
        ours = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(stream, ours)
        log = open_log("auto", stream, ours)
        log.close()
        assert isinstance(log, JournaldLog)
        for environment in (
            {},
            {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"},
            {"JOURNAL_STREAM": "x"},
        ):
            assert not is_journal(stream, environment)
            assert isinstance(open_log("auto", stream, environment), PlainLog)
        assert isinstance(open_log("json", stream, ours), JsonLog)
        assert isinstance(open_log("plain", stream, ours), PlainLog)
    assert not is_journal(io.StringIO(), ours)


def test_json_lines_are_records(tmp_path: Path) -> None:
    stream = io.StringIO()
    log = JsonLog(stream)
    log.write(TOLD)
    log.write(TOLD._replace(text="two\nlines\x1b[2J", number=4))
    lines = stream.getvalue().splitlines()
    assert [record_from(json.loads(line)).number for line in lines] == [3, 4]


def test_a_plain_line_is_one_line_and_a_defect_brings_its_trace() -> None:
    stream = io.StringIO()
    log = PlainLog(stream)
    log.write(TOLD._replace(text="two\n lines"))
    assert stream.getvalue().endswith(" warning n1 lease-lapsed: two lines\n")
    try:
        raise KeyError("blue")
    except KeyError as error:
        facts = defect(error)
    log.write(TOLD._replace(code="daemon-failed", facts=facts))
    assert "Traceback (most recent call last)" in stream.getvalue()
    assert fields_of(entry(TOLD._replace(facts=facts)))["MESSAGE_ID"] == message_id("lease-lapsed")


def test_a_plain_line_steers_no_terminal() -> None:
    """A text may quote what a switch or a caller said."""
    line = log_line(TOLD._replace(text="a call of \x1b]0;owned\x07\u202e1001\x9b2J is lost \ud800"))
    assert line.endswith(" warning n1 lease-lapsed: a call of  ]0;owned  1001 2J is lost  \n")
    assert line[:-1].isprintable()


def test_a_reader_that_stands_still_is_not_waited_for() -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as stream:
        log = PlainLog(stream)
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
        with pytest.raises(BlockingIOError):
            log.write(TOLD)  # and does not stand here for ever
        os.read(reading, 1 << 20)
        log.write(TOLD)
    os.close(reading)


def test_a_long_line_is_written_whole_or_begun_anew() -> None:
    reading, writing = os.pipe()
    long = TOLD._replace(facts={"text": "x" * 12_000})
    with open(writing, "w") as stream:
        log = JsonLog(stream)
        while True:
            try:
                log.write(long)
            except BlockingIOError:
                break
        seen = os.read(reading, 1 << 20)
        log.write(TOLD)
        seen += os.read(reading, 1 << 20)
    os.close(reading)
    *whole, torn, last = seen.decode().split("\n")[:-1]
    assert len(whole) > 1
    assert {json.loads(line)["number"] for line in whole} == {3}
    assert torn == whole[0][: len(torn)]
    assert record_from(json.loads(last)) == TOLD


def test_the_ids_of_messages_are_those_of_ever() -> None:
    """Whoever filters by them must not have to look again."""
    assert message_id("takeover") == "971b8913abbe5693acaa713d45f8ea51"
    assert message_id("gate-lost") == "113f011368845f049427a07c56c95dfe"
    assert len({message_id(code) for code in CATALOGUE}) == len(CATALOGUE)
