"""The recent changes of one stream, for those who missed some. Bounded in records and in bytes.

What must hold: it is contiguous; what it does not hold it says so, and never answers with a hole.
"""

from __future__ import annotations

from bisect import bisect_right

from zcluster.streams.messages import Batch


class ChangeLog:
    """Batches in order. When it is full the oldest half of what is too much goes."""

    __slots__ = ("_batches", "_bytes", "_firsts", "_limit_bytes", "_limit_records")

    def __init__(self, limit_records: int, limit_bytes: int) -> None:
        self._limit_records = limit_records
        self._limit_bytes = limit_bytes
        self._batches: list[Batch] = []
        self._firsts: list[int] = []
        self._bytes = 0

    def append(self, batch: Batch) -> None:
        """The next batch; one that does not continue the last begins a new log."""
        if self._batches and batch.first != self._batches[-1].last + 1:
            self.clear()
        self._batches.append(batch)
        self._firsts.append(batch.first)
        self._bytes += batch.size_bytes
        if self._is_full():
            self._trim()

    def clear(self) -> None:
        """Forget everything."""
        self._batches.clear()
        self._firsts.clear()
        self._bytes = 0

    def between(self, first: int, last: int, limit_bytes: int) -> list[Batch] | None:
        """The batches that hold `first` to `last`, or the first part of them; None when `first` is forgotten."""
        place = bisect_right(self._firsts, first) - 1
        if place < 0 or first > self._batches[-1].last:
            return None
        found: list[Batch] = []
        size = 0
        for batch in self._batches[place:]:
            size += batch.size_bytes
            if batch.first > last or (found and size > limit_bytes):
                break
            found.append(batch)
        return found

    def after(self, first: int, last: int, limit_bytes: int) -> list[Batch]:
        """The oldest batches that are left, when `first` is older than they are."""
        if not self._firsts or not first < self._firsts[0] <= last:
            return []
        return self.between(self._firsts[0], last, limit_bytes) or []

    def _is_full(self) -> bool:
        records = self._batches[-1].last - self._firsts[0] + 1
        return records > self._limit_records or self._bytes > self._limit_bytes

    def _trim(self) -> None:
        """Cut well below the bound, so that cutting is rare and its cost is spread."""
        keep_from = self._batches[-1].last - self._limit_records * 3 // 4
        place, size = 0, self._bytes
        while place < len(self._batches) - 1 and (
            self._firsts[place] <= keep_from or size > self._limit_bytes * 3 // 4
        ):
            size -= self._batches[place].size_bytes
            place += 1
        del self._batches[:place], self._firsts[:place]
        self._bytes = size
