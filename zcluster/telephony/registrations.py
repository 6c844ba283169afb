"""Registrations: what the phones of our groups told our switch, and what the others' phones told theirs.

What must hold: only who holds a group speaks of its registrations, and only what its own profiles say counts. A record
ends because the owner's switch said so, or a while after it should have; never because a reader's clock or a reader's
switch did. What we put into our switch is never taken for something that a phone said: the switch fires nothing for
it, and when it drops a copy of ours no record has that Call-ID. A profile that we do not hold keeps no rows.

Which rows the switch replaced is not in its events: where a user has several bindings, it is asked (Inquiry).
Source: sofia_reg.c:726 (expire), 2059 (register), 2213 (unregister), sofia.c:2056 (a connection that ended).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.streams.actions import GroupAdopted, Replicated
from zcluster.streams.units import REGISTRATIONS, Key, body_of, group_of
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, ChangeRecords, Run, StreamIsWhole, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    EventsLost,
    GroupLost,
    GroupWon,
    Happened,
    Moment,
    PeersChanged,
    SwitchClosed,
    SwitchOpened,
    Unanswered,
)
from zcluster.telephony.registration_audit import Audit
from zcluster.telephony.registration_injection import is_copy
from zcluster.telephony.registration_inquiry import (
    LARGEST_LISTING,
    PROFILE,
    ROWS,
    USER,
    Inquiry,
)
from zcluster.telephony.registration_listing import Listed, read_profile, read_rows
from zcluster.telephony.registration_placement import NOTHING, Placement, WalkedCopies
from zcluster.telephony.registration_probe import PROBE, Probe
from zcluster.telephony.registration_record import (
    Binding,
    Place,
    Registration,
    key_of,
    pack,
    place_of,
    unpack,
)
from zcluster.telephony.registration_rows import RegistrationRow, registration_rows
from zcluster.telephony.registration_source import binding_of_event, binding_of_row, presence_hosts_of
from zcluster.telephony.settings import TelephonySettings

# The events of the switch that this part lives by.
SUBCLASSES = ("sofia::register", "sofia::unregister", "sofia::expire")

# Two clocks that count whole seconds, and a queue between row and event.
SLACK_MS = 5_000
# A daemon that starts beside a working switch learns within this time which groups it holds.
CLEAN_AFTER_MS = 10_000
# An event is later than the row that it tells of, but not by so much.
STRANGE_MS = 5_000
ORDER = "registrations:put:"


class Registrations:
    """Of one node."""

    def __init__(self, settings: TelephonySettings, copies: WalkedCopies) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._copies = copies
        self._placement = Placement(settings, copies, self.counts)
        self._inquiry = Inquiry(self.counts)
        self._is_open = False
        self._is_same_life = False
        self._life = 0
        # Questions whose answers our stream needs before it is whole; None once it is.
        self._lacking: set[str] | None = set()
        # Groups whose profiles we cleared or began to: the switch has no rows of them but what we put there.
        self._cleared: set[GroupName] = set()
        # Rows in a cleared profile of which no record speaks, though its word may be on the way; and since when.
        self._strange: deque[tuple[int, Place, str]] = deque()
        self._is_cleaning = False
        self._is_control_heard = False
        self._clean_at_ms: int | None = None
        self._audit = Audit(settings.node, self.counts)
        self._probe = Probe()
        self._probed: set[str] = set()

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        actions: list[Action] = []
        match event:
            case Happened(happened) if happened.subclass in SUBCLASSES:
                actions += self._hear(happened, now)
            case Replicated(stream, changes) if stream.name == REGISTRATIONS:
                self._placement.change(changes)
            case Answered(purpose, text):
                actions += self._answer(purpose, text, now)
            case Unanswered(purpose, _):
                actions += self._answer(purpose, "", now)
            case SwitchOpened(switchname=switchname, is_same_life=is_same_life):
                actions += self._open(switchname, is_same_life, now)
            case SwitchClosed():
                self._close()
            case EventsLost():
                self._is_same_life = True
                actions += [
                    self._inquiry.profile(profile) for profile in self._profiles(self._placement.held)
                ]
            case GroupWon(group, _):
                actions += self._win(group, now)
            case GroupLost(group):
                self._lose(group, now)
            case GroupAdopted(name, group) if name == REGISTRATIONS:
                self._placement.adopt(group, group in self._cleared)
            case PeersChanged():
                # Who holds what does not change the way to a phone: that leads by its group's own address.
                self._is_control_heard = True
        return actions + self._do_what_is_due(now)

    def deadline(self) -> int | None:
        """When there is something to order, to read or to forget."""
        times = [
            self._placement.deadline(),
            self._clean_at_ms,
            self._audit.deadline(),
            self._probe.deadline(),
        ]
        if self._inquiry.is_reading:
            times.append(0)
        if self._strange:
            times.append(self._strange[0][0])
        return min((at_ms for at_ms in times if at_ms is not None), default=None)

    def rows(self, now: Moment) -> Iterator[RegistrationRow]:
        """Every binding that is known in the cluster. Take them before the next event."""
        return registration_rows(self._copies.entries(REGISTRATIONS), self._placement.address, now)

    # -- the conversation and the groups

    def _open(self, switchname: str, is_same_life: bool, now: Moment) -> list[Action]:
        self._close()
        self._is_open = True
        self._life += 1
        self._is_same_life = is_same_life
        self._strange.clear()
        self._placement.open(switchname, self._cleared)
        self._clean_at_ms = now.mono_ms + CLEAN_AFTER_MS
        held = self._profiles(self._placement.held)
        self._lacking = {PROFILE + profile for profile in held}
        every = [profile for group in self._settings.groups for profile in group.profiles]
        return [self._inquiry.profile(profile) for profile in every]

    def _close(self) -> None:
        self._is_open = False
        self._clean_at_ms = None
        self._is_cleaning = False
        self._placement.close()
        self._inquiry.close()
        self._probe.stop()
        self._probed.clear()
        self._audit.give_up()

    def _win(self, group: GroupName, now: Moment) -> list[Action]:
        self._is_control_heard = True
        self._placement.win(group)
        self._audit.start(now.mono_ms)
        if not self._is_open:
            return []
        # We may have held it in an earlier life of ours, of which the switch knows more than we; or we lost it
        # a moment ago, and not everything is out yet.
        return [self._inquiry.profile(profile) for profile in self._profiles({group})]

    def _lose(self, group: GroupName, now: Moment) -> None:
        self._is_control_heard = True
        if group in self._placement.held:
            self._placement.lose(group)
            self._cleared.add(group)
            if self._is_open and self._clean_at_ms is None:
                self._clean_at_ms = now.mono_ms + CLEAN_AFTER_MS
        if not self._placement.held:
            self._audit.stop()

    def _profiles(self, groups: set[GroupName]) -> list[str]:
        return [
            profile for group in self._settings.groups if group.name in groups for profile in group.profiles
        ]

    # -- what the switch says

    def _hear(self, event: SwitchEvent, now: Moment) -> list[Action]:
        profile = event.get("profile-name")
        group = self._settings.group_of_profile(profile)
        if not group or group not in self._placement.held:
            self.counts["not ours"] += 1
            return []
        is_expired = event.subclass == "sofia::expire"
        user, host = ("user", "host") if is_expired else ("from-user", "from-host")
        place = Place(group, profile, event.get(user), event.get(host))
        call_id = event.get("call-id")
        if is_copy(call_id):
            return []
        try:
            key = key_of(place)
            if event.subclass == "sofia::register":
                binding = binding_of_event(event, self._settings.node, now.wall_ms)
                return self._register(key, place, binding, presence_hosts_of(event))
            return self._end(key, place, call_id, event.number("expires") if is_expired else None, now)
        except BadMessage:
            self.counts["bad event"] += 1
            return []

    def _register(self, key: Key, place: Place, binding: Binding, presence_hosts: str) -> list[Action]:
        self._audit.see(place.profile, place.aor, binding.call_id)
        old = self._record(key)
        new = Registration(old.bindings, presence_hosts).with_binding(binding)
        if all(each.call_id != binding.call_id for each in old.bindings) and old.bindings:
            self._inquiry.doubt(place)
        return [self._change(key, new)]

    def _end(self, key: Key, place: Place, call_id: str, expires_s: int | None, now: Moment) -> list[Action]:
        """Unregistered, or expired at that time. A profile that wakes from standby may drop rows long out of date."""
        old = self._record(key)
        this = next((each for each in old.bindings if each.call_id == call_id), None)
        if this is not None and expires_s is not None and expires_s * 1000 + SLACK_MS < this.expires_ms:
            self.counts["old row expired"] += 1
            # The row that our switch dropped was of an earlier registration: this one is missing now.
            self._placement.note(key)
            return []
        if not old.bindings:
            return []
        new = old.without({call_id})
        if new.bindings:
            self._inquiry.doubt(place)
        else:
            self._placement.note_elsewhere(place)
        return [] if this is None else [self._change(key, new)]

    def _record(self, key: Key) -> Registration:
        entry = self._copies.get(REGISTRATIONS, key)
        if entry is None:
            return NOTHING
        try:
            return unpack(body_of(entry.record))
        except BadMessage:
            self.counts["bad record"] += 1
            return NOTHING

    def _change(self, key: Key, registration: Registration) -> ChangeRecords:
        body = pack(registration) if registration.bindings else None
        return ChangeRecords(REGISTRATIONS, ((key, body),))

    # -- what it answers

    def _answer(self, purpose: str, text: str, now: Moment) -> list[Action]:
        """The text of an answer; "" for none."""
        actions: list[Action] = []
        if purpose.startswith(ORDER):
            if purpose == f"{ORDER}{self._life}":
                self._placement.answered()
        elif not self._is_open:
            return []
        elif purpose.startswith(PROBE):
            profile = purpose.removeprefix(PROBE)
            is_multiple, runs = self._probe.take(profile, text, now.mono_ms)
            actions += runs
            if is_multiple:
                self._placement.learn_multiple(profile)
        elif purpose.startswith(PROFILE):
            actions += self._take_profile(purpose.removeprefix(PROFILE), text)
        elif purpose.startswith(ROWS):
            profile = purpose.removeprefix(ROWS)
            if not self._inquiry.take_rows(profile, text):
                self.counts["no listing"] += 1
                self._audit.give_up(profile)
                self._settle(ROWS + profile)
                actions.append(_not_listed(profile, text))
        elif purpose.startswith(USER):
            doubt = self._inquiry.settle(purpose)
            if doubt is not None and text:
                actions += self._settle_doubt(doubt.place, doubt.suspects, text, now)
        return actions

    def _take_profile(self, profile: str, text: str) -> list[Action]:
        """Which address it has, and whether to list it: ours to learn, another's only to clear it away."""
        found = read_profile(text)
        actions: list[Action] = []
        if found is not None:
            if found.address:
                self._placement.addresses[profile] = found.address
            if self._settings.group_of_profile(profile) in self._placement.held:
                actions += self._list_ours(profile, found.registrations)
            elif self._is_cleaning and found.registrations:
                # Row by row; so many that they cannot be listed are left to the switch, which tells of each one.
                is_short = found.registrations <= LARGEST_LISTING
                actions.append(self._inquiry.rows(profile) if is_short else self._inquiry.flush(profile))
        self._settle(PROFILE + profile)
        return actions

    def _list_ours(self, profile: str, registrations: int) -> list[Action]:
        if registrations > LARGEST_LISTING:
            return [_too_many(profile, registrations)]
        if self._lacking is not None:
            self._lacking.add(ROWS + profile)
        if self._is_same_life and self._placement.is_complete(profile):
            self._audit.expect(profile)
        return [self._inquiry.rows(profile)]

    def _settle(self, question: str) -> None:
        if self._lacking is not None:
            self._lacking.discard(question)

    def _settle_doubt(self, place: Place, suspects: dict[str, int], text: str, now: Moment) -> list[Action]:
        """Who is not in the switch's list any more was replaced, unless it has registered again since."""
        if place.group not in self._placement.held:
            return []
        listed = {row.call_id for row, _ in zip(read_rows(text), range(LARGEST_LISTING), strict=False)}
        key = key_of(place)
        old = self._record(key)
        gone = {
            each.call_id
            for each in old.bindings
            if suspects.get(each.call_id) == each.expires_ms and each.call_id not in listed
        }
        if not gone:
            return []
        new = old.without(gone)
        if not new.bindings:
            self._placement.note_elsewhere(place)
        return [self._change(key, new)]

    # -- time

    def _do_what_is_due(self, now: Moment) -> list[Action]:
        actions = self._read(now)
        if self._is_open and self._lacking is not None and not self._lacking:
            self._lacking = None
            actions.append(StreamIsWhole(REGISTRATIONS))
        if self._clean_at_ms is not None and now.mono_ms >= self._clean_at_ms:
            actions += self._clean(now)
        bucket = self._audit.turn(now.mono_ms)
        if bucket is not None:
            actions += self._judge(bucket, now)
        self._clear_strange(now)
        actions += self._try_profiles(now)
        purpose = f"{ORDER}{self._life}"
        actions += [Run(purpose, command) for command in self._placement.turn(now)]
        return actions + self._ask()

    def _read(self, now: Moment) -> list[Action]:
        """A part of what a profile has registered: ours is learned, what lies in another's profile is removed."""
        part = self._inquiry.read()
        if part is None:
            return []
        reading, rows = part
        group = self._settings.group_of_profile(reading.profile)
        if not rows:
            self._settle(ROWS + reading.profile)
            self._audit.compare(reading.profile, now.mono_ms)
            return []
        actions: list[Action] = []
        for row in rows:
            place = Place(group, reading.profile, row.user, row.host)
            if group not in self._placement.held:
                self._placement.clear_away(place, row.call_id)
            elif not is_copy(row.call_id):
                actions += self._learn(place, row, now)
        return actions

    def _learn(self, place: Place, row: Listed, now: Moment) -> list[Action]:
        """A row that was there before we listened. What we know better, because it came as an event, stays."""
        self._audit.see(place.profile, place.aor, row.call_id)
        try:
            binding = binding_of_row(row, self._settings.node, now.wall_ms)
            key = key_of(place)
        except BadMessage:
            self.counts["bad row"] += 1
            return []
        old = self._record(key)
        if place.group in self._cleared:
            if not any(each.call_id == row.call_id for each in old.bindings):
                self._strange.append((now.mono_ms + STRANGE_MS, place, row.call_id))
            return []
        for each in old.bindings:
            if each.call_id == row.call_id and each.expires_ms + SLACK_MS >= binding.expires_ms:
                return []
        return [self._change(key, old.with_binding(binding))] if row.left_s > 0 else []

    def _try_profiles(self, now: Moment) -> list[Action]:
        """Do our profiles keep several rows for one user? The target's copies wait for that most."""
        if not self._is_open:
            return []
        runs = self._probe.turn(now.mono_ms)
        held = [self._placement.target, *self._profiles(self._placement.held)]
        profile = next((each for each in held if each and each not in self._probed), "")
        if profile and self._probe.is_free:
            self._probed.add(profile)
            runs += self._probe.start(profile, now.mono_ms, now.wall_ms)
        return list(runs)

    def _ask(self) -> list[Action]:
        """Whom the switch knows can be asked when what we put there is there."""
        if not self._is_open or self._placement.is_walking:
            return []
        return list(self._inquiry.ask(lambda place: self._record(key_of(place)).bindings))

    def _clean(self, now: Moment) -> list[Action]:
        """Long enough open to know what is ours: what lies in other profiles is from a life before."""
        if not self._is_control_heard or self._placement.is_walking:
            self._clean_at_ms = now.mono_ms + CLEAN_AFTER_MS
            return []
        self._clean_at_ms = None
        self._is_cleaning = True
        foreign = {group.name for group in self._settings.groups} - self._placement.held
        self._cleared |= foreign
        return [self._inquiry.profile(profile) for profile in self._profiles(foreign)]

    def _clear_strange(self, now: Moment) -> None:
        while self._strange and self._strange[0][0] <= now.mono_ms:
            _, place, call_id = self._strange.popleft()
            known = self._record(key_of(place)).bindings
            if place.group in self._placement.held and all(each.call_id != call_id for each in known):
                self._placement.clear_away(place, call_id)

    def _judge(self, bucket: int, now: Moment) -> list[Action]:
        """One bucket of our records: those that ended without a word."""
        held = {group.encode() for group in self._placement.held}
        actions: list[Action] = []
        for entry in self._copies.bucket(REGISTRATIONS, bucket):
            if group_of(entry.key) not in held:
                continue
            try:
                old, place = unpack(body_of(entry.record)), place_of(entry.key)
            except BadMessage:
                self.counts["bad record"] += 1
                continue
            gone = self._audit.gone(place, old, now.wall_ms)
            if gone:
                actions.append(self._change(entry.key, old.without(gone)))
        self._audit.finish(bucket)
        return actions


def _too_many(profile: str, registrations: int) -> Tell:
    text = (
        f"{profile} has {registrations} registrations, too many to list: those from before are known to the"
        " other nodes when each phone registers again"
    )
    return Tell("warning", "registrations-too-many", text, {"profile": profile, "count": registrations})


def _not_listed(profile: str, text: str) -> Tell:
    said = f"{profile}: the switch did not list its registrations; those from before become known by and by"
    return Tell("warning", "registrations-not-listed", said, {"profile": profile, "answer": text[:200]})
