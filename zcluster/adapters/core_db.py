"""The switch's core database beside the loop: a thread that looks for changes and carries out wishes.

What must hold: nothing here blocks the caller, whoever has the database locked; every wish gets exactly one answer;
what waits is bounded on both sides. When the loop does not fetch what was read, nothing more is read: the changes
wait in the database's own log.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from zcluster.adapters.core_db_table import CoreTable, RowsRead, Wish
from zcluster.telephony.events import RowsLoaded, RowsRefused

LARGEST_WAITING_WISHES = 64
LARGEST_WAITING_EVENTS = 16
POLL_MS = 30
RETRY_MS = 200
STOP_WAIT_S = 1.0

CoreDbEvent = RowsRead | RowsLoaded | RowsRefused


class CoreDb:
    """The table `recovery` of the core database at `path`; nothing is opened before `begin`.

    `poll_ms`: how often it is asked whether it changed, 20 to 50 is sensible. `retry_ms`: how often it is looked
    for while it is absent or unusable.
    """

    def __init__(self, path: Path, poll_ms: int = POLL_MS, retry_ms: int = RETRY_MS) -> None:
        self._path = path
        self._poll_s, self._retry_s = poll_ms / 1000, retry_ms / 1000
        self._wishes: queue.Queue[Wish | None] = queue.Queue(LARGEST_WAITING_WISHES)
        self._events: deque[CoreDbEvent] = deque()
        self._problem = ""
        self._defect: BaseException | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="core-db", daemon=True)

    @property
    def problem(self) -> str:
        """Why nothing can be read just now, in words; "" when all is well. A change of it wakes the loop."""
        return self._problem

    def begin(self) -> None:
        """Start looking. The first event is a RowsRead with all rows, as soon as there is a database."""
        self._thread.start()

    def fileno(self) -> int:
        """Readable when `receive` has something, or `problem` changed."""
        return self._wake

    def submit(self, wish: Wish) -> None:
        """Have it done; its RowsLoaded or RowsRefused comes by `receive`."""
        try:
            self._wishes.put_nowait(wish)
        except queue.Full:
            reason = f"{LARGEST_WAITING_WISHES} others wait for {self._path} already"
            self._tell(RowsRefused(wish.purpose, reason))

    def receive(self) -> list[CoreDbEvent]:
        """What came since, in its order. A defect of the thread is raised here, in the loop."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        if self._defect is not None:
            raise self._defect
        return [self._events.popleft() for _ in range(len(self._events))]

    def close(self) -> bool:
        """End after the wishes that wait, within a bound; false when the database's lock would not let it."""
        with suppress(queue.Full):
            self._wishes.put(None, timeout=STOP_WAIT_S)
        if self._thread.ident is not None:
            self._thread.join(STOP_WAIT_S)
        is_done = not self._thread.is_alive()
        if is_done:
            os.close(self._wake)
        return is_done

    def _run(self) -> None:
        try:
            self._work(CoreTable(self._path))
        except Exception as error:
            self._defect = error
            os.eventfd_write(self._wake, 1)

    def _work(self, table: CoreTable) -> None:
        wait_s = 0.0
        while True:
            with suppress(queue.Empty):
                wish = self._wishes.get(timeout=wait_s) if wait_s else self._wishes.get_nowait()
                if wish is None:
                    break
                self._tell(table.perform(wish))
            if len(self._events) < LARGEST_WAITING_EVENTS:
                if changed := table.read():
                    self._tell(changed)
                table.prune()
            self._say(table.problem)
            wait_s = self._pause_s(table)
        table.close()

    def _pause_s(self, table: CoreTable) -> float:
        if not table.is_open:
            return self._retry_s
        is_due = table.has_more and len(self._events) < LARGEST_WAITING_EVENTS
        return 0.0 if is_due else self._poll_s

    def _tell(self, event: CoreDbEvent) -> None:
        self._events.append(event)
        os.eventfd_write(self._wake, 1)

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            os.eventfd_write(self._wake, 1)
