"""Registrations: what the phones of our groups told our switch, and what the others' phones told theirs.

    Ledger      what the phones of our groups said, as records
    Placement   which rows our switch should have for each record, and the orders that make it so
    Inquiry     what the switch is asked, because its events do not tell
    Audit       records that should not be there any more
    Probe       what a profile does with a second row of a user

What must hold: only who holds a group speaks of its registrations, and only what its own profiles say counts. A record
ends because the owner's switch said so, or a while after it should have; never because a reader's clock or a reader's
switch did. What we put into our switch is never taken for something that a phone said: the switch fires nothing for
it, and when it drops a copy of ours no record has that Call-ID. A profile that we do not hold keeps no rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from zcluster.control.units import GroupName
from zcluster.streams.actions import GroupAdopted, Replicated
from zcluster.streams.units import REGISTRATIONS
from zcluster.telephony.actions import Action, Run, StreamIsWhole, Tell
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
from zcluster.telephony.registration_ledger import Ledger
from zcluster.telephony.registration_listing import read_profile
from zcluster.telephony.registration_placement import Placement
from zcluster.telephony.registration_probe import AOR, PROBE, Probe
from zcluster.telephony.registration_record import Place
from zcluster.telephony.registration_rows import RegistrationRow, registration_rows
from zcluster.telephony.registration_stale import StaleCopies
from zcluster.telephony.registration_walk import WalkedCopies
from zcluster.telephony.settings import TelephonySettings

# The events of the switch that this part lives by.
SUBCLASSES = ("sofia::register", "sofia::unregister", "sofia::expire")

# A daemon that starts beside a working switch learns within this time which groups it holds.
CLEAN_AFTER_MS = 10_000
# Nobody lists who was there before in a profile that has too many: within an hour most have come again.
UNLISTED_MS = 3_600_000
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
        self._unlisted_until_ms: int | None = None
        self._is_cleaning = False
        self._is_control_heard = False
        self._clean_at_ms: int | None = None
        self._audit = Audit(settings.node, self.counts)
        self._probe = Probe()
        self._probed: set[str] = set()
        self._ledger = Ledger(settings, copies, self._placement, self._inquiry, self._audit, self.counts)
        self._stale = StaleCopies(copies, self._placement, self.counts)

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        actions: list[Action] = []
        match event:
            case Happened(happened) if happened.subclass in SUBCLASSES:
                actions += self._ledger.hear(happened, now)
            case Replicated(stream, changes) if stream.name == REGISTRATIONS:
                self._placement.change(changes)
                self._ledger.ask_about_late()
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
                self._placement.adopt(group, group in self._ledger.cleared)
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
            self._ledger.deadline(),
            self._stale.deadline(),
            self._unlisted_until_ms,
        ]
        if self._inquiry.is_reading:
            times.append(0)
        return min((at_ms for at_ms in times if at_ms is not None), default=None)

    def rows(self, now: Moment) -> Iterator[RegistrationRow]:
        """Every binding that is known in the cluster. Take them before the next event."""
        return registration_rows(self._copies.entries(REGISTRATIONS), self._placement.ways.address, now)

    # -- the conversation and the groups

    def _open(self, switchname: str, is_same_life: bool, now: Moment) -> list[Action]:
        self._close()
        self._is_open = True
        self._life += 1
        self._is_same_life = is_same_life
        self._ledger.forget_strange()
        self._stale.forget()
        # What we put into a switch does not outlive it, and its own rows may have lain on a disk that is gone.
        # Of the same switch, only what was on its way to it may be missing; who else is missing there has left.
        is_another = self._life > 1 and not is_same_life
        on_its_way = set() if self._placement.was_settled else self._ledger.cleared
        self._placement.open(switchname, self._placement.held if is_another else on_its_way)
        self._clean_at_ms = now.mono_ms + CLEAN_AFTER_MS
        held = self._profiles(self._placement.held)
        self._lacking = {PROFILE + profile for profile in held}
        every = [profile for group in self._settings.groups for profile in group.profiles]
        return [self._inquiry.profile(profile) for profile in every]

    def _close(self) -> None:
        self._is_open = False
        self._clean_at_ms = None
        self._is_cleaning = False
        self._unlisted_until_ms = None
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
            self._ledger.cleared.add(group)
            if self._is_open and self._clean_at_ms is None:
                self._clean_at_ms = now.mono_ms + CLEAN_AFTER_MS
        if not self._placement.held:
            self._audit.stop()

    def _profiles(self, groups: set[GroupName]) -> list[str]:
        return [
            profile for group in self._settings.groups if group.name in groups for profile in group.profiles
        ]

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
            if is_multiple is not None:
                self._placement.learn(profile, is_multiple)
        elif purpose.startswith(PROFILE):
            actions += self._take_profile(purpose.removeprefix(PROFILE), text, now)
        elif purpose.startswith(ROWS):
            profile = purpose.removeprefix(ROWS)
            if not self._inquiry.take_rows(profile, text):
                self.counts["no listing"] += 1
                self._audit.give_up(profile)
                self._placement.restore(profile)
                self._settle(ROWS + profile)
                actions.append(_not_listed(profile, text))
        elif purpose.startswith(USER):
            doubt = self._inquiry.settle(purpose)
            if doubt is not None and text:
                actions += self._ledger.settle(doubt, text, now)
        return actions

    def _take_profile(self, profile: str, text: str, now: Moment) -> list[Action]:
        """Which address it has, and whether to list it: ours to learn, another's only to clear it away."""
        found = read_profile(text)
        actions: list[Action] = []
        if found is not None:
            if found.address:
                self._placement.ways.addresses[profile] = found.address
            if self._settings.group_of_profile(profile) in self._placement.held:
                actions += self._list_ours(profile, found.registrations, now)
            elif self._is_cleaning and found.registrations:
                # Row by row; so many that they cannot be listed are left to the switch, which tells of each one.
                is_short = found.registrations <= LARGEST_LISTING
                actions.append(self._inquiry.rows(profile) if is_short else self._inquiry.flush(profile))
        self._settle(PROFILE + profile)
        return actions

    def _list_ours(self, profile: str, registrations: int, now: Moment) -> list[Action]:
        if registrations > LARGEST_LISTING:
            if self._settings.group_of_profile(profile) in self._ledger.cleared:
                self._placement.restore(profile)
            else:
                self._placement.presence.keep(profile)
            if self._lacking is None:
                return []
            self._unlisted_until_ms = now.mono_ms + UNLISTED_MS
            return [_too_many(profile, registrations)]
        if self._lacking is not None:
            self._lacking.add(ROWS + profile)
        if self._is_same_life and self._placement.is_complete(profile):
            self._audit.expect(profile)
        return [self._inquiry.rows(profile)]

    def _settle(self, question: str) -> None:
        if self._lacking is not None:
            self._lacking.discard(question)

    # -- time

    def _do_what_is_due(self, now: Moment) -> list[Action]:
        actions = self._read(now)
        if self._unlisted_until_ms is not None and now.mono_ms >= self._unlisted_until_ms:
            self._unlisted_until_ms = None
        is_listed = self._lacking is not None and not self._lacking and self._unlisted_until_ms is None
        if self._is_open and is_listed:
            self._lacking = None
            actions.append(StreamIsWhole(REGISTRATIONS))
        if self._clean_at_ms is not None and now.mono_ms >= self._clean_at_ms:
            actions += self._clean(now)
        bucket = self._audit.turn(now.mono_ms)
        if bucket is not None:
            actions += self._ledger.judge(bucket, now)
        self._ledger.clear_strange(now)
        self._stale.clear_away(now)
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
            self._placement.restore(reading.profile)
            return []
        actions: list[Action] = []
        for row in rows:
            place = Place(group, reading.profile, row.user, row.host)
            if place.aor == AOR:
                # A trial of ours takes its rows out itself.
                continue
            if group not in self._placement.held:
                self._placement.clear_away(place, row.call_id)
            elif is_copy(row.call_id):
                self._stale.see(place, row.call_id, now)
            else:
                actions += self._ledger.learn(place, row, now)
        return actions

    def _try_profiles(self, now: Moment) -> list[Action]:
        """Does a profile keep several rows for one user? The target's copies wait for that most.

        Profiles that we do not hold are tried too: who wins one should know.
        """
        if not self._is_open:
            return []
        runs = self._probe.turn(now.mono_ms)
        held = self._placement.held
        every = {group.name for group in self._settings.groups}
        wished = [self._placement.target, *self._profiles(held), *self._profiles(every - held)]
        profile = next((each for each in wished if each and each not in self._probed), "")
        if profile and self._probe.is_free:
            self._probed.add(profile)
            runs += self._probe.start(profile, now.mono_ms, now.wall_ms)
        return list(runs)

    def _ask(self) -> list[Action]:
        """Whom the switch knows can be asked when what we put there is there."""
        if not self._is_open or self._placement.is_walking:
            return []
        return list(self._inquiry.ask(self._ledger.bindings))

    def _clean(self, now: Moment) -> list[Action]:
        """Long enough open to know what is ours: what lies in other profiles is from a life before."""
        if not self._is_control_heard or self._placement.is_walking:
            self._clean_at_ms = now.mono_ms + CLEAN_AFTER_MS
            return []
        self._clean_at_ms = None
        self._is_cleaning = True
        foreign = {group.name for group in self._settings.groups} - self._placement.held
        self._ledger.cleared |= foreign
        return [self._inquiry.profile(profile) for profile in self._profiles(foreign)]


def _too_many(profile: str, registrations: int) -> Tell:
    text = (
        f"{profile} has {registrations} registrations, too many to list: those from before are known to the"
        " other nodes when each phone registers again, and for an hour our copies are called incomplete"
    )
    return Tell("warning", "registrations-too-many", text, {"profile": profile, "count": registrations})


def _not_listed(profile: str, text: str) -> Tell:
    said = f"{profile}: the switch did not list its registrations; those from before become known by and by"
    return Tell("warning", "registrations-not-listed", said, {"profile": profile, "answer": text[:200]})
