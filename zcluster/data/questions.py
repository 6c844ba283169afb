"""What may be asked over the data process's own socket (`data.sock` beside `control.sock`), and the answers.

    {"ask": "ping"}             -> {"ok": true, "node", "version"}
    {"ask": "registrations"}    -> {"schema": "zcluster.registrations/1", "ok", "node", "rows": [...], "next"}
    {"ask": "calls"}            -> {"schema": "zcluster.calls/1", the same}
    {"ask": "lost"}             -> {"schema": "zcluster.lost/1", the same}
    {"ask": "limits"}           -> {"schema": "zcluster.limits/1", the same}
    {"ask": "streams"}          -> {"schema": "zcluster.streams/1", "ok", "node", ...}
    {"ask": "clear"}            -> {"ok": true, "text"}: an operator says that the switch is well again

"streams" has "own" (by stream: "records", of which "claims" say whose groups are whose; "sequence": changes so far;
"is_whole"), "copies" (a list: "node", "incarnation", "stream", "records", "claims", "sequence": changes applied,
"behind": changes not applied yet, "percent", "is_orphan", "is_current": false of an orphan whose groups others have
adopted), "paths" (over which link each node is read), "links", "figures".

Lists take "group", "node", "profile" and "match" (texts), "limit" (1 to 2000) and "from" (the "next" of the last
answer, "" when there is no more); with "count": true they answer "total" and "by" instead of rows.

What must hold: a question is untrusted and gets one answer; what may be long is made in pieces (`Listing`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.data.listing import FILTERS, LARGEST_ROWS, Listing, Wanted
from zcluster.streams.units import CALLS, REGISTRATIONS
from zcluster.telephony.limits import LimitRow
from zcluster.telephony.lost_calls import LostCall

FILE_NAME = "data.sock"
SCHEMAS = {name: f"zcluster.{name}/1" for name in ("registrations", "calls", "lost", "limits", "streams")}
LARGEST_FILTER = 256
_PLACE = re.compile(r"(\d{1,9}):(\d{1,9})")
_KNOWN = "ask for ping, registrations, calls, lost, limits, streams or clear"


@dataclass(frozen=True, slots=True)
class Answers:
    """Where short answers come from."""

    lost: Callable[[], Sequence[LostCall]]
    limits: Callable[[], Sequence[LimitRow]]
    streams: Callable[[], Mapping[str, object]]
    clear: Callable[[], None]


class Questions:
    """A source of the loop."""

    def __init__(
        self, socket: ControlSocket, listing: Listing, answers: Answers, node: str, version: str
    ) -> None:
        self._socket = socket
        self._listing = listing
        self._answers = answers
        self._node = node
        self._version = version

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self._socket.fileno(),)

    def deadline(self) -> int | None:
        """Only who asks makes something happen."""
        return None

    def turn(self, _now_ms: int) -> None:
        """Answer what waits."""
        for request in self._socket.receive():
            answer = self._answer(request)
            if answer is not None:
                self._socket.answer(request.client, answer)

    def close(self) -> None:
        """Close the socket and remove its file."""
        self._socket.close()

    def _answer(self, request: Request) -> Mapping[str, object] | None:
        body = request.body
        match body.get("ask"):
            case "ping":
                return {"ok": True, "node": self._node, "version": self._version}
            case "registrations":
                return self._list(request, REGISTRATIONS)
            case "calls":
                return self._list(request, CALLS)
            case "lost":
                rows = [asdict(call) for call in self._answers.lost()]
                return self._page("lost", [{**row, "profile": ""} for row in rows], request)
            case "limits":
                return self._page("limits", [_limit(row) for row in self._answers.limits()], request)
            case "streams":
                about = {"schema": SCHEMAS["streams"], "ok": True, "node": self._node}
                return {**about, **self._answers.streams()}
            case "clear":
                self._answers.clear()
                return {"ok": True, "text": "what an operator may clear is cleared"}
        return _refusal(_KNOWN)

    def _list(self, request: Request, stream: str) -> Mapping[str, object] | None:
        wanted = _wanted(request, stream)
        if isinstance(wanted, str):
            return _refusal(wanted)
        if not self._listing.ask(wanted):
            return _refusal("too many lists are being made; ask again")
        return None

    def _page(
        self, name: str, rows: Sequence[Mapping[str, object]], request: Request
    ) -> Mapping[str, object]:
        """A list that is short enough to be looked at in one piece."""
        wanted = _wanted(request, name)
        if isinstance(wanted, str):
            return _refusal(wanted)
        fitting = [row for row in rows if _fits(row, wanted)]
        about = {"schema": SCHEMAS[name], "ok": True, "node": self._node}
        if wanted.is_count:
            return {**about, "total": len(fitting), "by": {}}
        begin = wanted.begin[1]
        end = begin + wanted.limit
        return {**about, "rows": fitting[begin:end], "next": f"0:{end}" if end < len(fitting) else ""}


def _wanted(request: Request, stream: str) -> Wanted | str:
    """What a list's question asks for, or why it cannot be answered."""
    body = request.body
    texts = {name: body.get(name, "") for name in (*FILTERS, "match", "from")}
    limit, is_count = body.get("limit", LARGEST_ROWS), body.get("count", False)
    filters: dict[str, str] = {}
    for name, text in texts.items():
        if not isinstance(text, str) or len(text) > LARGEST_FILTER:
            return f"{name} is a text of at most {LARGEST_FILTER} characters"
        filters[name] = text
    if type(limit) is not int or not 1 <= limit <= LARGEST_ROWS:
        return f"limit is a number of 1 to {LARGEST_ROWS}"
    match, place = filters.pop("match").lower(), filters.pop("from")
    found = _PLACE.fullmatch(place or "0:0")
    if found is None:
        return 'from is the "next" of the answer before'
    begin = (int(found[1]), int(found[2]))
    return Wanted(request.client, stream, SCHEMAS[stream], filters, match, limit, begin, is_count is True)


def _fits(row: Mapping[str, object], wanted: Wanted) -> bool:
    for name, value in wanted.filters.items():
        if value and name in row and row[name] != value:
            return False
    texts = [text.lower() for text in row.values() if isinstance(text, str)]
    return not wanted.match or any(wanted.match in text for text in texts)


def _limit(row: LimitRow) -> Mapping[str, object]:
    nodes = {node: {"sessions": count.usage, "recovered": count.recovered} for node, count in row.counts}
    return {"name": row.name, "total": row.total, "kept": row.kept, "nodes": nodes}


def _refusal(text: str) -> Mapping[str, object]:
    return {"ok": False, "error": text}
