"""What the local daemon said last, for as long as it may be believed.

What must hold: whoever serves from here never serves what is old. A document that is older than BELIEVED_MS is as good
as none: the feed may hang as well as the daemon.
"""

from __future__ import annotations

from collections.abc import Callable

from zcluster.tools.outlet import StatusDocument
from zcluster.tools.picture import Picture, picture_of

# The feed brings a document about once a second; it may be a little late, and a load balancer asks twice.
BELIEVED_MS = 1500


class Latest:
    """`clock` is in monotonic milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._picture: Picture | None = None
        self._true_ms = 0
        self._reason = "the daemon was not heard yet"

    def take(self, document: StatusDocument) -> None:
        """The daemon's newest word."""
        self._picture = picture_of(document)
        now_ms, made_ms = self._clock(), self._picture.made_ms
        # It may have waited long for us to be given a processor: what counts is when it was true.
        self._true_ms = now_ms if made_ms is None else min(made_ms, now_ms)

    def lose(self, reason: str) -> None:
        """The daemon does not answer."""
        self._picture = None
        self._reason = reason

    def picture(self) -> Picture | None:
        """What is known now; None while nothing is: see `reason`."""
        return self._picture if not self.reason() else None

    def reason(self) -> str:
        """Why nothing is known, "" while something is."""
        if self._picture is None:
            return self._reason
        age_ms = self._clock() - self._true_ms
        return f"the daemon was last heard {age_ms / 1000:.1f} s ago" if age_ms > BELIEVED_MS else ""
