"""What the tools process hands on, and to whom: the door that every outlet (bus, HTTP, switch, hooks) has.

What must hold: an outlet never makes another one wait. `record` and `status` return at once: what may take long
stands in a bounded queue of the outlet, which counts what it had to drop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from zcluster.adapters.journal import Record

StatusDocument = Mapping[str, Any]


class Outlet(Protocol):
    """One way out of the cluster. `record` and `status` come from the local daemon, through the feed."""

    def filenos(self) -> tuple[int, ...]:
        """What to wait on for reading; it may change from turn to turn."""

    def deadline(self) -> int | None:
        """When `turn` is due at the latest, in monotonic milliseconds; None for not at all."""

    def turn(self, now_ms: int) -> None:
        """Do what is due and what has become readable, a bounded amount of it."""

    def record(self, record: Record) -> None:
        """Something happened in the cluster (`zcluster.supervisor.story`); each record once, in order of arrival."""

    def status(self, document: StatusDocument) -> None:
        """The newest status document (`zcluster.supervisor.status`), about once a second and after each change."""

    def unreachable(self, reason: str) -> None:
        """The local daemon does not answer: what was last handed over may no longer be true."""

    def counts(self) -> Mapping[str, int]:
        """Numbers of this outlet, for the metrics."""

    def close(self) -> None:
        """Give everything back."""
