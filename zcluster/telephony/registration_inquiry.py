"""What the part asks its switch: which profiles run and where, what they have registered, and a user's rows.

What must hold: a listing is asked for only where its rows can be counted first and are at most LARGEST_LISTING; its
text is read a few hundred rows at a time. At most LOOKUPS users are asked about at once, the others wait their turn.
An answer that nobody waits for is ignored.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from zcluster.errors import CommandRefused
from zcluster.switch.commands import Command, api
from zcluster.telephony.actions import Run
from zcluster.telephony.registration_listing import Listed, is_listing, read_rows
from zcluster.telephony.registration_record import Binding, Place

# About 650 bytes a row: 33 MB of text, half of what the event socket's reader takes in one answer.
LARGEST_LISTING = 50_000
TURN_LISTED = 500
LOOKUPS = 16
WAITING_LOOKUPS = 4096
LIMIT_MS = 60_000

PROFILE = "registrations:profile:"
ROWS = "registrations:rows:"
USER = "registrations:user:"
FLUSH = "registrations:flush:"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A user whose bindings the switch may have replaced: the Call-IDs in doubt, and when each would end.

    `is_late`: or of whom it may have a row too many.
    """

    place: Place
    suspects: dict[str, int]
    is_late: bool = False


@dataclass(slots=True)
class Reading:
    """A profile's listing, being read."""

    profile: str
    rows: Iterator[Listed]


class Inquiry:
    """Questions under way, and listings that are being read."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._readings: deque[Reading] = deque()
        self._asked: dict[str, Doubt] = {}
        self._doubts: dict[Place, bool] = {}
        self._next_number = 0

    def close(self) -> None:
        """The switch is gone, and every question with it; who was in doubt still is."""
        self._readings.clear()
        self._doubts.update((doubt.place, doubt.is_late) for doubt in self._asked.values())
        self._asked.clear()

    @property
    def is_reading(self) -> bool:
        """Whether rows of a listing wait to be read."""
        return bool(self._readings)

    def profile(self, profile: str) -> Run:
        """Whether the profile runs, where, and how many registrations it has."""
        return Run(PROFILE + profile, api("sofia", "xmlstatus", "profile", profile))

    def rows(self, profile: str) -> Run:
        """All its registrations."""
        return Run(ROWS + profile, api("sofia", "xmlstatus", "profile", profile, "reg"), LIMIT_MS)

    def flush(self, profile: str) -> Run:
        """Let the switch drop all of them itself, with an event for each."""
        return Run(FLUSH + profile, api("sofia", "profile", profile, "flush_inbound_reg"), LIMIT_MS)

    def take_rows(self, profile: str, text: str) -> bool:
        """A listing has come; False when it is none."""
        if is_listing(text):
            self._readings.append(Reading(profile, read_rows(text)))
            return True
        return False

    def read(self) -> tuple[Reading, list[Listed]] | None:
        """The next rows of a listing; none at all, and the listing is forgotten: that was its end."""
        if not self._readings:
            return None
        reading = self._readings[0]
        rows = [row for row, _ in zip(reading.rows, range(TURN_LISTED), strict=False)]
        if not rows:
            self._readings.popleft()
        return reading, rows

    def doubt(self, place: Place, is_late: bool = False) -> None:
        """The switch may have replaced a binding of this user, or keep one too many: to be asked about."""
        if len(self._doubts) >= WAITING_LOOKUPS:
            self._counts["doubt left alone"] += 1
        else:
            self._doubts[place] = is_late or self._doubts.get(place, False)

    def ask(self, bindings: Callable[[Place], tuple[Binding, ...]]) -> list[Run]:
        """Ask which bindings the next users in doubt really have. `bindings`: those that we know of."""
        asked: list[Run] = []
        while self._doubts and len(self._asked) < LOOKUPS:
            place = next(iter(self._doubts))
            is_late = self._doubts.pop(place)
            command = self._user(place)
            suspects = {each.call_id: each.expires_ms for each in bindings(place)}
            if command is not None and (suspects or is_late):
                self._next_number += 1
                purpose = f"{USER}{self._next_number}"
                self._asked[purpose] = Doubt(place, suspects, is_late)
                asked.append(Run(purpose, command))
        return asked

    def settle(self, purpose: str) -> Doubt | None:
        """A question about a user has its answer, or has none."""
        return self._asked.pop(purpose, None)

    def _user(self, place: Place) -> Command | None:
        try:
            return api("sofia", "xmlstatus", "profile", place.profile, "user", place.aor)
        except CommandRefused:
            self._counts["doubt that cannot be asked"] += 1
            return None
