"""A switch in a few lines, as FREESWITCH.md and its source say: a recovery table, sessions, profiles in standby.

`recover` takes every row of its profile that another life wrote, makes a session of each unless it is paused or has
one of that uuid, and at its end deletes all foreign rows of that profile, whether it used them or not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from zcluster.switch.frames import Event
from zcluster.telephony.events import Row
from zcluster.telephony.metadata import read_facts, read_variables, with_variables

BUILD = "FreeSWITCH Version 1.11.3-dev (git cc93a68)"


def call_xml(
    uuid: str, profile: str, direction: str = "inbound", answered_s: int = 1000, **variables: str
) -> bytes:
    """Metadata as short as it may be."""
    named = {"direction": direction, "uuid": uuid, "recovery_profile_name": profile, **variables}
    inner = "".join(f"    <{name}>{value}</{name}>\n" for name, value in named.items())
    return (
        f"<cdr><variables>\n{inner}  </variables>\n<callflow><extension><application "
        f'app_name="answer" app_data=""></application></extension><caller_profile>'
        f"<caller_id_number>100</caller_id_number><destination_number>200</destination_number></caller_profile>"
        f"<times><created_time>{(answered_s - 1) * 1_000_000}</created_time>"
        f"<answered_time>{answered_s * 1_000_000}</answered_time></times></callflow></cdr>"
    ).encode()


@dataclass
class Session:
    profile: str
    direction: str
    metadata: bytes
    has_row: bool = False
    is_recovered: bool = False
    is_ringing: bool = False


@dataclass
class TwinSwitch:
    core_uuid: str
    profiles: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    # Uuids whose rows the switch itself touched, not told yet.
    log: list[str] = field(default_factory=list)
    # Sessions whose row waits for the database's lock.
    unwritten: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    standby: set[str] = field(default_factory=set)
    # Profiles that the configuration does not have any more; channels that do not end.
    broken: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    is_leaving: bool = False

    def __post_init__(self) -> None:
        self.standby = set(self.profiles)

    # -- calls

    def begin(self, uuid: str, profile: str, ringing: bool = False, **variables: str) -> None:
        metadata = call_xml(uuid, profile, "inbound", 1000, **variables)
        self.sessions[uuid] = Session(profile, "inbound", metadata, is_ringing=ringing)
        self._fire("CHANNEL_CREATE", uuid, "ringing")
        if not ringing:
            self._fire("CHANNEL_ANSWER", uuid, "answered")
            self.unwritten.append(uuid)

    def listed(self) -> str:
        """`show channels as json`."""
        rows = [
            {
                "uuid": uuid,
                "direction": each.direction,
                "created_epoch": "999",
                "name": f"sofia/{each.profile}/100@192.0.2.1",
                "cid_num": "100",
                "dest": "200",
                "callstate": "RINGING" if each.is_ringing else "ACTIVE",
            }
            for uuid, each in self.sessions.items()
        ]
        return json.dumps({"row_count": len(rows), "rows": rows} if rows else {"row_count": 0})

    def hang_up(self, uuid: str, cause: str = "NORMAL_CLEARING") -> None:
        self._fire("CHANNEL_HANGUP_COMPLETE", uuid, "hangup", cause)
        self._fire("CHANNEL_DESTROY", uuid, "hangup", cause)
        del self.sessions[uuid]
        if uuid in self.unwritten:
            self.unwritten.remove(uuid)
        if any(row.uuid == uuid for row in self.rows):
            self.rows = [row for row in self.rows if row.uuid != uuid]
            self.log.append(uuid)

    def write(self) -> None:
        """The SQL thread has the lock."""
        for uuid in self.unwritten:
            session = self.sessions[uuid]
            session.has_row = True
            fresh = Row(self.core_uuid, "sofia", session.profile, "me", uuid, session.metadata)
            self.rows.append(fresh)
            self.log.append(uuid)
        self.unwritten.clear()

    def _fire(self, name: str, uuid: str, state: str, cause: str = "") -> None:
        session = self.sessions[uuid]
        headers = {
            "Event-Name": name,
            "Core-UUID": self.core_uuid,
            "Unique-ID": uuid,
            "Channel-Name": f"sofia/{session.profile}/100@192.0.2.1",
            "Answer-State": state,
            "Call-Direction": session.direction,
            "Caller-Caller-ID-Number": "100",
            "Caller-Destination-Number": "200",
            "variable_sofia_profile_name": session.profile,
            "Caller-Channel-Created-Time": "999000000",
        }
        if session.is_recovered:
            headers["variable_recovered"] = "true"
        if cause:
            headers["Hangup-Cause"] = cause
        if bond := read_variables(session.metadata).get("signal_bond"):
            headers["variable_signal_bond"] = bond
        self.events.append(Event(headers))

    # -- recover

    def recover_begins(self, profile: str) -> None:
        self.running.append(profile)
        self.standby.discard(profile)
        for row in self._foreign(profile):
            direction = read_variables(row.metadata).get("direction", "outbound")
            if direction in self.paused or row.uuid in self.sessions:
                continue
            metadata = with_variables(row.metadata, {"recovered": "true"})
            self.sessions[row.uuid] = Session(profile, direction, metadata, is_recovered=True)
            self._fire("CHANNEL_CREATE", row.uuid, "answered")
            self.unwritten.append(row.uuid)

    def recover_ends(self, profile: str) -> None:
        self.running.remove(profile)
        gone = self._foreign(profile)
        self.rows = [row for row in self.rows if row not in gone]
        self.log += [row.uuid for row in gone]
        self.write()

    def _foreign(self, profile: str) -> list[Row]:
        return [row for row in self.rows if row.profile == profile and row.runtime_uuid != self.core_uuid]

    # -- the core database, as its adapter reads and writes it

    def load(self, rows: tuple[Row, ...]) -> tuple[str, ...]:
        there = {row.uuid for row in self.rows}
        self.rows += [row for row in rows if row.uuid not in there]
        return tuple(row.uuid for row in rows if row.uuid in there)

    def drop(self, uuids: tuple[str, ...]) -> None:
        self.rows = [row for row in self.rows if row.uuid not in uuids]

    def drop_foreign(self, core_uuid: str) -> None:
        self.rows = [row for row in self.rows if row.runtime_uuid == core_uuid]

    def read_log(self) -> tuple[tuple[str, Row | None], ...]:
        latest = {row.uuid: row for row in self.rows}
        changes = tuple((uuid, latest.get(uuid)) for uuid in dict.fromkeys(self.log))
        self.log.clear()
        return changes

    # -- what becomes of bonds

    def mute(self) -> list[str]:
        """Sessions whose other half is not here: nobody would ever hang them up."""
        bonds = {uuid: read_facts(each.metadata).partner for uuid, each in self.sessions.items()}
        return [
            uuid
            for uuid, session in self.sessions.items()
            if session.is_recovered and bonds[uuid] and bonds[uuid] not in self.sessions
        ]
