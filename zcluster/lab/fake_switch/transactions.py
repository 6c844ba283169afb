"""Transactions: what is sent again until it is answered, and what is answered again when it is asked again.

What must hold: time is an argument; both tables are bounded. Source: RFC 3261, 17.1 (T1, T2, timers B and F),
13.3.1.4 (a 2xx to an INVITE is sent again until its ACK) and 17.2.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass

from zcluster.lab.fake_switch.outputs import Datagram

T1_MS = 500
T2_MS = 4000
GIVE_UP_MS = 64 * T1_MS
REMEMBERED_ANSWERS = 4096
WAITING = 8192


@dataclass(slots=True)
class _Resending:
    datagram: Datagram
    due_ms: int
    interval_ms: int
    ends_ms: int
    longest_ms: int


class Resendings:
    """Datagrams that are sent again, under a key."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Resending] = {}
        self._due: list[tuple[int, str]] = []

    def add(self, key: str, datagram: Datagram, now_ms: int, is_invite: bool) -> None:
        """Beginning with the first copy, which the caller sends; an INVITE's interval grows without T2."""
        if len(self._waiting) >= WAITING:
            return
        longest = GIVE_UP_MS if is_invite else T2_MS
        self._waiting[key] = _Resending(datagram, now_ms + T1_MS, T1_MS, now_ms + GIVE_UP_MS, longest)
        heapq.heappush(self._due, (now_ms + T1_MS, key))

    def remove(self, key: str) -> None:
        """It has been answered."""
        self._waiting.pop(key, None)

    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        while self._due and not self._is_current(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def advance(self, now_ms: int) -> tuple[list[Datagram], list[str]]:
        """What is to be sent again, and the keys that are given up."""
        again: list[Datagram] = []
        lost: list[str] = []
        while (due := self.deadline()) is not None and due <= now_ms:
            _, key = heapq.heappop(self._due)
            each = self._waiting[key]
            if each.due_ms >= each.ends_ms:
                del self._waiting[key]
                lost.append(key)
                continue
            again.append(each.datagram)
            each.interval_ms = min(2 * each.interval_ms, each.longest_ms)
            each.due_ms = min(now_ms + each.interval_ms, each.ends_ms)
            heapq.heappush(self._due, (each.due_ms, key))
        return again, lost

    def _is_current(self, due_ms: int, key: str) -> bool:
        each = self._waiting.get(key)
        return each is not None and each.due_ms == due_ms


class Answered:
    """The last answer to each request, for when it comes again. The oldest is forgotten first."""

    def __init__(self, most: int = REMEMBERED_ANSWERS) -> None:
        self._most = most
        self._answers: OrderedDict[tuple[str, str], Datagram] = OrderedDict()

    def get(self, branch: str, method: str) -> Datagram | None:
        """What this transaction was answered last."""
        return self._answers.get((branch, method))

    def keep(self, branch: str, method: str, answer: Datagram) -> None:
        """In place of an earlier answer."""
        self._answers[branch, method] = answer
        self._answers.move_to_end((branch, method))
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
