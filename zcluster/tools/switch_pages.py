"""What a user of `fs_cli` reads: pages of text in global variables of the local switch, written by us alone.

    zcluster, zcluster status        the page of `zcluster status`
    zcluster why [GROUP]        who holds what since when, and why
    zcluster story        the last things told, a line each
    zcluster help        these words

The alias `zcluster` stands for `global_getvar zcluster`: what is typed behind it is looked up as part of a variable's
name, and nothing else is done with it.

What must hold: pure; a page is printable lines, whatever the network put into a name or a text, with nothing in it
that FreeSWITCH would expand; it is bounded; it says how old it may be.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from zcluster.adapters.journal import Record
from zcluster.console import status as status_page
from zcluster.console import why as why_page
from zcluster.console.words import paragraph
from zcluster.tools.switch_words import one_line

VARIABLE = "zcluster"
ALIAS = f"global_getvar {VARIABLE}"
LARGEST_PAGE_BYTES = 16 << 10
LARGEST_GROUPS = 64
STORY_RECORDS = 20
LONGEST_NODE = 63
LONGEST_TEXT = 400
REFRESH_MS = 10_000
_STRAY_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
_DURATION = re.compile(r"\d[\d.]* (?:ms|s|min|h|d)\b")
_EXPANSION = re.compile(r"\$(?=[\\]*\{)")

HELP = """\
zcluster                  the cluster's state, as `zcluster status` says it
zcluster why              the latest changes of holders, and why
zcluster why GROUP        those of one group
zcluster story            the last things that happened, a line each
/event plain CUSTOM zcluster::takeover zcluster::silent
                          these events from now on, as they happen; any code of
                          `zcluster explain` behind zcluster::
/noevents                 no more of them
This is text that zcluster wrote into the switch: nothing is asked or changed
from here. For that, and for --json, the shell has the command `zcluster`."""


def status_text(document: Mapping[str, Any] | None, wall_ms: int, problem: str) -> str:
    """The page of the status that was known at `wall_ms`; `problem`: why nothing newer is known, or ""."""
    try:
        lines = status_page.render(document) if document else []
    except _STRAY_SHAPE:
        lines = ["The daemon of this host is of another version than its tools: ask `zcluster status`."]
    if problem:
        lines = [*paragraph(f"ZCLUSTER'S DAEMON ON THIS HOST DOES NOT ANSWER: {problem}"), "", *lines]
    seconds = REFRESH_MS // 1000
    age = f"As of {_instant(wall_ms)}. Written anew every {seconds} s: older, and zcluster's tools process has ended."
    return _page([*lines, "", *paragraph(age)])


def shape(page: str) -> str:
    """The page without its lengths and its hour: two that differ in this are worth a change at once."""
    return " ".join(_DURATION.sub("", page.rpartition("\n\nAs of ")[0]).split())


def why_text(records: Sequence[Record], group: str) -> str:
    """The page of `zcluster why`."""
    plain = [_plain(record) for record in records if not group or record.facts.get("group", group) == group]
    try:
        lines = why_page.render(plain, group)
    except _STRAY_SHAPE:
        lines = ["These records are of another version: ask `zcluster why`."]
    return _page(lines, keeps_end=True)


def story_text(records: Sequence[Record]) -> str:
    """The last records, a line each, oldest first."""
    lines = [
        line
        for record in records[-STORY_RECORDS:]
        for line in paragraph(
            f"{_instant(record.at_ms)}  {record.level}  {record.node}: {record.text[:400]} ({record.code})",
            "    ",
        )
    ]
    return _page(lines or ["Nothing was told yet."], keeps_end=True)


def help_text() -> str:
    """The page of words."""
    return _page(HELP.splitlines())


def _plain(record: Record) -> dict[str, object]:
    return record._replace(node=record.node[:LONGEST_NODE], text=record.text[:LONGEST_TEXT]).plain()


def _page(lines: Sequence[str], keeps_end: bool = False) -> str:
    """The lines that fit, from their beginning or, with `keeps_end`, to their end."""
    room = LARGEST_PAGE_BYTES
    kept: list[str] = []
    for line in reversed(lines) if keeps_end else lines:
        said = _said(line)
        room -= len(said.encode()) + 1
        if room < 0:
            kept.append("(More does not fit here.)")
            break
        kept.append(said)
    if keeps_end:
        kept.reverse()
    return "\n".join(kept).strip("\n ") + "\n"


def _said(line: str) -> str:
    """As text that is text to the switch as well."""
    return _EXPANSION.sub("$ ", one_line(line))


def _instant(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at_ms // 1000))
