"""Calls: what lives on our switch as records for the others, and the others' calls when their group becomes ours.

What must hold: the records of a group are those of its switch, also while that switch is dying, so that whoever adopts
them can bring the calls back; nothing is recovered before the rows of an earlier life of the switch are gone from its
table; a call is never loaded where it lives. Each adopted call comes back or is in the list of the lost, once.

A switch that starts anew while a group stays ours is taken over from our own records, like another's.
"""

from __future__ import annotations

from collections import Counter

from zcluster.control.units import GroupName
from zcluster.streams.actions import GroupAdopted, Replicated
from zcluster.streams.units import CALLS, group_of
from zcluster.switch.commands import api
from zcluster.telephony.actions import (
    Action,
    ChangeRecords,
    DropForeignRows,
    Run,
    StreamIsWhole,
    SwitchHealth,
    Tell,
)
from zcluster.telephony.channels import Channels
from zcluster.telephony.desk import PART, Desk
from zcluster.telephony.errands import EXISTS, UNSET
from zcluster.telephony.events import (
    Answered,
    Event,
    EventsLost,
    GroupLapsed,
    GroupLost,
    GroupOpened,
    GroupWon,
    Happened,
    Moment,
    PeersChanged,
    Row,
    RowsChanged,
    RowsListed,
    RowsLoaded,
    RowsRefused,
    SwitchClosed,
    SwitchOpened,
    Unanswered,
)
from zcluster.telephony.inheritance import Inheritance
from zcluster.telephony.lane import Lane
from zcluster.telephony.lost_calls import LostCall
from zcluster.telephony.part import Copies
from zcluster.telephony.settings import TelephonySettings

CLEAN_RETRY_MS = 500
LIST_LIMIT_MS = 30_000
LARGEST_HELD_BACK = 50_000
# Another node's word that it holds a group whose calls live here must stand so long: the news of our own
# winning it may be under way.
OTHERS_MS = 5000
_PREFIX = f"{PART}:"


class Calls:
    """One switch's."""

    def __init__(self, settings: TelephonySettings, copies: Copies) -> None:
        self.counts: Counter[str] = Counter()
        self._channels = Channels(settings, self.counts)
        self._desk = Desk(settings, copies, self._channels)
        self._lanes = {group.name: Lane(group, self._desk) for group in settings.groups}
        self._inheritance = Inheritance()
        self._node = settings.node
        self._cleaning = ""
        self._clean_at_ms: int | None = None
        self._listing = ""
        # Rows that came before we knew whose they are: the switch's, or what an earlier life left.
        self._held_back: dict[str, Row] = {}
        # Which legs have a row, of those that were listed while the switch could not be asked.
        self._present: set[str] | None = None
        self._are_rows_known = False
        self._is_whole = False
        self._told: dict[str, str] = {}
        self._others_ms: dict[GroupName, int] = {}
        self._holders: tuple[tuple[GroupName, str], ...] = ()

    # -- questions

    def lost(self) -> tuple[LostCall, ...]:
        """The calls that takeovers here could not bring back, oldest first; the last LARGEST_LIST of them."""
        return self._desk.lost.all()

    def recovered_limits(self) -> dict[str, int]:
        """How often each limit, "realm_resource", is used by adopted calls that the switch does not count.

        They were bridged when they were recovered and ran no `limit` here, or are not back yet. A lone leg that runs
        its `limit` again is the switch's own to count.
        """
        total = self._channels.recovered_limits()
        for takeover in self._desk.takeovers.values():
            total.update(takeover.limits())
        return dict(sorted(total.items()))

    # -- the part

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        actions: list[Action] = []
        match event:
            case SwitchOpened(core_uuid, build):
                actions += self._open(core_uuid, build, now)
            case SwitchClosed():
                self._desk.is_open = False
            case Happened(happened):
                self._channels.follow(happened)
            case EventsLost():
                actions += self._look()
            case RowsChanged(changes):
                self._take_rows(changes)
            case RowsListed(rows):
                self._list_rows(rows)
            case Answered(purpose, text) if purpose.startswith(_PREFIX):
                actions += self._answered(purpose, text, now)
            case Unanswered(purpose, reason) if purpose.startswith(_PREFIX):
                actions += self._unanswered(purpose, reason, now)
            case RowsLoaded(purpose) if purpose.startswith(_PREFIX):
                actions += self._written(purpose, now)
            case RowsRefused(purpose, reason) if purpose.startswith(_PREFIX):
                actions += self._refused(purpose, reason, now)
            case GroupAdopted(name, group, counter, source) if name == CALLS and group in self._lanes:
                self._lanes[group].adopt(counter, "" if source is None else source.node)
            case Replicated(stream, changes) if stream.name == CALLS and stream.node == self._node:
                self._inheritance.hear(changes)
            case Replicated(stream, changes) if stream.name == CALLS:
                self._stir({group_of(key) for key in changes[::2] if key is not None})
            case GroupWon() | GroupOpened() | GroupLapsed() | GroupLost() if event.group in self._lanes:
                actions += self._change_hands(event, now)
            case PeersChanged(_, holders):
                self._hear_holders(holders, now)
        return self._carry_on(actions, now)

    def deadline(self) -> int | None:
        """When something is due."""
        times = [lane.deadline() for lane in self._lanes.values()]
        times += [since_ms + OTHERS_MS for since_ms in self._others_ms.values()]
        times.append(self._clean_at_ms)
        return min((each for each in times if each is not None), default=None)

    # -- the switch

    def _open(self, core_uuid: str, build: str, now: Moment) -> list[Action]:
        self._desk.is_open = True
        if core_uuid != self._channels.core_uuid:
            self._channels.begin_life(core_uuid, build)
            self._desk.errands.clear()
            self._desk.is_clean = False
            for lane in self._lanes.values():
                lane.begin_life(now)
            self._clean_at_ms = now.mono_ms
        elif self._present is not None:
            self._channels.keep_only(self._present)
        self._channels.build = build
        held, self._held_back, self._present = self._held_back, {}, None
        self._channels.take_rows(held.items())
        self._hear_holders(self._holders, now)
        return self._look()

    def _look(self) -> list[Action]:
        """Ask which channels there are; the ringing ones have no row."""
        self._listing = self._desk.purpose("list")
        command = api("show", "channels", "as", "json")
        return [Run(self._listing, command, LIST_LIMIT_MS)] if self._desk.is_open else []

    def _take_rows(self, changes: tuple[tuple[str, Row | None], ...]) -> None:
        self._channels.take_rows(changes)
        if not self._desk.is_open:
            self._hold_back(changes)

    def _hold_back(self, changes: tuple[tuple[str, Row | None], ...]) -> None:
        """The next life's rows may come before its conversation is opened."""
        core_uuid = self._channels.core_uuid
        for uuid, row in changes:
            is_ours = row is not None and row.runtime_uuid == core_uuid
            if self._present is not None:
                (self._present.add if is_ours else self._present.discard)(uuid)
            if row is None or is_ours:
                self._held_back.pop(uuid, None)
            else:
                self._held_back[uuid] = row
        while len(self._held_back) > LARGEST_HELD_BACK:
            del self._held_back[next(iter(self._held_back))]
            self.counts["rows before the switch was known"] += 1

    def _list_rows(self, rows: tuple[tuple[str, str], ...]) -> None:
        self._are_rows_known = True
        core_uuid = self._channels.core_uuid
        present = {uuid for uuid, runtime_uuid in rows if runtime_uuid == core_uuid}
        if self._desk.is_open:
            self._channels.keep_only(present)
            return
        # Of a life that is over, all rows going at once proves nothing: its file may be a new one.
        self._present = present
        foreign = {uuid for uuid, runtime_uuid in rows if runtime_uuid != core_uuid}
        self._held_back = {uuid: row for uuid, row in self._held_back.items() if uuid in foreign}

    def _clean(self, now: Moment) -> list[Action]:
        """What an earlier life left in the table would be recovered with the next calls: it goes first."""
        if self._clean_at_ms is None or now.mono_ms < self._clean_at_ms:
            return []
        self._clean_at_ms = None
        self._cleaning = self._desk.purpose("clean")
        return [DropForeignRows(self._cleaning, self._channels.core_uuid)]

    # -- answers

    def _answered(self, purpose: str, text: str, now: Moment) -> list[Action]:
        if purpose == self._listing:
            for uuid in self._channels.take_list(text) or []:
                self._desk.errands.add(EXISTS, uuid)
            return []
        errand = self._desk.errands.answered(purpose)
        if errand is not None and errand.kind == EXISTS:
            match text.strip():
                case "true":
                    self._see(errand.uuid, now)
                case "false":
                    self._channels.end(errand.uuid)
        return [each for lane in self._lanes.values() for each in lane.answered(purpose, text, now)]

    def _unanswered(self, purpose: str, reason: str, now: Moment) -> list[Action]:
        given_up = self._desk.errands.failed(purpose)
        if given_up is not None:
            self.counts[f"given up: {given_up.kind}"] += 1
        return [each for lane in self._lanes.values() for each in lane.failed(purpose, reason, now)]

    def _written(self, purpose: str, now: Moment) -> list[Action]:
        if purpose == self._cleaning:
            self._desk.is_clean = True
            self._desk.accept_table()
        return [each for lane in self._lanes.values() for each in lane.answered(purpose, "", now)]

    def _refused(self, purpose: str, reason: str, now: Moment) -> list[Action]:
        if purpose == self._cleaning:
            self._clean_at_ms = now.mono_ms + CLEAN_RETRY_MS
            self._desk.refuse_table(reason)
        return [each for lane in self._lanes.values() for each in lane.failed(purpose, reason, now)]

    # -- groups

    def _change_hands(
        self, event: GroupWon | GroupOpened | GroupLapsed | GroupLost, now: Moment
    ) -> list[Action]:
        lane = self._lanes[event.group]
        match event:
            case GroupWon(group, counter):
                lane.win(counter)
                self._channels.hold(group)
                self._others_ms.pop(group, None)
            case GroupOpened(_, counter):
                lane.open(counter, now)
            case GroupLapsed():
                lane.lapse()
            case GroupLost(group):
                self._channels.condemn(group)
                return lane.lose(now)
        return []

    def _stir(self, groups: set[bytes]) -> None:
        for group in groups:
            takeover = self._desk.takeovers.get(group.decode(errors="replace"))
            if takeover is not None:
                takeover.is_stale = True

    def _hear_holders(self, holders: tuple[tuple[GroupName, str], ...], now: Moment) -> None:
        """A group whose loss nobody told us, because this process began after it. A switch that is gone has no
        legs, whatever we remember of it; and those of a group that was lost end already.
        """
        self._holders = holders
        for group, holder in holders:
            lane = self._lanes.get(group)
            if lane is None or lane.counter is not None or holder in ("", self._node):
                self._others_ms.pop(group, None)
            elif self._lives_unasked(group):
                self._others_ms.setdefault(group, now.mono_ms)
            else:
                self._others_ms.pop(group, None)

    def _lives_unasked(self, group: GroupName) -> bool:
        channels = self._channels
        return self._desk.is_open and any(
            not channels.is_condemned(uuid) for uuid in channels.of_group(group)
        )

    def _lose_to_others(self, now: Moment) -> list[Action]:
        actions: list[Action] = []
        for group, since_ms in list(self._others_ms.items()):
            if now.mono_ms - since_ms >= OTHERS_MS:
                del self._others_ms[group]
                if not self._lives_unasked(group):
                    continue
                self._channels.condemn(group)
                actions += self._lanes[group].lose(now)
                text = f"legs of {group} live here, but another node holds it: they end"
                actions.append(Tell("warning", "calls-of-another", text, {"group": group}))
        return actions

    # -- after everything

    def _see(self, uuid: str, now: Moment) -> None:
        for takeover in self._desk.takeovers.values():
            takeover.see(uuid, now.mono_ms)

    def _take_noticed(self, now: Moment) -> list[Action]:
        noticed = self._channels.take()
        for uuid in noticed.seen:
            self._see(uuid, now)
        for takeover in self._desk.takeovers.values():
            for uuid in noticed.tracked:
                takeover.track(uuid, now.mono_ms)
            for uuid, cause in noticed.ended:
                takeover.end(uuid, cause, now.mono_ms)
            for uuid in noticed.gone:
                takeover.free(uuid)
        for uuid in noticed.settled:
            self._desk.errands.add(UNSET, uuid)
        return [ChangeRecords(CALLS, tuple(noticed.changes))] if noticed.changes else []

    def _inherit(self) -> list[Action]:
        """When it is known what lives here, and the group's records came from nobody else.

        Another's are newer: what our earlier life wrote and they have not ended while they were master.
        """
        if not self._desk.is_ready or not self._is_whole:
            return []
        changes = []
        for group, lane in self._lanes.items():
            source = lane.source
            if source not in (None, "", self._node):
                self._inheritance.refuse(group)
            elif source is not None and (taken := self._inheritance.take(group, self._channels)):
                changes += taken
                self._stir({group.encode()})
        return [ChangeRecords(CALLS, tuple(changes))] if changes else []

    def _carry_on(self, actions: list[Action], now: Moment) -> list[Action]:
        actions = self._take_noticed(now) + actions
        if self._channels.core_uuid and self._are_rows_known and not self._is_whole:
            self._is_whole = True
            actions.append(StreamIsWhole(CALLS))
        actions += self._clean(now)
        actions += self._lose_to_others(now)
        for lane in self._lanes.values():
            lane.read(now)
        for lane in self._lanes.values():
            actions += lane.advance(now)
        # After the lanes: one that begins now has read the records without these, and reads them again.
        actions += self._inherit()
        if self._desk.is_open:
            actions += self._desk.errands.due()
        return actions + self._tell_health()

    def _tell_health(self) -> list[Action]:
        blocked = dict.fromkeys(lane.blocked for lane in self._lanes.values() if lane.blocked)
        problems = {"recovery": "; ".join(blocked), "core-db": self._desk.table_problem}
        changed = [
            SwitchHealth(subject, problem)
            for subject, problem in problems.items()
            if self._told.get(subject, "") != problem
        ]
        self._told = problems
        return list(changed)
