"""Whether a profile keeps several rows for one user (`multiple-registrations`), which no command of the switch tells.

What must hold: it is found out by trying, with two rows of a user that nobody can be, and both are taken out again.
The switch writes rows a while after it has answered, in order: the second one is waited for before the first is
looked for. As long as it is not known, a copy is treated as if it could replace a row of the phone's own.
Source: PFLAG_MULTIREG decides what event_handler deletes before it inserts (sofia.c:2780).
"""

from __future__ import annotations

from zcluster.switch.commands import Command, api
from zcluster.telephony.actions import Run
from zcluster.telephony.registration_injection import COPY, put, remove
from zcluster.telephony.registration_listing import read_rows
from zcluster.telephony.registration_record import Binding, Place

PROBE = "registrations:probe:"
ASK_AGAIN_MS = 200
LARGEST_TRIES = 50
LASTS_S = 60
USER, HOST = "zcluster-probe", "zcluster.invalid"
AOR = f"{USER}@{HOST}"
CALL_IDS = (f"{COPY}probe:1", f"{COPY}probe:2")


class Probe:
    """One profile at a time."""

    def __init__(self) -> None:
        self._profile = ""
        self._tries = 0
        self._ask_at_ms: int | None = None

    def start(self, profile: str, now_ms: int, wall_ms: int) -> list[Run]:
        """Try this profile. What was tried before is forgotten."""
        self._profile, self._tries, self._ask_at_ms = profile, 0, now_ms
        place = Place("", profile, USER, HOST)
        ends_ms = wall_ms + LASTS_S * 1000
        rows = [
            Binding(call_id, f'"" <sip:{USER}@{HOST}>', "zcluster", "Registered(UDP)", ends_ms, "", "", "")
            for call_id in CALL_IDS
        ]
        return [self._run(put(profile, place, row, "", COPY, wall_ms)) for row in rows]

    def stop(self) -> None:
        """Nothing can be tried."""
        self._profile, self._ask_at_ms = "", None

    @property
    def is_free(self) -> bool:
        """Whether nothing is being tried."""
        return not self._profile

    def deadline(self) -> int | None:
        """When `turn` is due."""
        return self._ask_at_ms

    def turn(self, now_ms: int) -> list[Run]:
        """Ask, if it is time to."""
        if self._ask_at_ms is None or now_ms < self._ask_at_ms:
            return []
        self._ask_at_ms = None
        question = api("sofia", "xmlstatus", "profile", self._profile, "user", AOR)
        return [Run(PROBE + self._profile, question)]

    def take(self, profile: str, text: str, now_ms: int) -> tuple[bool | None, list[Run]]:
        """The answer for `profile`: several rows for one user or not, None as long as it does not show."""
        if profile != self._profile:
            return None, []
        # A listing shows three rows at most here, whatever else it may hold.
        seen = {row.call_id for row, _ in zip(read_rows(text), range(3), strict=False)}
        self._tries += 1
        if CALL_IDS[1] not in seen and self._tries < LARGEST_TRIES:
            self._ask_at_ms = now_ms + ASK_AGAIN_MS
            return None, []
        self._profile = ""
        place = Place("", profile, USER, HOST)
        removals = [self._run(remove(profile, place, call_id)) for call_id in CALL_IDS]
        return (CALL_IDS[0] in seen if CALL_IDS[1] in seen else None), removals

    def _run(self, command: Command) -> Run:
        return Run("registrations:tried", command)
