"""One node's calls, its streams and its twin switch, and another node that died with calls: time goes by hand.

It watches while it runs: nothing is loaded while a recover of that profile runs, nothing that is known to live here,
and nothing is recovered by a switch that was paused when it was asked; a deadline is never behind us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.telephony.twin_switch import BUILD, TwinSwitch, call_xml
from zcluster.streams import events as streams_in
from zcluster.streams.actions import CopyCompleted, GroupAdopted, Replicated
from zcluster.streams.messages import Batch, Digest
from zcluster.streams.replicator import Replicator
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, Key, StreamId, claim_key, group_of, record_key
from zcluster.telephony.actions import (
    Action,
    ChangeRecords,
    DropForeignRows,
    DropRows,
    LoadRows,
    Run,
    StreamIsWhole,
    SwitchHealth,
    Tell,
)
from zcluster.telephony.call_record import ANSWERED, RINGING, CallRecord, pack_call, record_of_row
from zcluster.telephony.calls import Calls
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
    Row,
    RowsChanged,
    RowsListed,
    RowsLoaded,
    RowsRefused,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.settings import GroupSettings, TelephonySettings

ORPHAN_MS = 1500
WALL_MS = 1_795_459_010_000
GROUPS = (GroupSettings("g1", ("sip1", "sip1b")), GroupSettings("g2", ("sip2",)))
SETTINGS = TelephonySettings("me", GROUPS, batch_calls=2)
THEIRS = StreamId("dead", 1, CALLS)


class ReplicatorCopies:
    """`looked_at`: how many records were asked for one by one."""

    def __init__(self, replicator: Replicator) -> None:
        self.looked_at = 0
        self._tables = replicator.tables

    def entries(self, name: str) -> Iterator[Entry]:
        return self._tables[name].entries()

    def get(self, name: str, key: Key) -> Entry | None:
        self.looked_at += 1
        return self._tables[name].get(key)


def record_of(uuid: str, profile: str = "sip1", build: str = BUILD, **variables: str) -> CallRecord:
    answered_s = int(variables.pop("answered_s", "1000"))
    row = Row(
        "dead-core",
        "sofia",
        profile,
        "dead",
        uuid,
        call_xml(uuid, profile, variables.pop("direction", "inbound"), answered_s, **variables),
    )
    return record_of_row(row, build)


def ringing(profile: str = "sip1") -> CallRecord:
    return CallRecord(profile, "dead-core", BUILD, caller="100", callee="200", state=RINGING)


@dataclass
class World:
    settings: TelephonySettings = SETTINGS
    now_ms: int = 1000
    told: list[Tell] = field(default_factory=list)
    health: dict[str, str] = field(default_factory=dict)
    jobs: list[tuple[Run, bool]] = field(default_factory=list)
    tables: list[LoadRows | DropRows | DropForeignRows] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    loads: list[LoadRows] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    is_up: bool = True
    is_open: bool = False
    is_whole: bool = False
    is_table_locked: bool = False
    pause_raced: bool = False
    # Recovers of which nobody waits for the answer, and until when they run.
    orphans: list[tuple[str, int]] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    counter: int = 1
    sent: int = 0
    lives: int = 1
    incarnation: int = 1
    # In one turn.
    most_looked_at: int = 0

    def __post_init__(self) -> None:
        self.replicator = Replicator("me", self.incarnation, b"k" * 32)
        self.copies = ReplicatorCopies(self.replicator)
        self.calls = Calls(self.settings, self.copies)
        self.switch = TwinSwitch("core-1", tuple(p for group in self.settings.groups for p in group.profiles))
        self.stream(streams_in.Tick())

    # -- the shell

    def hear(self, event: Event) -> list[Action]:
        now = Moment(self.now_ms, WALL_MS + self.now_ms)
        before = self.copies.looked_at
        actions = self.calls.handle(event, now)
        self.most_looked_at = max(self.most_looked_at, self.copies.looked_at - before)
        due_ms = self.calls.deadline()
        assert due_ms is None or due_ms > self.now_ms, f"{event} leaves a deadline that is over"
        for action in actions:
            self.perform(action)
        return actions

    def perform(self, action: Action) -> None:
        match action:
            case Run():
                self.jobs.append((action, False))
            case LoadRows():
                self.loads.append(action)
                lives = [
                    row.uuid for row in action.rows if row.uuid in self.known & self.switch.sessions.keys()
                ]
                assert not lives, f"{lives} live here"
                assert all(row.runtime_uuid != self.switch.core_uuid for row in action.rows)
                self.tables.append(action)
            case DropRows() | DropForeignRows():
                self.tables.append(action)
            case ChangeRecords(name, changes):
                self.stream(streams_in.RecordsChanged(name, changes))
            case StreamIsWhole(name):
                self.is_whole = True
                self.stream(streams_in.StreamLoaded(name))
            case SwitchHealth(subject, problem):
                self.health[subject] = problem
            case Tell():
                self.told.append(action)

    def stream(self, event: streams_in.Event) -> None:
        for action in self.replicator.handle(event, self.now_ms):
            if isinstance(action, Replicated | GroupAdopted | CopyCompleted):
                self.hear(action)

    def wait(self, ms: int) -> None:
        """Time goes by; ticks come when they are due."""
        end_ms = self.now_ms + ms
        while True:
            dues = [due for due in (self.calls.deadline(), self.replicator.deadline()) if due is not None]
            due_ms = max(self.now_ms, min(dues, default=end_ms))
            if due_ms >= end_ms:
                break
            self.now_ms = max(due_ms, self.now_ms + 1)
            self._end_orphans()
            self.stream(streams_in.Tick())
            self.hear(Tick())
        self.now_ms = end_ms
        self._end_orphans()
        self.stream(streams_in.Tick())
        self.hear(Tick())

    # -- the switch and its table

    def work(self, place: int = 0) -> bool:
        """One thing that was asked for goes one step further; false when nothing waits."""
        if self.tables:
            return self._write()
        if not self.jobs or not self.is_open:
            return False
        run, is_begun = self.jobs.pop(place % len(self.jobs))
        words = run.command.name.split()[1:]
        match words:
            case ["sofia", "profile", profile, "recover"] if not is_begun:
                assert self.pause_raced or not self.switch.paused, "recovered while paused"
                self.switch.recover_begins(profile)
                self.jobs.append((run, True))
            case ["sofia", "profile", profile, "recover"]:
                self.switch.recover_ends(profile)
                self._answer(run, "No sessions to recover.\n")
            case ["sofia", "profile", profile, "rescan"] if profile in self.switch.broken:
                self._answer(run, f"Reload XML [Success]\n-ERR cannot find config for profile {profile}\n")
            case ["sofia", "profile", profile, "rescan"]:
                self.switch.standby.add(profile)
                self._answer(run, "Reload XML [Success]\n+OK scan complete\n")
            case ["hupall", "MANAGER_REQUEST", "sofia_profile_name", profile]:
                sessions = self.switch.sessions.items()
                hit = [uuid for uuid, each in sessions if each.profile == profile]
                for uuid in [uuid for uuid in hit if uuid not in self.switch.stuck]:
                    self.switch.hang_up(uuid, "MANAGER_REQUEST")
                self._answer(run, "+OK hangup all channels matching")
            case ["fsctl", "pause_check", direction]:
                self._answer(run, "true" if direction in self.switch.paused else "false")
            case ["fsctl", "shutdown_check"]:
                self._answer(run, "true" if self.switch.is_leaving else "false")
            case ["fsctl", "ready_check"]:
                self._answer(run, "false" if len(self.switch.paused) == 2 else "true")
            case ["uuid_exists", uuid]:
                self._answer(run, "true" if uuid in self.switch.sessions else "false")
            case ["uuid_setvar", uuid, "sip_invite_cseq"]:
                self._answer(run, "+OK\n")
            case ["show", "channels", "as", "json"]:
                self.known |= self.switch.sessions.keys()
                self._answer(run, self.switch.listed())
            case _:
                raise AssertionError(f"nobody asked for {run.command.name}")
        return True

    def _answer(self, run: Run, text: str) -> None:
        self.ran.append(run.command.name)
        self.hear(Answered(run.purpose, text))

    def _write(self) -> bool:
        wish = self.tables.pop(0)
        if self.is_table_locked:
            self.hear(RowsRefused(wish.purpose, "database is locked"))
            return True
        match wish:
            case LoadRows(purpose, rows):
                busy = {row.profile for row in rows} & set(self.switch.running)
                assert not busy, f"loaded while a recover of {busy} runs"
                skipped = self.switch.load(rows)
                self.hear(RowsLoaded(purpose, len(rows) - len(skipped), skipped))
            case DropRows(purpose, uuids):
                self.switch.drop(uuids)
                self.hear(RowsLoaded(purpose, len(uuids)))
            case DropForeignRows(purpose, core_uuid):
                self.switch.drop_foreign(core_uuid)
                self.hear(RowsLoaded(purpose, 0))
        return True

    def tell_events(self) -> None:
        events, self.switch.events = self.switch.events, []
        for event in events:
            if event.name in ("CHANNEL_CREATE", "CHANNEL_ANSWER"):
                self.known.add(event.get("Unique-ID"))
            if event.name == "CHANNEL_DESTROY":
                self.known.discard(event.get("Unique-ID"))
            self.hear(Happened(event))

    def lose_events(self) -> None:
        self.switch.events = []
        self.hear(EventsLost("a few"))

    def tell_rows(self) -> None:
        self.switch.write()
        if changes := self.switch.read_log():
            self.known |= {uuid for uuid, row in changes if row and row.runtime_uuid == self.switch.core_uuid}
            self.hear(RowsChanged(changes))

    def hear_all(self, rows: Sequence[Row]) -> list[Action]:
        """The table was read as a whole: one piece for each row, then the list of them."""
        for row in rows:
            self.hear(RowsChanged(((row.uuid, row),)))
        return self.hear(RowsListed(tuple((row.uuid, row.runtime_uuid) for row in rows)))

    def open_switch(self) -> None:
        if self.is_open:
            return
        self.is_open = True
        self.hear(SwitchOpened(self.switch.core_uuid, BUILD, "me", is_same_life=False))
        if not self.is_whole:
            self.hear_all(self.switch.rows)

    def disconnect(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        # Jobs that the switch began go on without us.
        jobs, self.jobs = self.jobs, []
        begun = [run.command.name.split()[3] for run, is_begun in jobs if is_begun]
        self.orphans += [(profile, self.now_ms + ORPHAN_MS) for profile in begun]
        self.switch.events = []
        self.hear(SwitchClosed("connection reset"))
        for run, _ in jobs:
            self.hear(Unanswered(run.purpose, "the connection ended"))

    def _end_orphans(self) -> None:
        for profile, end_ms in list(self.orphans):
            if self.now_ms >= end_ms:
                self.orphans.remove((profile, end_ms))
                self.switch.recover_ends(profile)

    def kill_switch(self) -> None:
        self.disconnect()
        old = self.switch
        self.lives += 1
        self.switch = TwinSwitch(f"core-{self.lives}", old.profiles, rows=old.rows, log=old.log)
        self.known.clear()
        self.orphans.clear()

    def pause(self, direction: str) -> None:
        self.switch.paused.add(direction)
        # Between our question and our order anybody may pause it; that race is not ours to win.
        self.pause_raced = any(
            "recover" in run.command.name or "fsctl" in run.command.name for run, _ in self.jobs
        )

    def resume(self) -> None:
        self.switch.paused.clear()

    # -- groups

    def give_calls(self, records: dict[str, CallRecord], group: str = "g1") -> None:
        """The other node writes these (and claims its groups with its first words)."""
        changes: list[bytes | None] = []
        for uuid, record in records.items():
            changes += [record_key(group, uuid.encode()), self._marked(pack_call(record))]
        self.send(changes)

    def claim_theirs(self, *groups: str) -> None:
        changes: list[bytes | None] = []
        for group in groups:
            changes += [claim_key(group.encode()), self._marked((1).to_bytes(8, "little"))]
        self.send(changes)

    def send(self, changes: list[bytes | None]) -> None:
        batch = Batch(THEIRS, self.sent + 1, tuple(changes), 100)
        self.sent += len(changes) // 2
        self.stream(streams_in.MessageReceived(batch, "dead"))

    def _marked(self, body: bytes) -> bytes:
        return (self.sent + 1).to_bytes(8, "little") + body

    def die(self) -> None:
        table = self.replicator.tables[CALLS].copies[THEIRS].table
        digest = Digest(THEIRS, self.sent, table.count, table.total, True)
        self.stream(streams_in.MessageReceived(digest, "dead"))
        self.stream(streams_in.PeerFailed("dead"))

    def win(self, group: str) -> None:
        if group not in self.held:
            self.counter += 1
            self.held[group] = self.counter
        self.stream(streams_in.GroupWon(group, self.held[group]))
        self.hear(GroupWon(group, self.held[group]))

    def open(self, group: str) -> None:
        if group in self.held:
            self.hear(GroupOpened(group, self.held[group]))

    def lapse(self, group: str) -> None:
        if group in self.held:
            self.hear(GroupLapsed(group))

    def lose(self, group: str) -> None:
        if self.held.pop(group, None) is not None:
            self.stream(streams_in.GroupLost(group))
            self.hear(GroupLost(group))

    # -- what came of it

    def settle(self, ms: int = 8000) -> None:
        """Everything that can go on does."""
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms:
            for _ in range(200):
                self.tell_events()
                self.tell_rows()
                if not self.work():
                    break
            self.wait(100)

    def records(self, group: str) -> set[str]:
        """The uuids that our own stream has of a group."""
        own = self.replicator.tables[CALLS].own.table
        return {
            key[len(group) + 1 :].decode()
            for key, _ in own.items()
            if group_of(key) == group.encode() and b"\0" in key
        }

    def lost(self) -> dict[str, str]:
        """Uuid to reason; each is in the list once."""
        found = Counter(call.uuid for call in self.calls.lost())
        assert all(count == 1 for count in found.values()), found
        return {call.uuid: call.reason for call in self.calls.lost()}

    def summary(self, group: str = "g1") -> dict[str, object]:
        """The facts of the last `calls-recovered`."""
        return [
            dict(t.facts) for t in self.told if t.code == "calls-recovered" and t.facts["group"] == group
        ][-1]


def bridged(
    first: str, second: str, profile: str = "sip1", other: str = "", **more: str
) -> dict[str, CallRecord]:
    """Both legs of a call."""
    return {
        first: record_of(first, profile, signal_bond=second, bridge_to=second, **more),
        second: record_of(second, other or profile, signal_bond=first, bridge_to=first, **more),
    }


def answered_without_row(profile: str = "sip1") -> CallRecord:
    return CallRecord(profile, "dead-core", BUILD, state=ANSWERED)
