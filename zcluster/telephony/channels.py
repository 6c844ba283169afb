"""The channels that live on our own switch, and what we say of them in our stream "calls".

What must hold: a leg that ended leaves no record, whichever of event and row log is quicker, and none comes back by
a row that was still under way; a row of another life of a switch is never taken for a living call; what the switch
deletes while it recovers is not taken for the end of a call; a leg that we hang up because its group is lost keeps
its record, for that is the next holder's; what happened before the group was ours is told when it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.streams.units import Key, record_key
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.call_record import (
    ANSWERED,
    RINGING,
    SOFIA,
    CallRecord,
    bounded,
    is_uuid,
    pack_call,
    record_of_row,
)
from zcluster.telephony.events import Row
from zcluster.telephony.settings import TelephonySettings

LARGEST_ENDED = 8192
LARGEST_CHANNELS = 65_536
LARGEST_LIST_BYTES = 64 << 20
_BEGINS = frozenset({"CHANNEL_CREATE", "CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA", "CHANNEL_ANSWER"})
_ENDS = frozenset({"CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY"})
_RINGING_CALL_STATES = frozenset({"RINGING", "EARLY", "RING_WAIT"})


@dataclass(slots=True)
class Channel:
    """One leg. `body`: its record, kept only while its group is not ours. `limits`: see `limits_of_ours`."""

    group: GroupName
    state: str = ""
    has_row: bool = False
    is_condemned: bool = False
    is_hung_up: bool = False
    body: bytes = b""
    limits: tuple[str, ...] = ()


@dataclass(slots=True)
class Noticed:
    """What came of something heard.

    `seen`: the switch has it again; `tracked`: it wrote a row of it; `settled`: the first one after a recovery;
    `ended`: uuid and cause; `gone`: no session of that uuid is left.
    """

    changes: list[tuple[Key, bytes | None]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    tracked: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Channels:
    """Of one switch, life after life."""

    def __init__(self, settings: TelephonySettings, counts: Counter[str]) -> None:
        self.core_uuid = ""
        self.build = ""
        self._cseqs: dict[str, int] = {}
        self._expected: set[str] = set()
        self._settings = settings
        self._counts = counts
        self._channels: dict[str, Channel] = {}
        # Legs that ended lately: the row log may still speak of them as living.
        self._ended: dict[str, None] = {}
        self._held: set[GroupName] = set()
        self._condemned: set[GroupName] = set()
        self._noticed = Noticed()

    def take(self) -> Noticed:
        """What came of all that was handed in since the last time."""
        noticed, self._noticed = self._noticed, Noticed()
        return noticed

    # -- questions

    def lives(self, uuid: str) -> bool:
        """Whether the switch has a session of that uuid."""
        return uuid in self._channels

    def is_condemned(self, uuid: str) -> bool:
        """Whether it is being hung up because its group is lost."""
        channel = self._channels.get(uuid)
        return channel is not None and channel.is_condemned

    def of_group(self, group: GroupName) -> list[str]:
        """The living legs of a group."""
        return [uuid for uuid, channel in self._channels.items() if channel.group == group]

    def recovered_limits(self) -> Counter[str]:
        """How often each limit is used by legs that the switch does not count itself."""
        return Counter(name for channel in self._channels.values() for name in channel.limits)

    # -- the switch and the groups

    def begin_life(self, core_uuid: str, build: str) -> None:
        """Another life of the switch: nothing lives here any more. Its records stay, for they can be recovered."""
        self.core_uuid, self.build = core_uuid, build
        self._channels.clear()
        self._ended.clear()
        self._cseqs.clear()
        self._expected.clear()
        self._condemned.clear()

    def hold(self, group: GroupName) -> None:
        """The group is ours: what we know of it counts from now on."""
        self._held.add(group)
        self._condemned.discard(group)
        for uuid, channel in self._channels.items():
            if channel.group == group and channel.body:
                self._noticed.changes.append((record_key(group, uuid.encode()), channel.body))
                channel.body = b""

    def expect(self, uuid: str, cseq: int) -> None:
        """A leg of that uuid is about to be brought back, beginning with this CSeq."""
        self._ended.pop(uuid, None)
        self._expected.add(uuid)
        self._cseqs[uuid] = cseq

    def give_up(self, uuid: str) -> None:
        """It is not expected any more."""
        if uuid not in self._channels:
            self._expected.discard(uuid)
            self._cseqs.pop(uuid, None)

    def condemn(self, group: GroupName) -> None:
        """The group is not ours: its legs end here, and their records are no business of ours."""
        self._held.discard(group)
        self._condemned.add(group)
        for channel in self._channels.values():
            if channel.group == group:
                channel.is_condemned, channel.body, channel.limits = True, b"", ()

    # -- events

    def follow(self, event: SwitchEvent) -> None:
        """A CHANNEL_ event; others are ignored."""
        name, uuid = event.name, event.get("Unique-ID")
        if name not in _BEGINS and name not in _ENDS:
            return
        if not is_uuid(uuid):
            self._counts["uuid of a strange form"] += 1
        elif name in _BEGINS:
            self._begin(uuid, event)
        else:
            self._end(uuid, event.get("Hangup-Cause"), is_gone=name == "CHANNEL_DESTROY")

    def _begin(self, uuid: str, event: SwitchEvent) -> None:
        is_recovered = event.get("variable_recovered") == "true"
        if event.name == "CHANNEL_CREATE" or is_recovered:
            self._ended.pop(uuid, None)
        if is_recovered:
            # Its record is there, with metadata: nothing from an event is as good, and its own row will come.
            self._noticed.seen.append(uuid)
        channel = self._channel(uuid, profile_of(event))
        if channel is None or is_recovered or channel.has_row:
            return
        answered = event.name == "CHANNEL_ANSWER" or event.get("Answer-State") == ANSWERED
        state = ANSWERED if answered else RINGING
        if channel.state != state and channel.state != ANSWERED:
            channel.state = state
            self._put(uuid, channel, self._record_of_event(event, state))

    def _end(self, uuid: str, cause: str, is_gone: bool) -> None:
        channel = self._channels.get(uuid)
        if channel is None or not channel.is_hung_up:
            self._noticed.ended.append((uuid, bounded(cause, 64)))
        if channel is not None and not channel.is_hung_up:
            channel.is_hung_up, channel.limits = True, ()
            self._remove(uuid, channel)
        self._remember_end(uuid)
        if is_gone:
            self._channels.pop(uuid, None)
            self.give_up(uuid)
            self._noticed.gone.append(uuid)

    def end(self, uuid: str) -> None:
        """The switch says that it has no such session."""
        if uuid in self._channels:
            self._end(uuid, "", is_gone=True)

    # -- rows

    def take_rows(self, changes: Iterable[tuple[str, Row | None]]) -> None:
        """What the switch wrote to its recovery table."""
        for uuid, row in changes:
            if row is None:
                self._untrack(uuid)
            else:
                self._track(uuid, row)

    def _track(self, uuid: str, row: Row) -> None:
        """A row, perhaps of a living call of ours."""
        if row.runtime_uuid != self.core_uuid:
            # Loaded by us to be recovered, or left by an earlier life.
            return
        if not is_uuid(uuid) or uuid != row.uuid or row.technology != SOFIA:
            self._counts["row of a strange form"] += 1
            return
        if uuid in self._ended:
            return
        channel = self._channel(uuid, row.profile)
        if channel is None or channel.is_hung_up:
            if channel is None:
                self._counts["row of a profile of no group"] += 1
            return
        try:
            record = record_of_row(row, self.build, self._cseqs.get(uuid, 0))
        except BadMessage:
            self._counts["row with no call in it"] += 1
            return
        if not record.metadata:
            self._counts["metadata too large"] += 1
        channel.has_row, channel.state = True, ANSWERED
        if not channel.is_condemned:
            channel.limits = record.limits_of_ours if record.is_recovered else ()
        self._noticed.tracked.append(uuid)
        if uuid in self._expected:
            # Written after its re-INVITE was sent: the CSeq has done its work.
            self._expected.discard(uuid)
            self._noticed.settled.append(uuid)
        self._put(uuid, channel, record)

    def keep_only(self, present: Container[str]) -> None:
        """These are the legs that have a row of this life; the others ended."""
        for uuid, channel in list(self._channels.items()):
            if channel.has_row and uuid not in present:
                self._untrack(uuid)

    def _untrack(self, uuid: str) -> None:
        self._ended.pop(uuid, None)
        channel = self._channels.get(uuid)
        # Without a row of its own it is being recovered, and what went is the row that we loaded for it.
        if channel is not None and channel.has_row:
            channel.has_row, channel.state = False, ""
            self._remove(uuid, channel)

    # -- the list of channels

    def take_list(self, text: str) -> list[str] | None:
        """The answer to `show channels as json`: begin what is new; returns who is not in it, None if unreadable.

        Not to be in it proves nothing: the list is read from a database that lags, for seconds under load.
        """
        try:
            answer = json.loads(text) if len(text) <= LARGEST_LIST_BYTES else None
        except (ValueError, RecursionError):
            answer = None
        rows = answer.get("rows", []) if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            self._counts["list of channels unreadable"] += 1
            return None
        listed = {uuid for uuid in map(self._take_listed, rows) if uuid}
        return [uuid for uuid in self._channels if uuid not in listed]

    def _take_listed(self, row: Any) -> str:
        if not isinstance(row, dict) or not all(type(value) is str for value in row.values()):
            return ""
        uuid: str = row.get("uuid", "")
        if not is_uuid(uuid) or uuid in self._ended:
            return ""
        is_new = uuid not in self._channels
        channel = self._channel(uuid, profile_of_name(row.get("name", "")))
        if channel is not None and is_new and row.get("callstate") in _RINGING_CALL_STATES:
            channel.state = RINGING
            self._put(uuid, channel, self._record_of_listed(row))
        return uuid

    # -- records

    def _channel(self, uuid: str, profile: str) -> Channel | None:
        channel = self._channels.get(uuid)
        if channel is not None:
            return channel
        group = self._settings.group_of_profile(profile)
        if not group:
            return None
        if len(self._channels) >= LARGEST_CHANNELS:
            self._counts["more channels than can be followed"] += 1
            return None
        channel = self._channels[uuid] = Channel(group, is_condemned=group in self._condemned)
        return channel

    def _put(self, uuid: str, channel: Channel, record: CallRecord) -> None:
        if channel.is_condemned:
            return
        body = pack_call(record)
        if channel.group in self._held:
            self._noticed.changes.append((record_key(channel.group, uuid.encode()), body))
        else:
            channel.body = body

    def _remove(self, uuid: str, channel: Channel) -> None:
        channel.body = b""
        if channel.group in self._held and not channel.is_condemned:
            self._noticed.changes.append((record_key(channel.group, uuid.encode()), None))

    def _remember_end(self, uuid: str) -> None:
        self._ended[uuid] = None
        while len(self._ended) > LARGEST_ENDED:
            del self._ended[next(iter(self._ended))]

    def _record_of_event(self, event: SwitchEvent, state: str) -> CallRecord:
        partner = event.get("variable_signal_bond") or event.get("Other-Leg-Unique-ID")
        return CallRecord(
            profile=profile_of(event),
            runtime_uuid=bounded(self.core_uuid, 255),
            build=bounded(self.build, 255),
            partner=partner if is_uuid(partner) else "",
            caller=bounded(event.get("Caller-Caller-ID-Number")),
            callee=bounded(event.get("Caller-Destination-Number")),
            started_s=(event.number("Caller-Channel-Created-Time") or 0) // 1_000_000,
            answered_s=(event.number("Caller-Channel-Answered-Time") or 0) // 1_000_000,
            direction=bounded(event.get("Call-Direction"), 16),
            state=state,
        )

    def _record_of_listed(self, row: Mapping[str, str]) -> CallRecord:
        created, partner = row.get("created_epoch", ""), row.get("call_uuid", "")
        return CallRecord(
            profile=profile_of_name(row.get("name", "")),
            runtime_uuid=bounded(self.core_uuid, 255),
            build=bounded(self.build, 255),
            # Of an outbound leg that rings it names the inbound one; of a leg that was answered alone, itself.
            partner=partner if is_uuid(partner) and partner != row.get("uuid") else "",
            caller=bounded(row.get("cid_num", "")),
            callee=bounded(row.get("dest", "")),
            started_s=int(created) if created.isascii() and created.isdigit() and len(created) < 12 else 0,
            direction=bounded(row.get("direction", ""), 16),
        )


def profile_of(event: SwitchEvent) -> str:
    """The SIP profile of a channel, "" for one of another technology."""
    return event.get("variable_sofia_profile_name") or profile_of_name(event.get("Channel-Name"))


def profile_of_name(name: str) -> str:
    """The profile in a channel's name, "sofia/<profile>/..."."""
    parts = name.split("/", 2)
    return parts[1] if len(parts) == 3 and parts[0] == SOFIA else ""
