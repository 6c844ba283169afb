"""Session limits of the whole cluster: what our switch counts is told to all, what the others count to our switch.

What must hold: every node counts its own sessions and nobody else's; the cluster's number is a sum (`limit_sums.py`),
never a shared counter. Our switch's mod_hash asks for the others' sum as if we were another FreeSWITCH (`answer`), so
no dialplan changes. What it counts itself is never in that answer: recovered bridged calls are, because it does not
count those.

An increment is told by an event at once; a release by nothing, so while something is used the switch is asked every
`poll_ms`. Records: one for each limit under no group, (sessions that mod_hash counts, recovered sessions); and a last
one, SWITCH_KEY, with the core UUID of the switch, "" while it is closed: one change says that all the others hold no
longer. Cluster-wide rates are in `rates.py`, limits that no burst passes in `strict_limits.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zcluster.control.units import NodeName
from zcluster.errors import BadMessage
from zcluster.streams.actions import CopyCompleted, GroupAdopted, Replicated
from zcluster.streams.limits import StreamLimits
from zcluster.streams.units import LIMITS, NO_GROUP, Record, body_of, group_of, record_key
from zcluster.switch import commands
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony import hash_dump
from zcluster.telephony.actions import Action, ChangeRecords, Run, StreamIsWhole, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    EventsLost,
    Happened,
    Moment,
    PeersChanged,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.hash_dump import Usage
from zcluster.telephony.limit_sums import Count, Standing, Sums
from zcluster.telephony.limit_watch import RemoteWatch
from zcluster.telephony.mastership import Mastership
from zcluster.telephony.packing import pack, unpack
from zcluster.telephony.part import Copies
from zcluster.telephony.rates import Rates
from zcluster.telephony.settings import TelephonySettings
from zcluster.telephony.strict_limits import StrictLimits

DUMP = "limits:dump"
USED = "limit::usage"
# A limit's name has an underscore and no NUL.
SWITCH_NAME = b"\0switch"
SWITCH_KEY = record_key("", SWITCH_NAME)
LARGEST_LIFE = 64


@dataclass(frozen=True, slots=True)
class LimitTiming:
    """In milliseconds. `zero_ms` is longer than the second in which mod_hash does not forget by itself.

    `look_ms` is shorter than any silence that makes a node failed: what it said last was seen before.
    """

    poll_ms: int = 250
    idle_poll_ms: int = 5000
    answer_ms: int = 2000
    look_ms: int = 50
    keep_ms: int = StreamLimits().orphan_share_ms
    early_ms: int = 2000
    zero_ms: int = 2500


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit as an operator sees it: sessions by node, and those of nodes that went and may yet be recovered."""

    name: str
    counts: tuple[tuple[NodeName, Count], ...]
    kept: int

    @property
    def total(self) -> int:
        """What a call is compared with."""
        return sum(count.total for _, count in self.counts) + self.kept


class Limits:
    """A part: see `part.py`.

    `recovered`: for each limit, the calls here that were adopted from another node and whose limit our mod_hash
    does not count, from the moment of their adoption (recovered yet or not) until they end or are lost.
    """

    def __init__(
        self,
        settings: TelephonySettings,
        copies: Copies,
        recovered: Callable[[], Mapping[str, int]],
        timing: LimitTiming | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._node = settings.node
        self._copies = copies
        self._recovered = recovered
        self._timing = timing or LimitTiming()
        self._mastership = Mastership()
        self._rates = Rates(settings, copies, self._mastership)
        self._strict = StrictLimits(settings, copies, self._mastership)
        self._watch = RemoteWatch(settings.limits_port, bool(settings.strict_limits))
        self._sums = Sums(self._timing.keep_ms, self._timing.early_ms)
        self._now = Moment(0, 0)
        # The life of our switch that our records speak of, and the one whose first dump we wait for.
        self._life = ""
        self._opening = ""
        self._usages: dict[str, Usage] = {}
        self._published: dict[str, Count] = {}
        self._is_asked = False
        self._ask_at_ms: int | None = None
        self._look_at_ms: int | None = None
        self._clear_at_ms: int | None = None
        # Names that mod_hash may still hold a number for, and until when they are told as zero.
        self._told: dict[str, int] = {}
        self._warned: set[str] = set()
        self._standings: dict[NodeName, Standing] = {}

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        self._now = now
        self._mastership.handle(event)
        actions: list[Action] = []
        match event:
            case SwitchOpened(core_uuid=life):
                self._opening = life[:LARGEST_LIFE] or "unnamed"
                self._watch.open(now.mono_ms)
                self._ask_at_ms = now.mono_ms
            case SwitchClosed():
                self._close(actions)
            case Happened(happened) if happened.subclass == USED:
                self._use(happened, actions)
            case Answered(purpose, text) if purpose == DUMP:
                self._is_asked = False
                self._learn(text, actions)
            case Unanswered(purpose) if purpose == DUMP:
                self._is_asked = False
                self._strict.fails()
                self._ask_at_ms = now.mono_ms + self._timing.poll_ms
            case EventsLost():
                self._ask_at_ms = now.mono_ms
            case Replicated(stream) | CopyCompleted(stream) if stream.name == LIMITS:
                self._look_by(now.mono_ms + self._timing.look_ms)
            case PeersChanged() | GroupAdopted():
                self._look_by(now.mono_ms)
            case _:
                pass
        if isinstance(event, Tick):
            self._advance(now.mono_ms, actions)
        return actions + self._rates.handle(event, now)

    def deadline(self) -> int | None:
        """When `Tick` is due at the latest."""
        is_askable = bool(self._life or self._opening) and not self._is_asked
        wanted = (
            self._ask_at_ms if is_askable else None,
            self._look_at_ms,
            self._clear_at_ms,
            self._sums.deadline(),
            self._rates.deadline(),
            self._strict.deadline(),
            self._watch.deadline(),
        )
        return min((at for at in wanted if at is not None), default=None)

    def answer(self) -> str:
        """What our switch's mod_hash is told: the sessions that it does not count itself. Never empty."""
        self._watch.ask()
        self._look(self._now.mono_ms)
        sessions = self._sums.others(self._node) | self._strict.answer(self._published)
        now_ms = self._now.mono_ms
        self._told = {name: until for name, until in self._told.items() if until > now_ms or name in sessions}
        zeros = dict.fromkeys(self._told, 0)
        self._told |= dict.fromkeys(sessions, now_ms + self._timing.zero_ms)
        return hash_dump.write(zeros | sessions)

    def rows(self) -> tuple[LimitRow, ...]:
        """Every limit in use, by name."""
        self._look(self._now.mono_ms)
        kept = self._sums.kept()
        names = {name for standing in self._standings.values() for name in standing.counts} | kept.keys()
        return tuple(self._row(name, kept.get(name, 0)) for name in sorted(names))

    # -- our own switch

    def _close(self, actions: list[Action]) -> None:
        """Its calls may be recovered elsewhere: from now on our records say what was, not what is."""
        if self._life:
            # What it used last must have been seen before it goes.
            self._look(self._now.mono_ms)
            actions.append(ChangeRecords(LIMITS, ((SWITCH_KEY, pack(("",))),)))
            self._clear_at_ms = self._now.mono_ms + self._timing.keep_ms
            self._look_by(self._now.mono_ms)
        self._life = self._opening = ""
        self._watch.close()

    def _use(self, event: SwitchEvent, actions: list[Action]) -> None:
        """A session more. The number is the switch's own, at the time of the event."""
        name = f"{event.get('realm')}_{event.get('key')}"
        sessions, rate = event.number("usage"), event.number("rate")
        if not self._life or event.get("backend") != "hash":
            return
        if sessions is None or rate is None or not hash_dump.is_name(name):
            self.counts["bad event"] += 1
            return
        if name not in self._usages and len(self._usages) >= hash_dump.LARGEST_NAMES:
            self.counts["too many limits"] += 1
            return
        old = self._usages.get(name, Usage(0))
        self._usages[name] = old._replace(sessions=hash_dump.bounded(sessions), rate=hash_dump.bounded(rate))
        soon_ms = self._now.mono_ms + self._timing.poll_ms
        self._ask_at_ms = soon_ms if self._ask_at_ms is None else min(self._ask_at_ms, soon_ms)
        self._publish(actions)

    def _learn(self, text: str, actions: list[Action]) -> None:
        dump = hash_dump.parse(text)
        if dump is None:
            self._warn("limits-no-hash", "the switch has no mod_hash: no limit of it is counted", actions)
            dump = hash_dump.Dump({}, 0)
        if dump.skipped:
            self.counts["bad line"] += dump.skipped
        if not (self._life or self._opening):
            return
        self._usages = dump.usages
        self._rates.note(dump.usages, self._now)
        for name in dump.usages:
            if not hash_dump.is_tellable(name):
                text = f"the limit {name!r} cannot be told to other switches: no slash, quote or backslash"
                self._warn(f"limits-name:{name}", text, actions)
        is_new = bool(self._opening)
        if is_new:
            self._life, self._opening = self._opening, ""
            self._clear_at_ms = None
        self._publish(actions)
        if is_new:
            actions.append(ChangeRecords(LIMITS, ((SWITCH_KEY, pack((self._life,))),)))
            actions.append(StreamIsWhole(LIMITS))
        is_used = bool(self._published)
        self._ask_at_ms = self._now.mono_ms + (self._timing.poll_ms if is_used else self._timing.idle_poll_ms)

    def _own_counts(self) -> dict[str, Count]:
        recovered = self._recovered()
        names = sorted(self._usages.keys() | recovered.keys())
        counts = {
            name: Count(self._usages.get(name, Usage(0)).sessions, hash_dump.bounded(recovered.get(name, 0)))
            for name in names
            if hash_dump.is_name(name)
        }
        return {name: count for name, count in counts.items() if count.total}

    def _publish(self, actions: list[Action]) -> None:
        """Tell what changed of our own counts."""
        if not self._life:
            return
        fresh, old = self._own_counts(), self._published
        changes: list[tuple[bytes, bytes | None]] = [
            (record_key("", name.encode()), pack(count))
            for name, count in fresh.items()
            if old.get(name) != count
        ]
        changes += [(record_key("", name.encode()), None) for name in old if name not in fresh]
        if changes:
            self._published = fresh
            actions.append(ChangeRecords(LIMITS, tuple(changes)))
            self._look_by(self._now.mono_ms)

    # -- the others

    def _look_by(self, at_ms: int) -> None:
        self._look_at_ms = at_ms if self._look_at_ms is None else min(self._look_at_ms, at_ms)

    def _look(self, now_ms: int) -> None:
        """Read what all say. Seldom, because a table of many nodes is long: the sums need only what is now."""
        self._look_at_ms = None
        self._standings = self._read()
        self._sums.see(self._standings, now_ms)

    def _read(self) -> dict[NodeName, Standing]:
        lives: dict[tuple[NodeName, int], str] = {}
        counts: dict[tuple[NodeName, int], dict[str, Count]] = {}
        for stream, key, record, _ in self._copies.entries(LIMITS):
            if stream.node == self._node or group_of(key) != NO_GROUP:
                continue
            place = (stream.node, stream.incarnation)
            try:
                if key == SWITCH_KEY:
                    lives[place] = _life(record)
                elif not key.startswith(b"\0\0"):
                    counted = counts.setdefault(place, {})
                    if len(counted) < hash_dump.LARGEST_NAMES:
                        counted[_name(key)] = _count(record)
            except BadMessage:
                self.counts["bad record"] += 1
        # Of two lives of a node the younger one, as they are in order.
        found = {place[0]: Standing(life, counts.get(place, {})) for place, life in sorted(lives.items())}
        if self._life:
            found[self._node] = Standing(self._life, self._published)
        return found

    def _row(self, name: str, kept: int) -> LimitRow:
        counts = (
            (node, standing.counts[name])
            for node, standing in sorted(self._standings.items())
            if standing.life and name in standing.counts
        )
        return LimitRow(name, tuple(counts), kept)

    # -- time

    def _advance(self, now_ms: int, actions: list[Action]) -> None:
        if self._clear_at_ms is not None and now_ms >= self._clear_at_ms:
            self._clear(actions)
        self._publish(actions)
        kept_until_ms = self._sums.deadline()
        is_over = kept_until_ms is not None and now_ms >= kept_until_ms
        if is_over or (self._look_at_ms is not None and now_ms >= self._look_at_ms):
            self._look(now_ms)
        is_due = self._ask_at_ms is not None and now_ms >= self._ask_at_ms
        is_due = is_due or self._strict.wants_dump
        if is_due and not self._is_asked and (self._life or self._opening):
            self._is_asked = True
            self._ask_at_ms = None
            self._strict.asks()
            actions.append(Run(DUMP, commands.api("hash_dump", "limit"), self._timing.answer_ms))
        actions += self._strict.advance(self._published, not self._is_asked, now_ms)
        actions += self._watch.advance(bool(self._usages), now_ms)

    def _clear(self, actions: list[Action]) -> None:
        """What our switch used before it closed can be recovered by nobody any more."""
        self._clear_at_ms = None
        gone = tuple((record_key("", name.encode()), None) for name in self._published)
        self._published, self._usages = {}, {}
        if gone:
            actions.append(ChangeRecords(LIMITS, gone))

    def _warn(self, code: str, text: str, actions: list[Action]) -> None:
        if code not in self._warned and len(self._warned) < hash_dump.LARGEST_NAMES:
            self._warned.add(code)
            actions.append(Tell("warning", code.partition(":")[0], text, {}))


def _name(key: bytes) -> str:
    try:
        name = key[1:].decode()
    except UnicodeDecodeError as problem:
        raise BadMessage("limit: a name that is no UTF-8") from problem
    if not hash_dump.is_name(name):
        raise BadMessage("limit: a name that is too long")
    return name


def _count(record: Record) -> Count:
    usage, recovered = unpack(body_of(record), 2)
    if type(usage) is not int or type(recovered) is not int:
        raise BadMessage("limit: a count that is no number")
    return Count(hash_dump.bounded(usage), hash_dump.bounded(recovered))


def _life(record: Record) -> str:
    (life,) = unpack(body_of(record), 1)
    if not isinstance(life, str) or len(life) > LARGEST_LIFE:
        raise BadMessage("limit: no life of a switch")
    return life
