"""Long lists for operators, made in small pieces beside everything else.

What must hold: a list of a million records delays no pulse; answers and the lists under way are bounded, and a list
that is longer than one answer goes on where the last one ended. A list is no snapshot: what changes meanwhile may be
on it as it was or as it is. What is in a record is untrusted: a bad one is left out.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from zcluster.data.copies import ReplicatedCopies
from zcluster.streams.tables import Entry
from zcluster.streams.units import BUCKETS, group_of

LARGEST_LISTS = 8
LARGEST_ROWS = 2000
LARGEST_ROW_BYTES = 2 << 20
PIECE_ENTRIES = 64
LARGEST_COUNTED = 256
FILTERS = ("group", "node", "profile")

Row = Mapping[str, object]
Rows = Callable[[Entry], Iterator[Row]]
Answer = Callable[[int, Mapping[str, object]], None]


@dataclass(slots=True)
class Wanted:
    """What an operator asked for. `match`: any text of a row holds it, in any case. `begin`: bucket and entry."""

    client: int
    stream: str
    schema: str
    filters: Mapping[str, str]
    match: str = ""
    limit: int = LARGEST_ROWS
    begin: tuple[int, int] = (0, 0)
    is_count: bool = False


@dataclass(slots=True)
class _Walk:
    """A list under way: `entries` are what is left of the bucket that it stands in."""

    wanted: Wanted
    rows_of: Rows
    bucket: int
    place: int
    entries: list[Entry] | None = None
    rows: list[Row] = field(default_factory=list)
    size: int = 0
    total: int = 0
    by: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in FILTERS})


class Listing:
    """Bulk work of the loop. `answer` sends to a client."""

    def __init__(self, copies: ReplicatedCopies, rows: Mapping[str, Rows], node: str, answer: Answer) -> None:
        self._copies = copies
        self._rows = rows
        self._node = node
        self._answer = answer
        self._walks: deque[_Walk] = deque()

    @property
    def has_more(self) -> bool:
        """Whether a list is under way."""
        return bool(self._walks)

    def filenos(self) -> tuple[int, ...]:
        """Nothing is waited for."""
        return ()

    def deadline(self) -> int | None:
        """Nothing is waited for."""
        return None

    def ask(self, wanted: Wanted) -> bool:
        """Begin a list; False when too many are under way."""
        if len(self._walks) >= LARGEST_LISTS:
            return False
        self._walks.append(_Walk(wanted, self._rows[wanted.stream], *wanted.begin))
        return True

    def piece(self, _now_ms: int) -> bool:
        """Go on with the list whose turn it is."""
        if not self._walks:
            return False
        walk = self._walks.popleft()
        if self._go_on(walk):
            self._finish(walk)
        else:
            self._walks.append(walk)
        return bool(self._walks)

    def _go_on(self, walk: _Walk) -> bool:
        """Look at some entries; whether the answer is ready."""
        left = PIECE_ENTRIES
        while left > 0:
            if walk.bucket >= BUCKETS or self._is_full(walk):
                return True
            if walk.entries is None:
                walk.entries = self._copies.bucket(walk.wanted.stream, walk.bucket)
                left -= 1
            for entry in walk.entries[walk.place : walk.place + left]:
                left -= 1
                walk.place += 1
                self._look(walk, entry)
                if self._is_full(walk):
                    break
            if walk.place >= len(walk.entries):
                walk.bucket, walk.place, walk.entries = walk.bucket + 1, 0, None
        return False

    def _look(self, walk: _Walk, entry: Entry) -> None:
        filters, match = walk.wanted.filters, walk.wanted.match
        if filters["node"] and entry.stream.node != filters["node"]:
            return
        if filters["group"] and group_of(entry.key) != filters["group"].encode():
            return
        for row in walk.rows_of(entry):
            if filters["profile"] and row["profile"] != filters["profile"]:
                continue
            if match and not any(match in text.lower() for text in row.values() if isinstance(text, str)):
                continue
            walk.total += 1
            if walk.wanted.is_count:
                for name, counts in walk.by.items():
                    counts[str(row[name])] += 1
            else:
                walk.rows.append(row)
                walk.size += sum(len(str(value)) + len(key) + 8 for key, value in row.items())

    def _is_full(self, walk: _Walk) -> bool:
        return len(walk.rows) >= walk.wanted.limit or walk.size >= LARGEST_ROW_BYTES

    def _finish(self, walk: _Walk) -> None:
        wanted = walk.wanted
        answer: dict[str, object] = {"schema": wanted.schema, "ok": True, "node": self._node}
        if wanted.is_count:
            answer["total"] = walk.total
            answer["by"] = {name: dict(count.most_common(LARGEST_COUNTED)) for name, count in walk.by.items()}
        else:
            answer["rows"] = walk.rows
            answer["next"] = "" if walk.bucket >= BUCKETS else f"{walk.bucket}:{walk.place}"
        self._answer(wanted.client, answer)
