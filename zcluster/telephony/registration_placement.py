"""Which rows the own switch should have for each record, and the orders that make it so, a few at a time.

    our group          its bindings in their own profile, as if they had registered here
    another's group    copies in one profile of ours, the target: direct contacts, or one by way of the holder
    we hold nothing    nowhere

What must hold: a record is looked up when its orders are written, so the last state wins however late that is. The
switch gets at most WINDOW orders without an answer and TURN_ROWS in TURN_MS. When a group or the target changes, all
records of the groups concerned are walked, bucket by bucket; what a walk does not reach for want of an open switch is
reached by the walk after the next opening. A copy never takes the place of a row that the phone itself made.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage, CommandRefused
from zcluster.streams.tables import Entry
from zcluster.streams.units import BUCKETS, REGISTRATIONS, Key, body_of, group_of
from zcluster.switch.commands import Command
from zcluster.telephony.events import Moment
from zcluster.telephony.part import Copies
from zcluster.telephony.registration_contact import address_of, contact_through, is_direct
from zcluster.telephony.registration_injection import COPY, copy_call_id, put, remove
from zcluster.telephony.registration_record import (
    Binding,
    Place,
    Registration,
    key_of,
    place_of,
    unpack,
)
from zcluster.telephony.settings import TelephonySettings

TURN_MS = 40
TURN_ROWS = 200
TURN_BUCKETS = 8
WINDOW = 512
# More than this waits no longer one by one: everything is walked instead.
LARGEST_PENDING = 1_000_000
LARGEST_WIDE = 100_000
NOTHING = Registration(())
# In the place of a profile's name: the record's own profile.
OWN = ""


class WalkedCopies(Copies, Protocol):
    """The replicated tables, also by bucket, so that a walk over a million records need not be one piece."""

    def bucket(self, name: str, place: int) -> list[Entry]:
        """Every record of one of the `streams.units.BUCKETS`, once."""


@dataclass(slots=True)
class _Walk:
    """What to do with all records of a group: take them out of these profiles, and put them where they belong.

    `is_whole`: also those that registered here, which otherwise have the row that they made themselves.
    """

    clear: set[str] = field(default_factory=set)
    is_whole: bool = False


class Placement:
    """The rows of one switch that it does not have by itself."""

    def __init__(self, settings: TelephonySettings, copies: WalkedCopies, counts: Counter[str]) -> None:
        self.held: set[GroupName] = set()
        self.target = ""
        # Profiles that keep several rows for one user; and where each profile is reached.
        self.multiple: set[str] = set()
        self.addresses: dict[str, str] = {}
        self._settings = settings
        self._copies = copies
        self._counts = counts
        self._origin = ""
        self._is_open = False
        self._adopted: set[GroupName] = set()
        self._unanswered = 0
        self._turn_at_ms = 0
        self._pending: dict[Key, None] = {}
        self._due: deque[Key] = deque()
        self._vacated: list[Place] = []
        self._leftovers: deque[tuple[Place, str, bool]] = deque()
        self._walks: dict[GroupName, _Walk] = {}
        self._bucket = 0
        self._bucket_keys: list[Key] = []
        # Records with more than one copy: how many rows of ours the switch has of them.
        self._wide: dict[Key, int] = {}

    # -- what changes

    def open(self, origin: str, restored: set[GroupName]) -> None:
        """The switch listens; `origin` is its name, which rows of its own bear.

        `restored`: groups whose bindings may be in the switch because we put them there, wherever they registered;
        what is put into a switch does not outlive it.
        """
        self._is_open = True
        self._origin = origin
        self._unanswered = 0
        self._wide.clear()
        for walk in self._walks.values():
            # What was to be taken out of profiles that we lost is found by listing them, whoever holds them then.
            walk.clear.discard(OWN)
        self._walk(group.name for group in self._settings.groups)
        self._walk(sorted(restored & self.held), is_whole=True)

    def close(self) -> None:
        """Nothing can be ordered. The walk after the next opening finds everything."""
        self._is_open = False
        self._pending.clear()
        self._due.clear()
        self._leftovers.clear()

    def win(self, group: GroupName) -> None:
        """The group is ours; its records may be another's still."""
        self.held.add(group)
        self._choose()

    def adopt(self, group: GroupName, is_whole: bool) -> None:
        """The records of our group are ours: into its own profile with them, and out of the others."""
        if group not in self.held:
            return
        self._adopted.add(group)
        self._walk([group], clear={self.target} - {OWN}, is_whole=is_whole)

    def lose(self, group: GroupName) -> None:
        """The group's profile is on standby from now on: no row may stay that calls would go to."""
        self.held.discard(group)
        self._adopted.discard(group)
        self._walk([group], clear={OWN})
        self._choose()

    def change(self, changes: tuple[bytes | None, ...]) -> None:
        """Records of another stream changed: key, record or None, in turn."""
        for key, record in zip(changes[::2], changes[1::2], strict=True):
            if key is None:
                continue
            group = group_of(key).decode("utf-8", "replace")
            # Of a group that is ours, the old stream's retreat means nothing, and its late words are rare.
            if (record is not None and group in self._adopted) or (group not in self.held and self.target):
                self.note(key)

    def note(self, key: Key) -> None:
        """Look at this record again."""
        if not self._is_open:
            return
        self._pending[key] = None
        if len(self._pending) > LARGEST_PENDING:
            self._counts["pending overflow"] += 1
            self._pending.clear()
            self._walk(group.name for group in self._settings.groups)

    def note_elsewhere(self, place: Place) -> None:
        """The user has no row of its own any more: copies of other groups' may stand where it was.

        Looked at from the next turn on, when the record is really gone.
        """
        self._vacated.append(place)

    def _note_vacated(self, place: Place) -> None:
        for group in self._settings.groups:
            for profile in group.profiles if group.name not in self.held else ():
                try:
                    key = key_of(place._replace(group=group.name, profile=profile))
                except BadMessage:
                    continue
                if self._copies.get(REGISTRATIONS, key) is not None:
                    self.note(key)

    def learn_multiple(self, profile: str) -> None:
        """The profile keeps several rows for one user, so that copies harm nobody there."""
        if profile not in self.multiple:
            self.multiple.add(profile)
            self._walk([self._settings.group_of_profile(profile)])
            if profile == self.target:
                self._walk(self._others())

    def clear_away(self, place: Place, call_id: str) -> None:
        """This row is to go from its profile, unless the group changes hands first."""
        self._leftovers.append((place, call_id, place.group in self.held))

    def is_complete(self, profile: str) -> bool:
        """Whether the switch has in this profile all that registered here: nothing is still to be put there."""
        group = self._settings.group_of_profile(profile)
        walk = self._walks.get(group)
        return group in self._adopted and (walk is None or not walk.is_whole)

    @property
    def is_walking(self) -> bool:
        """Whether all records of some group are on their way in or out."""
        return bool(self._walks)

    def answered(self) -> None:
        """The switch took an order, or refused it."""
        self._unanswered = max(0, self._unanswered - 1)

    # -- time

    def deadline(self) -> int | None:
        """When `turn` has something to do."""
        is_busy = self._pending or self._due or self._leftovers or self._walks
        return self._turn_at_ms if self._is_open and is_busy and self._unanswered < WINDOW else None

    def turn(self, now: Moment) -> list[Command]:
        """The next orders to the switch, at most about TURN_ROWS."""
        vacated, self._vacated = self._vacated, []
        orders = self._turn(now)
        for place in vacated:
            self._note_vacated(place)
        return orders

    def _turn(self, now: Moment) -> list[Command]:
        if not self._is_open or now.mono_ms < self._turn_at_ms or self._unanswered >= WINDOW:
            return []
        orders: list[Command] = []
        room = min(TURN_ROWS, WINDOW - self._unanswered)
        for orders_of_one in self._work(now):
            orders += orders_of_one
            if len(orders) >= room:
                break
        if orders or self._walks:
            self._turn_at_ms = now.mono_ms + TURN_MS
        self._unanswered += len(orders)
        return orders

    def _work(self, now: Moment) -> Iterator[list[Command]]:
        while self._pending or self._due:
            if not self._due:
                # Taken from the front of a dictionary one by one, a million would cost a million steps each.
                self._due = deque(self._pending)
                self._pending.clear()
            yield self._place(self._due.popleft(), now, False)
        while self._leftovers:
            place, call_id, was_held = self._leftovers.popleft()
            if (place.group in self.held) == was_held:
                yield self._remove(place.profile, place, call_id)
        for _ in range(TURN_BUCKETS):
            while self._bucket_keys:
                yield self._place(self._bucket_keys.pop(), now, True)
            if self._bucket >= BUCKETS:
                self._walks.clear()
            if not self._walks:
                return
            walked = {group.encode() for group in self._walks}
            entries = self._copies.bucket(REGISTRATIONS, self._bucket)
            self._bucket_keys = [entry.key for entry in entries if group_of(entry.key) in walked]
            self._bucket += 1

    def _walk(self, groups: Iterable[GroupName], clear: Iterable[str] = (), is_whole: bool = False) -> None:
        """Begin a walk over these groups; what other walks had to do is done by this one."""
        for group in groups:
            walk = self._walks.setdefault(group, _Walk())
            walk.clear.update(clear)
            walk.is_whole = walk.is_whole or is_whole
        self._bucket = 0
        self._bucket_keys = []

    def _choose(self) -> None:
        """The target stays while it is ours; the next one is the first profile of the first group that has one."""
        if self._settings.group_of_profile(self.target) in self.held and self.target:
            return
        held = sorted(
            (group for group in self._settings.groups if group.name in self.held), key=lambda g: g.name
        )
        old = self.target
        self.target = next((group.profiles[0] for group in held if group.profiles), "")
        self._walk(self._others(), clear={old} - {OWN})

    def _others(self) -> list[GroupName]:
        return [group.name for group in self._settings.groups if group.name not in self.held]

    # -- one record

    def _place(self, key: Key, now: Moment, is_walk: bool) -> list[Command]:
        try:
            place = place_of(key)
            if self._settings.group_of_profile(place.profile) != place.group:
                raise BadMessage(f"registration: {place.profile!r} is no profile of {place.group!r}")
            entry = self._copies.get(REGISTRATIONS, key)
            registration = NOTHING if entry is None else unpack(body_of(entry.record))
            return self._orders(key, place, entry, registration, is_walk, now)
        except BadMessage:
            self._counts["bad record"] += 1
            return []

    def _orders(
        self,
        key: Key,
        place: Place,
        entry: Entry | None,
        registration: Registration,
        is_walk: bool,
        now: Moment,
    ) -> list[Command]:
        is_ours = place.group in self.held
        walk = self._walks.get(place.group)
        orders: list[Command] = []
        for profile in sorted(walk.clear) if walk is not None else ():
            orders += self._out_of(profile, key, place, registration)
        if is_ours:
            is_whole = walk is not None and walk.is_whole and is_walk
            return orders + self._own(place, registration, is_whole, now)
        if not self.target:
            return orders
        return orders + self._copy(key, place, entry, registration, now)

    def _out_of(self, profile: str, key: Key, place: Place, registration: Registration) -> list[Command]:
        is_ours = place.group in self.held
        orders: list[Command] = []
        if profile == OWN:
            for each in () if is_ours else registration.bindings:
                orders += self._remove(place.profile, place, each.call_id)
        elif (is_ours or profile != self.target) and not self._is_own_first(profile, place):
            for slot in range(self._wide.get(key, 1)):
                orders += self._remove(profile, place, copy_call_id(place, slot))
        return orders

    def _own(self, place: Place, registration: Registration, is_whole: bool, now: Moment) -> list[Command]:
        bindings = registration.bindings
        if place.profile not in self.multiple:
            # There the newest takes the place of all others; and no older one may take its place.
            bindings = bindings[-1:]
        orders: list[Command] = []
        for binding in bindings:
            if is_whole or binding.node != self._settings.node:
                orders += self._put(
                    place.profile, place, binding, registration.presence_hosts, self._origin, now
                )
        return orders

    def _copy(
        self, key: Key, place: Place, entry: Entry | None, registration: Registration, now: Moment
    ) -> list[Command]:
        if self._is_own_first(self.target, place):
            self._counts["own first"] += 1
            return []
        rows = self._rows(place, registration, now)
        width = self._wide.get(key, 1)
        self._remember_width(key, len(rows))
        orders: list[Command] = []
        for slot in range(len(rows), width):
            orders += self._remove(self.target, place, copy_call_id(place, slot))
        # The holder alone keeps a phone's way open: a copy bears no switch's name.
        origin = COPY if entry is None else f"{COPY}{entry.stream.node}"
        for slot, row in enumerate(rows):
            binding = row._replace(call_id=copy_call_id(place, slot))
            orders += self._put(self.target, place, binding, registration.presence_hosts, origin, now)
        return orders

    def _rows(self, place: Place, registration: Registration, now: Moment) -> list[Binding]:
        """The contacts themselves; or one by way of the holder, who rings all, as soon as one needs it."""
        alive = [each for each in registration.bindings if each.expires_ms > now.wall_ms]
        if all(is_direct(each) for each in alive):
            return alive
        address = self.address(place)
        if not address:
            self._counts["no way"] += 1
            return [each for each in alive if is_direct(each)]
        # The one that lasts longest stands for all.
        return [alive[-1]._replace(contact=contact_through(place, address))]

    def address(self, place: Place) -> str:
        """Where the group's holder is reached, whichever node that is: host:port, "" for nowhere."""
        group = next((group for group in self._settings.groups if group.name == place.group), None)
        known = self.addresses.get(place.profile, "")
        if known or group is None or not group.addresses:
            return known
        return address_of(group.addresses[0])

    def _is_own_first(self, profile: str, place: Place) -> bool:
        """Whether a copy in `profile` could take the place of the user's own row there."""
        if profile in self.multiple:
            return False
        group = self._settings.group_of_profile(profile)
        own = key_of(place._replace(group=group, profile=profile))
        return self._copies.get(REGISTRATIONS, own) is not None

    def _remember_width(self, key: Key, width: int) -> None:
        if width > 1 and (key in self._wide or len(self._wide) < LARGEST_WIDE):
            self._wide[key] = width
        else:
            self._wide.pop(key, None)

    def _put(
        self, profile: str, place: Place, binding: Binding, presence_hosts: str, origin: str, now: Moment
    ) -> list[Command]:
        if binding.expires_ms <= now.wall_ms:
            return []
        try:
            return [put(profile, place, binding, presence_hosts, origin, now.wall_ms)]
        except CommandRefused:
            self._counts["refused"] += 1
            return []

    def _remove(self, profile: str, place: Place, call_id: str) -> list[Command]:
        try:
            return [remove(profile, place, call_id)]
        except CommandRefused:
            self._counts["refused"] += 1
            return []
