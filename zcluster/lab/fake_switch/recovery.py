"""Going on with calls of another switch: from the rows of `recovery` to legs.

What must hold: as the real one, rows of any origin but this life's are taken; one that cannot be used is skipped, and
deleted with the rest; a re-INVITE has the CSeq after `sip_invite_cseq` where that is given, else the one that the
clock says, which may be no higher than the last. Source: sofia_recover_callback (sofia_glue.c), recover_callback
(switch_core_sqldb.c), measured in FREESWITCH.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from zcluster.errors import BadMessage
from zcluster.lab.fake_switch.dialog import Dialog, first_cseq, place_of
from zcluster.lab.fake_switch.leg import Direction, Leg, Stage
from zcluster.lab.fake_switch.message import read_uri, uri_text
from zcluster.lab.fake_switch.metadata import read_direction, read_times, read_variables
from zcluster.lab.fake_switch.outputs import Now
from zcluster.lab.fake_switch.settings import ProfilePlan

CLEAN_RETRY_MS = 100


class StoredRow(NamedTuple):
    """What recover reads of a row."""

    uuid: str
    metadata: str


@dataclass(slots=True)
class Recovery:
    """A recover that runs: one leg after another, then `clean`, then `finish` with how many were recovered.

    `clean` deletes the rows; False when it has to be tried again.
    """

    rows: Iterator[StoredRow]
    clean: Callable[[], bool]
    finish: Callable[[int], None]
    due_ms: int
    recovered: int = 0


@dataclass(slots=True)
class Recoveries:
    """All that run now. Those of different profiles run beside each other, as threads do."""

    leg_ms: int
    running: list[Recovery] = field(default_factory=list)

    def deadline(self) -> int | None:
        """When the next leg is due."""
        return min((each.due_ms for each in self.running), default=None)

    def advance(self, now: Now, resurrect: Callable[[StoredRow], bool]) -> list[Recovery]:
        """Resurrects what is due; the recoveries that are through."""
        done = []
        for each in self.running:
            while each.due_ms <= now.mono_ms:
                row = next(each.rows, None)
                if row is None:
                    if each.clean():
                        done.append(each)
                    else:
                        each.due_ms = now.mono_ms + CLEAN_RETRY_MS
                    break
                each.recovered += resurrect(row)
                each.due_ms += self.leg_ms
        self.running = [each for each in self.running if each not in done]
        return done


def read_leg(row: StoredRow, profiles: Callable[[str], ProfilePlan | None], now: Now) -> Leg | None:
    """The leg of a row, ready to be re-invited; None for a record that no call can be made of."""
    found = read_variables(row.metadata)
    direction = read_direction(row.metadata)
    profile = profiles(found.get("recovery_profile_name", "")) if found else None
    if found is None or profile is None or not direction:
        return None
    try:
        dialog = _dialog(found, Direction(direction), profile, now)
        return _leg(row, found, Direction(direction), dialog, now)
    except BadMessage:
        return None


def _leg(row: StoredRow, found: dict[str, str], direction: Direction, dialog: Dialog, now: Now) -> Leg:
    times = read_times(row.metadata)
    is_inbound = direction is Direction.INBOUND
    session = found.get("session_id", "")
    return Leg(
        uuid=row.uuid,
        direction=direction,
        profile=dialog.profile,
        dialog=dialog,
        destination=found.get("sip_req_user" if is_inbound else "sip_to_user", ""),
        caller=found.get("sip_from_user", ""),
        session=int(session) if session.isdigit() and len(session) < 10 else 0,
        created_us=times.get("created_time", now.wall_us),
        stage=Stage.RECOVERING,
        partner=found.get("signal_bond", ""),
        is_recovered=True,
        answered_us=times.get("answered_time", now.wall_us),
        resurrected_us=now.wall_us,
        variables=found | {"recovered": "true"},
    )


def _dialog(found: dict[str, str], direction: Direction, profile: ProfilePlan, now: Now) -> Dialog:
    is_inbound = direction is Direction.INBOUND
    first, second = found.get("sip_full_from", ""), found.get("sip_full_to", "")
    contact = found.get("sip_recover_contact") or f"<sip:{found.get('sip_contact_uri', '')}>"
    target = uri_text(contact)
    for text in (first, second):
        read_uri(text)
    return Dialog(
        profile=profile,
        call_id=found.get("sip_call_id", ""),
        local=second if is_inbound else first,
        remote=first if is_inbound else second,
        target=target,
        peer=place_of(target),
        local_cseq=_number(found.get("sip_invite_cseq", ""), first_cseq(now.wall_s) - 1),
        remote_cseq=_number(found.get("sip_cseq", ""), 0) if is_inbound else 0,
    )


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else otherwise
