"""Header blocks: the one shape that both directions of an event socket share.

What must hold: only BadMessage leaves here, and no number is believed before it is known to be small.
"""

from __future__ import annotations

from zcluster.errors import BadMessage
from zcluster.switch import bounds

END = b"\n\n"
CONTENT_LENGTH = "content-length"


def readable(data: bytes) -> str:
    """`data` as text that can always be encoded again; bytes that are no UTF-8 read as \\xNN."""
    return data.decode("utf-8", "backslashreplace")


def parse_headers(block: str, most: int) -> dict[str, str]:
    """The headers of one block, names in lower case, of each name the first. Empty lines are skipped.

    Raises BadMessage: "header" for a line without a colon, "headers" for more than `most`, "length" for two
    different Content-Lengths, which two readers would frame differently.
    """
    lines = block.split("\n")
    if len(lines) > most:
        raise BadMessage(f"a header block has {len(lines)} lines, more than {most}", "headers")
    headers: dict[str, str] = {}
    for line in lines:
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise BadMessage(f"{line[:80]!r} in a header block is no header", "header")
        name, value = name.lower(), value.removesuffix("\r").lstrip(" ")
        if headers.setdefault(name, value) != value and name == CONTENT_LENGTH:
            raise BadMessage("a header block has two different Content-Lengths", "length")
    return headers


def body_length(headers: dict[str, str], most: int) -> int:
    """How many bytes of body follow the block, 0 without Content-Length. Raises BadMessage, "length"."""
    text = headers.get(CONTENT_LENGTH, "0").strip(" ")
    if not (text.isascii() and text.isdigit() and len(text) <= bounds.LENGTH_DIGITS):
        raise BadMessage(f"Content-Length {text[:40]!r} is no length", "length")
    length = int(text)
    if length > most:
        raise BadMessage(f"a body of {length} bytes is announced, more than {most}", "length")
    return length
