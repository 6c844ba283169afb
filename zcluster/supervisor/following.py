"""Who follows the story over the control socket: tools that want each record as it comes.

    {"ask": "follow", "from": "start" | "now" | N, "incarnation": I (with N)}
      -> {"schema": "zcluster.follow/1", "ok": true, "node", "incarnation", "number", "lost"}, and then for ever
      -> {"number": n, "record": {at_ms, node, level, code, text, facts, incarnation, number}}
      -> {"lost": k} in the place of what a client that did not read has missed

The outer number is the place in this daemon's ring (`zcluster.supervisor.story`). "start" begins with the oldest
that is still there; N, of the same incarnation, with what came behind N; of another one it is as "start".

What must hold: a follower keeps no records waiting but a place in the ring, and at most LARGEST_UNSENT_BYTES and
one batch in its buffer, whatever it does; what is told is encoded once for all of them, and passed on only after
the turn in which it was told, a bounded number of lines at a time, so that no takeover waits for a follower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.adapters.journal import NUMBER_END, Record, encode_line
from zcluster.control.events import Event
from zcluster.supervisor.story import LARGEST_RECORDS, Story

SCHEMA = "zcluster.follow/1"
LARGEST_FOLLOWERS = 32
LARGEST_UNSENT_BYTES = 64 << 10
LARGEST_BATCH_BYTES = 64 << 10
LARGEST_RUN_LINES = 32
GATHER_MS = 5  # the records of one takeover go out together, behind it


class Following:
    """The followers of one daemon. It is a chore of the loop."""

    def __init__(
        self, socket: ControlSocket, story: Story, node: str, incarnation: int, clock: Callable[[], int]
    ) -> None:
        self._socket = socket
        self._story = story
        self._node = node
        self._incarnation = incarnation
        self._clock = clock
        self._places: dict[int, int] = {}  # of each client: up to where it was told
        self._stalled: set[int] = set()
        self._lines: dict[int, bytes] = {}
        self._seen = 0
        self._due_ms: int | None = None
        self.counts: Counter[str] = Counter(lost=0, refused=0)

    def __len__(self) -> int:
        return len(self._places)

    def follow(self, request: Request) -> Mapping[str, object]:
        """Take the client in; the first line for it, or why not."""
        place = self._wanted(request.body)
        if isinstance(place, str):
            return {"ok": False, "error": place}
        if request.client in self._places:
            return {"ok": False, "error": "this connection follows already; open another one"}
        self._forget_the_gone()
        if len(self._places) >= LARGEST_FOLLOWERS:
            self.counts["refused"] += 1
            return {"ok": False, "error": f"{LARGEST_FOLLOWERS} clients follow already; end one of them"}
        lost = max(self._story.oldest - 1 - place, 0) if place >= 0 else 0
        self._places[request.client] = max(place, self._story.oldest - 1)
        self._due_ms = self._clock()
        return {
            "schema": SCHEMA,
            "ok": True,
            "node": self._node,
            "incarnation": self._incarnation,
            "number": self._story.newest,
            "lost": lost,
        }

    def _wanted(self, body: Mapping[str, object]) -> int | str:
        """Behind which place to begin, -1 for whatever there is; or what is wrong with the question."""
        match body.get("from", "now"):
            case "start":
                return -1
            case "now":
                return self._story.newest
            case int(place) if type(place) is int and 0 <= place < NUMBER_END:
                incarnation = body.get("incarnation")
                if type(incarnation) is not int:
                    return 'a number in "from" stands with the "incarnation" whose number it is'
                if incarnation != self._incarnation:
                    return -1
                if place > self._story.newest:
                    return f"nothing has the number {place} yet; the newest is {self._story.newest}"
                return place
        return '"from" is "start", "now" or a number'

    def resume(self) -> None:
        """Clients may have read: whoever has room again is told what it missed."""
        if any((self._socket.unsent_bytes(name) or 0) < LARGEST_UNSENT_BYTES for name in self._stalled):
            self._due_ms = self._clock()

    def deadline(self) -> int | None:
        """When followers are to be told; None while there is nothing for them."""
        if self._due_ms is None and self._places and self._story.newest > self._seen:
            self._due_ms = self._clock() + GATHER_MS
        return self._due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """Tell them, a bounded number of lines; the rest is due at once, in the next turn."""
        self._due_ms = None
        self._seen = self._story.newest
        self._stalled.clear()
        self._forget_the_gone()
        left = LARGEST_RUN_LINES
        for client, place in list(self._places.items()):
            if place == self._story.newest:
                continue
            if (self._socket.unsent_bytes(client) or 0) >= LARGEST_UNSENT_BYTES:
                self._stalled.add(client)
                continue
            if left <= 0:
                self._due_ms = now_ms
                break
            left -= self._tell(client, place, left)
            if self._places[client] < self._story.newest:
                self._due_ms = now_ms
        return ()

    def _tell(self, client: int, place: int, most: int) -> int:
        """One batch for one client, which then stands behind the others; how many lines it was."""
        pieces: list[bytes] = []
        size_bytes = 0
        lost = self._story.oldest - 1 - place
        if lost > 0:
            self.counts["lost"] += lost
            pieces.append(b'{"lost":%d}\n' % lost)
        for number, record in self._story.after(place, most):
            pieces.append(self._line(number, record))
            place = number
            size_bytes += len(pieces[-1])
            if size_bytes >= LARGEST_BATCH_BYTES:
                break
        del self._places[client]
        self._places[client] = place
        self._socket.pass_on(client, b"".join(pieces))
        return len(pieces)

    def _line(self, number: int, record: Record) -> bytes:
        """The same bytes for every follower."""
        line = self._lines.get(number)
        if line is None:
            line = b'{"number":%d,"record":%s}\n' % (number, encode_line(record)[:-1])
            self._lines[number] = line
            if len(self._lines) > LARGEST_RECORDS:
                self._lines = {key: kept for key, kept in self._lines.items() if key >= self._story.oldest}
        return line

    def _forget_the_gone(self) -> None:
        for client in [name for name in self._places if self._socket.unsent_bytes(name) is None]:
            del self._places[client]
            self._stalled.discard(client)
