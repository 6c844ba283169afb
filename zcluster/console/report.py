"""`zcluster report`: the evidence of one night in one archive, for whoever helps and was not there.

What must hold: it works with a dead daemon, a broken file, or as a user who may read little, and says what it
could not get; no key, no password and (unless it is asked for) no caller's number is in it.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from zcluster.config.load import Reading, read
from zcluster.console.report_parts import archive, elsewhere, host, node
from zcluster.console.report_parts.elsewhere import Elsewhere
from zcluster.console.report_parts.evidence import Piece
from zcluster.console.report_parts.node import Asked, Daemon
from zcluster.console.report_parts.redaction import CALLER, SECRET, Redaction, ordinary_secrets, secrets_of
from zcluster.console.verdict import judge
from zcluster.console.words import counted, paragraph, printable
from zcluster.errors import StateFileError, ZclusterError

SCHEMA = "zcluster.report/1"


def run(asked: Asked, out: Path | None, as_json: bool) -> int:
    """Gather, write, say where it is; 0. Raises StateFileError where it cannot be written."""
    now_s = int(time.time())
    name = f"zcluster-report-{_host_name()}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_s))}"
    path = out if out is not None else Path(f"{name}.tar.gz")
    if path.exists():
        raise StateFileError(f"{path}: there is a file already; give another name with --out")
    reading = read(asked.config)
    secrets = secrets_of(reading.content)
    redaction = Redaction(secrets, keeps_calls=asked.has_calls)
    guessable = [
        f"The secret in {place} is an ordinary word: {why.value}. Where the word stands for something else it was "
        "taken out too, and recordings that hold it are missing: choose a longer one."
        for place, why in ordinary_secrets(secrets, reading.content).items()
    ]
    daemon = node.ask_daemon(asked.socket)
    found, nodes = gather(asked, reading, daemon, redaction)
    lines = readme_lines(asked, daemon, found, nodes, redaction, now_s)
    readme = "\n".join([*lines, *(line for each in guessable for line in paragraph(each))]) + "\n"
    size = archive.write(path, name, redaction.clean(readme.encode()).decode(), found, now_s)
    if as_json:
        click.echo(json.dumps(as_data(path, size, daemon, found, nodes)))
    else:
        click.echo("\n".join(as_words(path, size, daemon, found, nodes)))
        for line in (line for each in guessable for line in paragraph(each)):
            click.echo(printable(line))
    return 0


def gather(
    asked: Asked, reading: Reading, daemon: Daemon, redaction: Redaction
) -> tuple[list[Piece], list[Elsewhere]]:
    """Every piece, cleaned, and the other nodes with why they did not answer."""
    try:
        records = node.records_of(reading, asked.since_ms)
    except ZclusterError:
        records = []  # the journal's own piece says why
    known = elsewhere.others(daemon.status, records)
    nodes, answers = elsewhere.ask_others(known, reading.configuration, asked.places)
    made = [
        *node.pieces(asked, reading, daemon, redaction),
        *host.pieces(asked.since_ms // 1000),
        *elsewhere.pieces([each.node for each in nodes], daemon.status, records, answers),
    ]
    return [_cleaned(each, redaction) for each in made], nodes


def _cleaned(made: Piece, redaction: Redaction) -> Piece:
    reason = redaction.clean(made.reason.encode()).decode()
    if made.content is None or not made.is_text:
        return replace(made, reason=reason)
    return replace(made, content=redaction.clean(made.content))


def readme_lines(
    asked: Asked,
    daemon: Daemon,
    found: Sequence[Piece],
    nodes: Sequence[Elsewhere],
    redaction: Redaction,
    now_s: int,
) -> list[str]:
    """What whoever unpacks the archive reads first."""
    title = (
        f"zcluster report of {_host_name()}, {time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime(now_s))}"
    )
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(asked.since_ms // 1000))
    lines = [title, "=" * len(title), ""]
    lines += paragraph(_state(daemon))
    lines += ["", *paragraph(f"Journal and log begin at {since}; `zcluster report --since T` asks for more.")]
    lines += ["", "Begin with node/status.txt, then node/why.txt, then node/doctor.txt.", ""]
    lines += ["What is in it", "-------------", *archive.table_of_contents(found)]
    if gaps := archive.gaps(found):
        lines += ["", "What could not be had, and why", "------------------------------", *gaps]
    lines += ["", "The other nodes", "---------------", *_nodes(nodes)]
    lines += ["", "What was left out on purpose", "----------------------------"]
    lines += paragraph(_left_out(asked, redaction))
    return [printable(line) for line in lines]


def _state(daemon: Daemon) -> str:
    if daemon.problem:
        return (
            f"The daemon of this host did not answer ({daemon.problem}): what stands in its files was taken."
        )
    return f"{judge(daemon.status).sentence} (as {daemon.status['node']} sees it)"


def _nodes(nodes: Sequence[Elsewhere]) -> list[str]:
    if not nodes:
        return ["  This host knows of none."]
    return [
        f"  {each.node}: {f'did not answer: {each.reason}' if each.reason else 'answered'}" for each in nodes
    ]


def _left_out(asked: Asked, redaction: Redaction) -> str:
    secret, callers = redaction.counts[SECRET], redaction.counts[CALLER]
    words = "The cluster's key and the event socket's password"
    if secret:
        words += f"; {counted(secret, 'place')} where one stood all the same now say [secret removed]"
    if asked.has_calls:
        return f"{words}. Numbers of callers ARE in it, as --with-calls asked."
    cleaned = f" ({counted(callers, 'place')} in journal and log were cleaned)" if callers else ""
    return f"{words}. Numbers of callers{cleaned}: calls and phones are counted; --with-calls lists them."


def as_words(
    path: Path, size: int, daemon: Daemon, found: Sequence[Piece], nodes: Sequence[Elsewhere]
) -> list[str]:
    """For the terminal."""
    there = sum(1 for each in found if each.content is not None)
    lines = paragraph(f"{path}: {counted(there, 'file')}, {max(size // 1024, 1)} KiB, readable by you alone.")
    if daemon.problem:
        lines += paragraph(_state(daemon))
    if gaps := archive.gaps(found):
        lines += ["Not in it:", *(line for gap in gaps for line in paragraph(gap, "    "))]
    silent = [each.node for each in nodes if each.reason]
    if silent:
        lines += paragraph(f"Of {', '.join(silent)} only what this host heard: make a report there too.")
    return [printable(line) for line in lines]


def as_data(
    path: Path, size: int, daemon: Daemon, found: Sequence[Piece], nodes: Sequence[Elsewhere]
) -> dict[str, object]:
    """For programs."""
    return {
        "schema": SCHEMA,
        "ok": True,
        "file": str(path),
        "bytes": size,
        "daemon": daemon.problem or "answered",
        "parts": [each.path for each in found if each.content is not None],
        "missing": [{"part": each.path, "why": each.reason} for each in found if each.content is None],
        "nodes": [{"name": each.node, "why_not": each.reason} for each in nodes],
    }


def _host_name() -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in socket.gethostname())[
        :63
    ]
