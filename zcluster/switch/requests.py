"""Commands as a server reads them: bytes in, requests out, no socket.

What must hold: the requests do not depend on how the bytes were split, and at most one block and one body are
kept. As mod_event_socket does, line ends may be \\r\\n and empty lines before a command are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zcluster.errors import BadMessage
from zcluster.switch import bounds
from zcluster.switch.block import body_length, parse_headers, readable

_LINE_ENDS = b"\r\n"
_BLOCK_END = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Request:
    """One command of a client: its first line, its headers (names in lower case) and its body.

    `spelling`: the names of the headers as the client wrote them, by what they are in lower case.
    """

    line: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    spelling: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def verb(self) -> str:
        """The first word, in lower case."""
        return self.line.partition(" ")[0].lower()

    @property
    def rest(self) -> str:
        """What follows the first word."""
        return self.line.partition(" ")[2]


class RequestReader:
    """Reads the commands of one connection, one at a time, so that answers keep their order."""

    __slots__ = ("_buffer", "_length", "_request", "_scanned")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._request: Request | None = None
        self._length = 0

    def feed(self, data: bytes) -> None:
        """Keeps `data`. Raises BadMessage, "waiting", when more waits than a client may send ahead."""
        self._buffer += data
        if len(self._buffer) > bounds.SERVER_WAITING_BYTES:
            raise BadMessage(f"more than {bounds.SERVER_WAITING_BYTES} bytes of commands wait", "waiting")

    def next(self) -> Request | None:
        """The next complete request, or None. Raises BadMessage, after which the connection is useless."""
        if self._request is None:
            self._request = self._read_block()
        if self._request is None or len(self._buffer) < self._length:
            return None
        request, body = self._request, readable(bytes(self._buffer[: self._length]))
        del self._buffer[: self._length]
        self._request = None
        return replace(request, body=body)

    def _read_block(self) -> Request | None:
        buffer = self._buffer
        if buffer and buffer[0] in _LINE_ENDS:
            del buffer[: len(buffer) - len(buffer.lstrip(_LINE_ENDS))]
            self._scanned = 0
        end, block_end = self._end_of_block()
        if (len(buffer) if end < 0 else end) > bounds.COMMAND_BYTES:
            raise BadMessage(f"a command is longer than {bounds.COMMAND_BYTES} bytes", "block")
        if end < 0:
            return None
        line, _, block = readable(bytes(buffer[:end])).replace("\r", "").partition("\n")
        headers = parse_headers(block, bounds.COMMAND_HEADERS)
        self._length = body_length(headers, bounds.COMMAND_BODY_BYTES)
        del buffer[:block_end]
        self._scanned = 0
        written = (header.partition(":")[0] for header in reversed(block.split("\n")))
        return Request(line, headers, spelling={name.lower(): name for name in written})

    def _end_of_block(self) -> tuple[int, int]:
        """Where the block ends and where its body begins; the first is -1 while it is not complete."""
        start = max(0, self._scanned - 2)
        self._scanned = len(self._buffer)
        found = _BLOCK_END.search(self._buffer, start)
        return found.span() if found else (-1, -1)
