"""The legs that a new master of a group brings back: which, in which batches, and what became of each.

What must hold: each leg ends once, either brought back or lost for a stated reason; only legs that have a chance are
loaded: not one that lives here, not one of another build of FreeSWITCH, not half a bridge. Legs may be added and
withdrawn by late news of the former master's stream until they are loaded. However many there are, they are read a
part at a time, and none is loaded before all were read. It asks nobody and loads nothing: see `lane`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from zcluster.control.units import NodeName
from zcluster.errors import BadMessage
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, Key, body_of, group_of
from zcluster.telephony.call_record import (
    RINGING,
    SOFIA,
    CallRecord,
    is_uuid,
    pack_call,
    unpack_call,
    unpack_outline,
)
from zcluster.telephony.channels import Channels
from zcluster.telephony.events import Row
from zcluster.telephony.lost_calls import LostCall
from zcluster.telephony.metadata import (
    BONDS,
    SIP_INVITE_CSEQ,
    SIP_NETWORK_IP,
    SKIP_ANNOUNCEMENTS,
    bracketed_peer,
    next_cseq,
    unpack_metadata,
    with_variables,
)
from zcluster.telephony.part import Copies
from zcluster.telephony.settings import GroupSettings
from zcluster.telephony.whole_calls import whole_calls

WAS_RINGING = "was ringing"
NO_METADATA = "its metadata had not arrived, or was too large"
UNREADABLE = "its record or metadata cannot be read"
OTHER_BUILD = "another build of FreeSWITCH"
UNKNOWN_BUILD = "the build of FreeSWITCH is not known"
OTHER_TECHNOLOGY = "not a SIP call"
OTHER_PROFILE = "its profile is not one of the group's"
NO_PARTNER = "its other leg is not here"
LIVES_HERE = "the leg that the switch had of it here did not end"
NOT_BROUGHT_BACK = "the switch did not bring it back"

INBOUND = "inbound"

# Some 5 ms of a processor: pulses and heartbeats of a whole node wait for it.
READ_LEGS = 250

# A leg that ends for one of these soon after it came back was ended by people, not by the takeover.
_ORDINARY = frozenset({"", "NORMAL_CLEARING", "ORIGINATOR_CANCEL", "MANAGER_REQUEST", "BLIND_TRANSFER"})
_UNREADABLE_LEG = CallRecord(profile="")


class Takeover:
    """Of one group, by one ballot, in one life of the switch. `source`: who had the calls, "" if nobody knows.

    `comes_with`: whether a leg comes back by another group's takeover here.
    """

    def __init__(
        self,
        group: GroupSettings,
        node: NodeName,
        source: NodeName,
        copies: Copies,
        channels: Channels,
        comes_with: Callable[[str], bool],
    ) -> None:
        self.source = source
        self.last_ms: int | None = None
        self.is_stale = True
        # Whether all records were looked at once: before, nobody knows which call lasts longest.
        self.is_in_order = False
        # Whether the reading under way may be one turn with whatever else is done in it.
        self.is_one_piece = True
        # Whether legs were passed over because their other half was not here.
        self.has_halves = False
        self._group = group
        self._node = node
        self._copies = copies
        self._channels = channels
        self._comes_with = comes_with
        self._legs: dict[str, CallRecord] = {}
        self._keys: dict[str, Key] = {}
        self._bare: set[str] = set()
        # Of the reading under way: what is still to be looked at, and which legs there were.
        self._unread: deque[Key] | None = None
        self._is_sorted = False
        self._found: set[str] = set()
        self._queue: list[tuple[str, ...]] = []
        self._attempted: set[str] = set()
        self._begun: list[tuple[Key, bytes]] = []
        self._outcome: dict[str, str] = {}
        self._told: set[str] = set()
        # Their limits are counted by their own rows, or not at all any more.
        self._uncounted: set[str] = set()

    # -- what there is

    @property
    def is_reading(self) -> bool:
        """Whether a reading of the records is under way."""
        return self._unread is not None

    def begin_reading(self) -> None:
        """The records are to be looked at again: there may be new ones, and some may have ended. `read` follows."""
        self.is_stale = self.has_halves = False
        group = self._group.name.encode()
        entries = self._copies.entries(CALLS)
        keys = [each.key for each in entries if group_of(each.key) == group and self._is_own(each)]
        self._unread = deque(keys)
        self.is_one_piece = len(keys) <= READ_LEGS
        self._is_sorted = False
        self._found = set()

    def read(self) -> bool:
        """Look at the next READ_LEGS records, or sort them all; True when all is done. What is small, in one go."""
        assert self._unread is not None
        if self._unread:
            for _ in range(min(READ_LEGS, len(self._unread))):
                self._read_one(self._unread.popleft())
            if not self.is_one_piece:
                return False
        if not self._is_sorted:
            self._sort()
            if not self.is_one_piece:
                return False
        self._unread = None
        self.is_in_order = True
        return True

    def _is_own(self, entry: Entry) -> bool:
        return entry.stream.node == self._node

    def _read_one(self, key: Key) -> None:
        entry = self._copies.get(CALLS, key)
        if entry is None or not self._is_own(entry):
            return
        uuid = key[len(self._group.name.encode()) + 1 :].decode(errors="replace")
        self._found.add(uuid)
        self._keys[uuid] = key
        if uuid not in self._outcome and uuid not in self._attempted:
            self._consider(uuid, body_of(entry.record))

    def _sort(self) -> None:
        self._is_sorted = True
        for uuid in [uuid for uuid in self._legs if uuid not in self._found and uuid not in self._outcome]:
            if uuid not in self._attempted:
                self._drop(uuid)
        pending = {
            uuid: record
            for uuid, record in self._legs.items()
            if uuid not in self._outcome and uuid not in self._attempted
        }
        # In the end the longest call is taken first: the queue is emptied from its end.
        self._queue = whole_calls(pending)[::-1]

    def _consider(self, uuid: str, body: bytes) -> None:
        try:
            record, has_metadata = unpack_outline(body)
        except BadMessage:
            record, has_metadata = _UNREADABLE_LEG, False
        if not is_uuid(uuid):
            record = _UNREADABLE_LEG
        if self._channels.lives(uuid) and not self._channels.is_condemned(uuid):
            # Our own call; or, if it was to be brought back, it is here by another way.
            if uuid in self._legs:
                self._outcome[uuid] = ""
                self._uncounted.add(uuid)
            return
        self._legs[uuid] = record
        if has_metadata:
            self._bare.discard(uuid)
        else:
            self._bare.add(uuid)

    def _drop(self, uuid: str) -> None:
        del self._legs[uuid]
        self._bare.discard(uuid)

    def obstacle(self, uuid: str) -> str:
        """Why this leg cannot be brought back as things are, "" if it can."""
        reason = self._own_obstacle(uuid)
        partner = self._legs[uuid].partner
        if reason or not partner or partner in self._attempted or self._is_here(partner):
            return reason
        if self._comes_with(partner):
            return ""
        if partner not in self._legs or partner in self._outcome:
            return NO_PARTNER
        # A leg that still rang was not bridged yet: without it the other one runs its extension again.
        reason = self._own_obstacle(partner)
        return NO_PARTNER if reason and reason != WAS_RINGING else ""

    def brings(self, uuid: str) -> bool:
        """Whether this leg comes back, as far as can be said now."""
        return uuid in self._legs and not self._outcome.get(uuid) and not self._own_obstacle(uuid)

    def _own_obstacle(self, uuid: str) -> str:
        record = self._legs[uuid]
        build = self._channels.build
        checks = (
            (UNREADABLE, not record.profile),
            (OTHER_TECHNOLOGY, record.technology != SOFIA),
            (OTHER_PROFILE, record.profile not in self._group.profiles),
            (WAS_RINGING, record.state == RINGING),
            (NO_METADATA, uuid in self._bare),
            (UNKNOWN_BUILD, not record.build or not build),
            (OTHER_BUILD, record.build != build),
            (LIVES_HERE, uuid not in self._attempted and self._channels.lives(uuid)),
        )
        return next((reason for reason, is_so in checks if is_so), "")

    def _is_here(self, uuid: str) -> bool:
        return self._channels.lives(uuid) and not self._channels.is_condemned(uuid)

    # -- batches

    def next_rows(self, calls: int, wall_ms: int) -> list[Row]:
        """The rows of the next `calls` whole calls that have a chance; [] when there is none now."""
        rows: list[Row] = []
        taken = 0
        # What has no chance now leaves the queue; it is looked at again when there is news.
        while self._queue and taken < calls:
            call = self._queue.pop()
            obstacles = {uuid: self.obstacle(uuid) for uuid in call if uuid in self._legs}
            self.has_halves |= NO_PARTNER in obstacles.values()
            loadable = [uuid for uuid, obstacle in obstacles.items() if not obstacle]
            legs = [self._row(uuid, wall_ms) for uuid in loadable]
            whole = [each for each in legs if each is not None]
            # A leg that cannot be read after all makes halves of the others.
            if whole and len(whole) == len(legs):
                taken += 1
                rows += [row for row, _ in whole]
                for row, record in whole:
                    self._attempted.add(row.uuid)
                    self._channels.expect(row.uuid, record.cseq)
                    self._begun.append((self._keys[row.uuid], pack_call(record)))
        return rows

    def take_begun(self) -> tuple[tuple[Key, bytes], ...]:
        """The records of what `next_rows` gave, with the CSeq that each begins with: to be told before it is loaded.

        Whoever takes over from us, before the switch wrote a row of its own, must begin above it.
        """
        begun, self._begun = tuple(self._begun), []
        return begun

    def _row(self, uuid: str, wall_ms: int) -> tuple[Row, CallRecord] | None:
        """A leg as the switch wants it, and its record with the CSeq that it begins with."""
        entry = self._copies.get(CALLS, self._keys[uuid])
        if entry is None:
            self._drop(uuid)
            return None
        try:
            record = unpack_call(body_of(entry.record))
            cseq = next_cseq(wall_ms, record.cseq)
            metadata = unpack_metadata(record.metadata)
            metadata = with_variables(metadata, self._additions(record, metadata, cseq))
        except BadMessage:
            self._outcome[uuid] = UNREADABLE
            return None
        # The switch takes only what another life wrote, and this leg ended in this one.
        is_own = record.runtime_uuid in ("", self._channels.core_uuid)
        runtime_uuid = f"ended-{self._channels.core_uuid}" if is_own else record.runtime_uuid
        row = Row(runtime_uuid, record.technology, record.profile, record.hostname, uuid, metadata)
        return row, replace(record, cseq=cseq)

    def _additions(self, record: CallRecord, metadata: bytes, cseq: int) -> dict[str, str | None]:
        wanted: dict[str, str | None] = {SIP_INVITE_CSEQ: str(cseq)}
        if record.direction == INBOUND and (peer := bracketed_peer(metadata)):
            wanted[SIP_NETWORK_IP] = peer
        partner = self._legs.get(record.partner)
        if not record.partner or (partner is not None and partner.state == RINGING):
            # A bond that leads nowhere would keep it waiting, mute, for ever.
            wanted |= {SKIP_ANNOUNCEMENTS: "true"} | dict.fromkeys(BONDS)
        return wanted

    def put_back(self, uuids: Iterable[str]) -> None:
        """They were not loaded after all."""
        self._attempted.difference_update(uuids)
        self.is_stale = True

    def free(self, uuid: str) -> None:
        """The switch has no session of that uuid any more."""
        if uuid in self._legs and uuid not in self._attempted and uuid not in self._outcome:
            self.is_stale = True

    # -- what became of them

    def see(self, uuid: str, now_ms: int) -> None:
        """The switch has it."""
        if uuid in self._attempted and uuid not in self._outcome:
            self._outcome[uuid] = ""
            self.last_ms = now_ms

    def track(self, uuid: str, now_ms: int) -> None:
        """The switch wrote a row of it."""
        self.see(uuid, now_ms)
        self._uncounted.add(uuid)

    def end(self, uuid: str, cause: str, now_ms: int) -> None:
        """It ended here."""
        self.see(uuid, now_ms)
        if uuid in self._attempted:
            self._uncounted.add(uuid)
        is_told = uuid in self._told
        if (
            self._outcome.get(uuid) == ""
            and uuid in self._attempted
            and not is_told
            and cause not in _ORDINARY
        ):
            self._outcome[uuid] = f"ended as soon as it was back: {cause}"

    def missing(self) -> list[str]:
        """Loaded, and not seen since."""
        return [uuid for uuid in self._legs if uuid in self._attempted and uuid not in self._outcome]

    @property
    def has_news(self) -> bool:
        """Whether there is something to conclude."""
        return any(uuid not in self._told for uuid in self._legs)

    def conclude(self, wall_ms: int) -> tuple[list[LostCall], int]:
        """What is lost, and how many came back, since the last conclusion."""
        lost: list[LostCall] = []
        recovered = 0
        fresh = [uuid for uuid in self._legs if uuid not in self._told]
        # Each judged by what the others are now, before any of them is told.
        for uuid, reason in [(uuid, self._verdict(uuid)) for uuid in fresh]:
            self._outcome[uuid] = reason
            self._told.add(uuid)
            if reason:
                record, lost_s = self._legs[uuid], wall_ms // 1000
                lost.append(LostCall.of(uuid, record, reason, self._group.name, self.source, lost_s))
            else:
                recovered += 1
        return lost, recovered

    def _verdict(self, uuid: str) -> str:
        if uuid in self._outcome:
            return self._outcome[uuid]
        if uuid in self._attempted:
            return NOT_BROUGHT_BACK
        return "" if self._is_here(uuid) else self.obstacle(uuid) or NOT_BROUGHT_BACK

    def key(self, uuid: str) -> Key:
        """Of a leg's record."""
        return self._keys[uuid]

    def limits(self) -> Counter[str]:
        """What the legs that have no row of their own yet use of each limit."""
        counted = [
            record
            for uuid, record in self._legs.items()
            if not self._outcome.get(uuid) and uuid not in self._uncounted
        ]
        return Counter(name for record in counted for name in record.limits_of_ours)
