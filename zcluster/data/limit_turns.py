"""What mod_hash polls, as a source of the loop: it listens as soon as its port is free."""

from __future__ import annotations

import select
from collections.abc import Callable

from zcluster.data.limit_remote import LimitRemote
from zcluster.errors import KernelRefused

RETRY_MS = 1000


class LimitTurns:
    """`port` 0 takes a free one."""

    def __init__(
        self, port: int, password: str, answer: Callable[[], str], tell: Callable[[str, str, str], None]
    ) -> None:
        self._wanted = (port, password, answer)
        self._tell = tell
        self._remote: LimitRemote | None = None
        self._retry_ms = 0
        self._was_told = False
        self._poll = select.epoll()

    @property
    def port(self) -> int:
        """Where it listens, 0 while it does not."""
        return self._remote.port if self._remote is not None else 0

    @property
    def clients(self) -> int:
        """How many poll; without one, the limits of this switch are its own alone."""
        return self._remote.clients if self._remote is not None else 0

    def filenos(self) -> tuple[int, ...]:
        """What to wait on; the same for its whole life."""
        return (self._poll.fileno(),)

    def deadline(self) -> int | None:
        """When there is something to do by itself."""
        return self._remote.deadline() if self._remote is not None else self._retry_ms

    def turn(self, now_ms: int) -> None:
        """Answer what was asked."""
        if self._remote is None and now_ms >= self._retry_ms:
            self._retry_ms = now_ms + RETRY_MS
            self._listen()
        if self._remote is not None:
            self._remote.receive(now_ms)

    def _listen(self) -> None:
        try:
            self._remote = LimitRemote(*self._wanted)
        except KernelRefused as problem:
            if not self._was_told:
                self._was_told = True
                self._tell("warning", "limits-port", f"limits are this switch's own alone: {problem}")
            return
        self._poll.register(self._remote.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close everything."""
        if self._remote is not None:
            self._remote.close()
        self._poll.close()
