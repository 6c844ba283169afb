"""The node's part of a report: its file and what check and doctor say, status, why, journal, counts, recording.

What must hold: what stands in files is taken whether the daemon lives or not; lists of calls and phones are
counted, and only written out where `has_calls` asks for it; a recording that holds a secret is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import ask
from zcluster.adapters.journal import Journal, Record, encode_line
from zcluster.config.host import host_facts
from zcluster.config.load import Reading
from zcluster.console import check, doctor, lists, status, why
from zcluster.console.doctor_checks.finding import Finding
from zcluster.console.report_parts.evidence import Piece, lines, missing, piece
from zcluster.console.report_parts.redaction import Redaction
from zcluster.errors import ControlSocketError, ZclusterError
from zcluster.recording.segments import read_frames, segments_of

LARGEST_RECORDS = 50_000
LARGEST_ROWS = 50_000
COUNTED = ("registrations", "calls", "lost", "limits")
DEFAULT_STATE_DIR = Path("/var/lib/zcluster")

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the report is about. `since_ms` is wall clock; `recording_bytes` at most of a recording, 0 for none.

    `places`: where other nodes are asked, in place of those that can be found.
    """

    config: Path
    socket: Path
    data_socket: Path
    node_name: str | None
    since_ms: int
    has_calls: bool
    recording_bytes: int
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Daemon:
    """What the local daemon answered: `problem` is "" when it did, else status and records are empty."""

    problem: str
    status: Answer
    records: Sequence[Answer]


def ask_daemon(socket: Path) -> Daemon:
    """Status and story, or why neither can be had."""
    try:
        told, story = ask(socket, {"ask": "status"}), ask(socket, {"ask": "why", "group": ""})
    except ControlSocketError as problem:
        return Daemon(str(problem), {}, ())
    if told.get("schema") != status.SCHEMA or story.get("schema") != why.SCHEMA:
        return Daemon(f"{socket}: not a daemon of this version", {}, ())
    records: Any = story["records"]
    return Daemon("", told, records)


def records_of(reading: Reading, since_ms: int) -> list[Record]:
    """Everything told since then that this host's journal has, of this node and its peers; oldest first."""
    configuration = reading.configuration
    state_dir = configuration.state_dir if configuration is not None else DEFAULT_STATE_DIR
    return [record for record in Journal(state_dir).recent(LARGEST_RECORDS) if record.at_ms >= since_ms]


def pieces(asked: Asked, reading: Reading, daemon: Daemon, redaction: Redaction) -> Iterator[Piece]:
    """All of it."""
    yield from _file(asked, reading, redaction)
    yield from _told(daemon)
    yield piece(
        "node/journal.jsonl",
        "what this host's journal has, a record a line",
        lambda: _journal(asked, reading),
    )
    yield from _lists(asked)
    yield from _recording(asked, reading, redaction)


def _file(asked: Asked, reading: Reading, redaction: Redaction) -> Iterator[Piece]:
    facts = host_facts(reading.configuration) if reading.configuration else None
    about = "the cluster's file; it names where secrets are and holds none"
    if reading.content:
        yield piece("node/zcluster.toml", about, lambda: redaction.clean_file(reading.content))
    else:
        yield missing("node/zcluster.toml", about, reading.faults[0].line_of(str(asked.config)))
    yield piece(
        "node/check.txt", "what `zcluster check` says", lambda: check.as_words(asked.config, reading, facts)
    )
    found: list[Finding] = []

    def examined() -> str:
        found.extend(doctor.examine(asked.config, asked.socket, asked.node_name))
        return doctor.as_words(found)

    yield piece("node/doctor.txt", "what `zcluster doctor` says of this host and its switch", examined)
    if found:
        yield piece("node/doctor.json", "the same for programs", lambda: doctor.as_data(found))


def _told(daemon: Daemon) -> Iterator[Piece]:
    for name, about in (("status", "what `zcluster status` says"), ("why", "what `zcluster why` says")):
        if daemon.problem:
            yield missing(f"node/{name}.txt", about, daemon.problem)
    if daemon.problem:
        return
    yield piece("node/status.txt", "what `zcluster status` says", lambda: lines(status.render(daemon.status)))
    yield piece("node/status.json", "the same for programs", lambda: json.dumps(daemon.status, indent=1))
    yield piece("node/why.txt", "what `zcluster why` says", lambda: lines(why.render(daemon.records, "")))
    yield piece(
        "node/why.json",
        "the same for programs, with every fact",
        lambda: json.dumps(daemon.records, indent=1),
    )


def _journal(asked: Asked, reading: Reading) -> bytes:
    records = records_of(reading, asked.since_ms)
    if not records:
        raise ZclusterError("the journal has nothing since then")
    return b"".join(map(encode_line, records))


def _lists(asked: Asked) -> Iterator[Piece]:
    about = "how many registrations, calls, lost calls and limits the data process knows, by group and node"
    yield piece("node/counts.json", about, lambda: _counts(asked.data_socket))
    yield piece(
        "node/streams.json",
        "how far each stream of the other nodes has come",
        lambda: _streams(asked.data_socket),
    )
    for name in COUNTED if asked.has_calls else ():
        yield piece(
            f"node/{name}.json",
            "the list itself, with numbers of callers",
            partial(_rows, asked.data_socket, name),
        )


def _counts(socket: Path) -> str:
    return json.dumps({name: lists.count(socket, name, lists.Selection()) for name in COUNTED}, indent=1)


def _streams(socket: Path) -> str:
    return json.dumps(ask(socket, {"ask": "streams"}), indent=1)


def _rows(socket: Path, name: str) -> str:
    return lists.as_json(name, lists.fetch(socket, name, lists.Selection(limit=LARGEST_ROWS)))


def _recording(asked: Asked, reading: Reading, redaction: Redaction) -> Iterator[Piece]:
    configuration = reading.configuration
    about = "a part of the recording: `zcluster replay DIRECTORY --story` reads it"
    if configuration is None or not configuration.is_recording:
        return
    newest = segments_of(configuration.state_dir / "recording")[::-1]
    left_bytes = asked.recording_bytes
    for path in newest if left_bytes else ():
        made = piece(f"node/recording/{path.name}", about, path.read_bytes)
        left_bytes -= len(made.content or b"")
        if left_bytes < 0 and path is not newest[0]:
            return
        yield _looked_through(made, path, redaction)
    if not newest:
        yield missing(
            "node/recording", about, f"there is none yet in {configuration.state_dir / 'recording'}"
        )


def _looked_through(made: Piece, path: Path, redaction: Redaction) -> Piece:
    """The frames are packed, so a secret in them is seen by nobody who looks at the file alone."""
    try:
        if made.content and any(redaction.holds_secret(frame.payload) for frame in read_frames(path)):
            return missing(made.path, made.about, "a secret stands in it, so it was left out")
    except ZclusterError as problem:
        return missing(made.path, made.about, str(problem))
    return Piece(made.path, made.about, made.content, made.reason, is_text=False)
