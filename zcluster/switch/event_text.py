"""The body of an event frame, plain or JSON, to an Event and back.

What must hold: both forms of one event give equal values; only BadMessage leaves the readers. Plain headers are
url-encoded, and an inner body is announced by a second Content-Length; an empty value reads "_undef_". JSON has raw
values, arrays as lists, the inner body as `_body`, and may name Content-Length twice. (switch_event.c: serialize,
serialize_json.)
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from zcluster.errors import BadMessage
from zcluster.switch import bounds
from zcluster.switch.block import readable
from zcluster.switch.frames import ARRAY, ARRAY_SEPARATOR, Event

BODY = "_body"
UNDEFINED = "_undef_"
CONTENT_LENGTH = "Content-Length"

# What switch_url_encode leaves as it is, beyond letters, digits and "_.-~" (its SWITCH_URL_UNSAFE has the others).
_UNESCAPED = "!$'()*,/"
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_plain(data: bytes) -> Event:
    """An event from text/event-plain. Raises BadMessage: "header", "headers", "length"."""
    block, _, body = data.partition(b"\n\n")
    lines = readable(block).split("\n")
    if len(lines) > bounds.EVENT_HEADERS:
        raise BadMessage(f"an event has {len(lines)} headers, more than {bounds.EVENT_HEADERS}", "headers")
    headers: dict[str, str] = {}
    announced = ""
    for line in lines:
        name, colon, value = line.partition(": ")
        if not colon or not name:
            if not line:
                continue
            raise BadMessage(f"{line[:80]!r} in a plain event is no header", "header")
        if name == CONTENT_LENGTH:
            # The last one is the switch's own; one before it was a header of whoever sent the event.
            announced = value
            continue
        if "%" in value:
            value = readable(unquote_to_bytes(value))
        headers.setdefault(name, "" if value == UNDEFINED else value)
    if body and announced != str(len(body)):
        raise BadMessage(f"an event announces {announced[:40]!r} bytes and has {len(body)}", "length")
    return Event(headers, readable(body))


def read_json(data: bytes) -> Event:
    """An event from text/event-json. Raises BadMessage: "json", "headers"."""
    try:
        # Tuples of pairs keep a key that comes twice, and tell an object from the list of an array.
        pairs = json.loads(data.decode("utf-8", "surrogateescape"), object_pairs_hook=tuple, strict=False)
    except (ValueError, RecursionError) as problem:
        raise BadMessage(f"an event is no JSON: {str(problem)[:120]}", "json") from problem
    if not isinstance(pairs, tuple):
        raise BadMessage("an event's JSON is no object", "json")
    if len(pairs) > bounds.EVENT_HEADERS:
        raise BadMessage(f"an event has {len(pairs)} headers, more than {bounds.EVENT_HEADERS}", "headers")
    headers: dict[str, str] = {}
    body = ""
    for name, value in pairs:
        text = _printable(value if isinstance(value, str) else _array(value))
        if name == BODY:
            body = text
        elif name != CONTENT_LENGTH:
            headers.setdefault(_printable(name), text)
    return Event(headers, body)


def write_plain(event: Event) -> bytes:
    """The event as text/event-plain."""
    lines = [f"{name}: {quote(value, safe=_UNESCAPED) or UNDEFINED}" for name, value in event.headers.items()]
    body = event.body.encode("utf-8")
    if body:
        lines.append(f"{CONTENT_LENGTH}: {len(body)}")
    return "\n".join(lines).encode("utf-8") + b"\n\n" + body


def write_json(event: Event) -> bytes:
    """The event as text/event-json; an array stays one text, which `read_json` reads the same."""
    fields = dict(event.headers)
    if event.body:
        fields[CONTENT_LENGTH] = str(len(event.body.encode("utf-8")))
        fields[BODY] = event.body
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _array(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(element, str) for element in value):
        raise BadMessage("a header of an event's JSON is neither text nor a list of texts", "json")
    return ARRAY + ARRAY_SEPARATOR.join(value)


def _printable(text: str) -> str:
    # A lone surrogate is a byte that was no UTF-8, or an escape such as \ud800: no text may hold one.
    return text if text.isascii() else _SURROGATE.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
