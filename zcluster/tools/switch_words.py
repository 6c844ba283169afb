"""A record of the story as an event of the local FreeSWITCH: CUSTOM `zcluster::<code>`, and its headers.

    Zcluster-Node, Zcluster-At-Ms, Zcluster-Level, Zcluster-Text        where and when it happened, how grave it is
    Zcluster-Incarnation, Zcluster-Number        which life of that node told it, and as its how-manyth record
    Zcluster-Group, Zcluster-Epoch        of what concerns a group
    Zcluster-Fact-<Name>        every other fact: `took_ms` is Zcluster-Fact-Took-Ms
    Zcluster-Cut        the headers that are not whole, or left out, for their length

What must hold: pure; a record may come from any node's network, and whatever stands in it is one line of printable
text here, of a bounded length, under a name that we choose. Numbers are written as digits, truth as true and false,
lists and objects as JSON in ASCII; what is empty has no header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from zcluster.adapters.journal import Record
from zcluster.console.words import printable
from zcluster.errors import CommandRefused
from zcluster.switch.commands import MODULE, Command, sendevent
from zcluster.switch.frames import ARRAY

PREFIX = "zcluster::"
EVENT = "CUSTOM"
FACT = "Zcluster-Fact-"
CUT = "Zcluster-Cut"
LARGEST_FACTS = 48
LARGEST_VALUE_BYTES = 4 << 10
LARGEST_EVENT_BYTES = 24 << 10
# The pulses of the data process go round under this name.
RESERVED_CODES = frozenset({"probe"})
_OWN_FACTS = {"group": "Zcluster-Group", "epoch": "Zcluster-Epoch"}
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FACT_NAME = re.compile(r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*")
_LONGEST_FACT_NAME = 48
_MODULE = re.compile(re.escape(MODULE), re.IGNORECASE)


def event_of(record: Record) -> Command:
    """The command that fires it. Raises CommandRefused for a code that cannot be a subclass."""
    if not _CODE.fullmatch(record.code) or record.code in RESERVED_CODES:
        raise CommandRefused(f"{record.code[:80]!r} cannot be the code of an event in the switch")
    return sendevent(EVENT, PREFIX + record.code, headers_of(record))


def headers_of(record: Record) -> dict[str, str]:
    """Its headers, in the order above."""
    headers: dict[str, str] = {}
    cut: list[str] = []
    room = LARGEST_EVENT_BYTES
    for name, text in _parts(record):
        line = _line(text)
        value = _shortened(line, min(room, LARGEST_VALUE_BYTES))
        if value != line:
            cut.append(name)
        if value and name not in headers:
            headers[name] = value
            room -= len(value.encode())
    if cut:
        headers[CUT] = ",".join(cut)
    return headers


def _parts(record: Record) -> Iterator[tuple[str, str]]:
    yield "Zcluster-Node", record.node
    yield "Zcluster-At-Ms", str(record.at_ms)
    yield "Zcluster-Level", record.level
    yield "Zcluster-Incarnation", str(record.incarnation)
    yield "Zcluster-Number", str(record.number)
    yield "Zcluster-Text", record.text
    yield from _facts(record.facts)


def _facts(facts: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Group and epoch first. A fact with a name that no header can have is left out."""
    for fact, name in _OWN_FACTS.items():
        yield name, _text(facts.get(fact))
    others = [fact for fact in facts if fact not in _OWN_FACTS and _is_name(fact)]
    for fact in others[:LARGEST_FACTS]:
        words = re.split("[_.-]", fact)
        yield FACT + "-".join(word[:1].upper() + word[1:] for word in words), _text(facts[fact])


def _is_name(fact: str) -> bool:
    return len(fact) <= _LONGEST_FACT_NAME and _FACT_NAME.fullmatch(fact) is not None


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool() | int() | float():
            return json.dumps(value)
    try:
        return json.dumps(value, separators=(",", ":"), default=str)
    except (ValueError, TypeError, RecursionError):
        return ""


def _line(text: str) -> str:
    # FreeSWITCH makes a list of what begins so, and its client library of what has it anywhere.
    return one_line(text).strip().replace(ARRAY, "ARRAY: :")


def one_line(text: str) -> str:
    """One line without anything that could steer a terminal, or be an order to the event socket to leave."""
    return _MODULE.sub("the event socket", text if text.isprintable() else printable(text))


def _shortened(text: str, most_bytes: int) -> str:
    return text.encode()[: max(most_bytes, 0)].decode("utf-8", "ignore").rstrip()
