"""The log of a process: one event, one line or one entry of the journal, with its code.

    plain     2026-11-26T19:20:27.123 warning pbx1 link-silent: hb1: nobody is heard here any more; ...
    json      {"at_ms", "node", "level", "code", "text", "facts", "incarnation", "number"}, as in our own journal
    journal   systemd's native protocol: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, MESSAGE_ID (one for each code), and
              ZCLUSTER_CODE, _LEVEL, _NODE, _GROUP, _EPOCH, _INCARNATION, _NUMBER, _FACTS (JSON)

What must hold: a reader that stands still makes the writer wait for PATIENCE_MS, once: lines are given up until it
reads again, and counted, for what is told is also in our own journal. What journald does not take goes out as a plain
line.

Sources: systemd, docs/JOURNAL_NATIVE_PROTOCOL.md; systemd.exec(5), $JOURNAL_STREAM; sd-daemon(3) for priorities.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TextIO

from zcluster.adapters.journal import Record, encode_line
from zcluster.codes.entry import message_id

JOURNALD = Path("/run/systemd/journal/socket")
IDENTIFIER = "zcluster"
PRIORITIES = {"alarm": 1, "warning": 4, "notice": 5, "info": 6}  # of syslog(3)
PATIENCE_MS = 20
# A pipe that is ready takes PIPE_BUF bytes (4096) at once, and a character has at most four.
PIECE_CHARACTERS = 1024
# A datagram of the kernel's usual largest size; ours are far below, as records are.
LARGEST_FIELD_BYTES = 16 << 10


class Log(Protocol):
    """Where the lines of one process go."""

    def write(self, record: Record) -> None:
        """Write one event. Raises OSError or ValueError where it could not be written."""

    def close(self) -> None:
        """Give back what it opened; the stream stays."""


def open_log(log_format: str, stream: TextIO, environment: Mapping[str, str], path: Path = JOURNALD) -> Log:
    """The log that the file's `[log] format` names: "plain", "json", "journal", or "auto" for what fits `stream`."""
    wanted = log_format
    if wanted == "auto":
        wanted = "journal" if is_journal(stream, environment) else "plain"
    match wanted:
        case "json":
            return JsonLog(stream)
        case "journal":
            return JournaldLog(path, PlainLog(stream))
    return PlainLog(stream)


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether systemd connected this very stream to its journal."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def log_line(record: Record) -> str:
    """One line for people: time, level, node, code, text. Nothing in it steers the terminal that may show it."""
    seconds, milliseconds = divmod(record.at_ms, 1000)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
    text = "".join(sign if sign.isprintable() else " " for sign in " ".join(record.text.split()))
    return f"{at}.{milliseconds:03d} {record.level:<7} {record.node} {record.code}: {text}\n"


class PlainLog:
    """Lines for people. What a defect left behind follows its line."""

    def __init__(self, stream: TextIO) -> None:
        self._outflow = _Outflow(stream)

    def write(self, record: Record) -> None:
        """Write one line."""
        trace = record.facts.get("trace")
        self._outflow.put(log_line(record) + (str(trace) if trace else ""))

    def close(self) -> None:
        """Nothing was opened."""


class JsonLog:
    """JSON lines."""

    def __init__(self, stream: TextIO) -> None:
        self._outflow = _Outflow(stream)

    def write(self, record: Record) -> None:
        """Write one line."""
        self._outflow.put(encode_line(record).decode("ascii"))

    def close(self) -> None:
        """Nothing was opened."""


class JournaldLog:
    """Entries of systemd's journal; plain lines while it does not take them."""

    def __init__(self, path: Path, instead: PlainLog) -> None:
        self._path = str(path)
        self._instead = instead
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def write(self, record: Record) -> None:
        """Send one entry."""
        try:
            self._socket.sendto(entry(record), self._path)
        except OSError:
            self._instead.write(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def entry(record: Record) -> bytes:
    """The record in journald's native protocol."""
    facts = record.facts
    fields: dict[str, object] = {
        "MESSAGE": f"{record.code}: {' '.join(record.text.split())}",
        "PRIORITY": PRIORITIES[record.level],
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "MESSAGE_ID": message_id(record.code),
        "ZCLUSTER_CODE": record.code,
        "ZCLUSTER_LEVEL": record.level,
        "ZCLUSTER_NODE": record.node,
        "ZCLUSTER_GROUP": facts.get("group"),
        "ZCLUSTER_EPOCH": facts.get("epoch"),
        "ZCLUSTER_INCARNATION": record.incarnation or None,
        "ZCLUSTER_NUMBER": record.number or None,
        "ZCLUSTER_FACTS": json.dumps(dict(facts), separators=(",", ":"), default=str) if facts else None,
    }
    return b"".join(_field(name, str(value)) for name, value in fields.items() if value is not None)


def _field(name: str, value: str) -> bytes:
    """ "NAME=value", or where the value has lines of its own: the name, its length in 64 bits, the value."""
    raw = value.encode("utf-8", "replace")[:LARGEST_FIELD_BYTES]
    if b"\n" not in raw:
        return name.encode("ascii") + b"=" + raw + b"\n"
    return name.encode("ascii") + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"


class _Outflow:
    """A stream that somebody may not read. Once it was waited for in vain it is not waited for until it flows again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._patience_ms = PATIENCE_MS
        self._is_torn = False
        self._waiting: select.poll | None = None
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            return  # no file of the kernel's
        self._waiting = select.poll()
        self._waiting.register(descriptor, select.POLLOUT)

    def put(self, text: str) -> None:
        """Write and flush. Raises BlockingIOError where nobody takes it, or not the whole of it."""
        whole = f"\n{text}" if self._is_torn else text
        for begin in range(0, len(whole), PIECE_CHARACTERS):
            if self._waiting is not None and not self._waiting.poll(self._patience_ms):
                self._patience_ms = 0
                self._is_torn = self._is_torn or begin > 0
                raise BlockingIOError("nobody reads the log")
            self._stream.write(whole[begin : begin + PIECE_CHARACTERS])
            self._stream.flush()
        self._patience_ms = PATIENCE_MS
        self._is_torn = False


def defect(error: BaseException) -> dict[str, object]:
    """Facts for a record of a defect: where it came from."""
    return {"trace": "".join(traceback.format_exception(error))}
