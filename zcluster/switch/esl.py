"""The event socket's protocol as read by a client: bytes in, typed frames out, no socket.

What must hold: the frames do not depend on how the bytes were split; at most one header block and one body are
kept; no input makes anything but frames. A header block ends at an empty line, then a body of Content-Length bytes,
and nothing separates a body from the next block. Source: mod_event_socket.c, measured in tests/switch/captures.
"""

from __future__ import annotations

from zcluster.errors import BadMessage
from zcluster.switch import bounds, event_text
from zcluster.switch.block import END, body_length, parse_headers, readable
from zcluster.switch.frames import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    Event,
    Frame,
    LogData,
    Malformed,
    Rejection,
    Unknown,
)

_NEWLINE = 0x0A
_EVENT_TYPES = ("text/event-plain", "text/event-json")


class EslReader:
    """Reads one connection. `body_bytes`: the longest body that is believed."""

    __slots__ = ("_body_bytes", "_buffer", "_failure", "_headers", "_length", "_scanned", "_start")

    def __init__(self, body_bytes: int = bounds.BODY_BYTES) -> None:
        self._body_bytes = body_bytes
        self._buffer = bytearray()
        self._start = 0
        self._scanned = 0
        self._headers: dict[str, str] | None = None
        self._length = 0
        self._failure: Malformed | None = None

    @property
    def kept_bytes(self) -> int:
        """How much of an unfinished frame is kept."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that `data` completes; a fatal Malformed is the last one.

        Raises BadMessage, with that one's kind, when fed again after it.
        """
        if self._failure is not None:
            raise BadMessage(self._failure.detail, self._failure.kind)
        self._buffer += data
        frames: list[Frame] = []
        try:
            while (frame := self._next()) is not None:
                frames.append(frame)
        except BadMessage as problem:
            self._failure = Malformed(problem.kind, str(problem), is_fatal=True)
            self._start = len(self._buffer)
            frames.append(self._failure)
        del self._buffer[: self._start]
        self._scanned = max(0, self._scanned - self._start)
        self._start = 0
        return frames

    def _next(self) -> Frame | None:
        if self._headers is None and not self._read_block():
            return None
        end = self._start + self._length
        if self._headers is None or len(self._buffer) < end:
            return None
        headers, body = self._headers, bytes(self._buffer[self._start : end])
        self._headers = None
        self._start = self._scanned = end
        return _frame(headers, body)

    def _read_block(self) -> bool:
        buffer = self._buffer
        # Some replies end in one newline more than they should.
        while self._start < len(buffer) and buffer[self._start] == _NEWLINE:
            self._start += 1
        end = buffer.find(END, max(self._start, self._scanned - 1))
        self._scanned = len(buffer)
        block_bytes = (len(buffer) if end < 0 else end) - self._start
        if block_bytes > bounds.HEADER_BLOCK_BYTES:
            raise BadMessage(f"a header block is longer than {bounds.HEADER_BLOCK_BYTES} bytes", "block")
        if end < 0:
            return False
        block = readable(bytes(buffer[self._start : end]))
        headers = parse_headers(block, bounds.HEADERS_IN_BLOCK)
        if "content-type" not in headers:
            raise BadMessage(f"{block[:80]!r} is a header block without Content-Type", "type")
        most = bounds.EVENT_BYTES if headers["content-type"] in _EVENT_TYPES else self._body_bytes
        self._length = body_length(headers, min(most, self._body_bytes))
        self._headers = headers
        self._start = self._scanned = end + len(END)
        return True


def _frame(headers: dict[str, str], body: bytes) -> Frame:
    match headers["content-type"]:
        case "text/event-json" | "text/event-plain" as form:
            return _event(form, body)
        case "command/reply":
            return CommandReply(headers.get("reply-text", "").rstrip("\n"), headers)
        case "api/response":
            return ApiResponse(readable(body))
        case "auth/request":
            return AuthRequest()
        case "log/data":
            level = headers.get("log-level", "")
            return LogData(int(level) if level in set("0123456789") else -1, readable(body))
        case "text/disconnect-notice":
            return DisconnectNotice(readable(body), headers.get("content-disposition") == "linger")
        case "text/rude-rejection":
            return Rejection(readable(body))
        case other:
            return Unknown(other, len(body))


def _event(form: str, body: bytes) -> Event | Malformed:
    # The frame's own length held, so the stream goes on: only this event is lost.
    try:
        return event_text.read_json(body) if form == "text/event-json" else event_text.read_plain(body)
    except BadMessage as problem:
        return Malformed(problem.kind, str(problem), is_fatal=False)
