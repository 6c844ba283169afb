"""A sign of life now and then for the service manager: the watchdog, the status line, the stop.

What must hold: the sign of life comes from the loop itself, so that a loop that hangs gives none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zcluster.control.events import Event
from zcluster.supervisor.service_manager import ServiceManager

STATUS_EVERY_MS = 1000


class Life:
    """A chore of the loop. `one_line` says how the node is."""

    def __init__(
        self, service: ServiceManager, one_line: Callable[[], str], is_stopping: Callable[[], bool]
    ) -> None:
        self._service = service
        self._one_line = one_line
        self._is_stopping = is_stopping
        self._every_ms = min(service.watchdog_ms or STATUS_EVERY_MS, STATUS_EVERY_MS)
        self._due_ms = 0
        self._said = ""
        self._was_stopping = False

    def deadline(self) -> int | None:
        """When the next sign is due; never without a service manager."""
        return self._due_ms if self._service.is_there else None

    def run(self, now_ms: int) -> Sequence[Event]:
        """Say what is due."""
        self._due_ms = now_ms + self._every_ms
        self._service.alive()
        line = self._one_line()
        if not self._said:
            self._service.ready(line)
        elif line != self._said:
            self._service.status(line)
        self._said = line
        if self._is_stopping() and not self._was_stopping:
            self._was_stopping = True
            self._service.stopping()
        return ()

    def close(self) -> None:
        """Release the socket."""
        self._service.close()
