"""Which rows the own switch should have for each record, and the orders that make it so, a few at a time.

    our group          its bindings in their own profile, as if they had registered here
    another's group    copies in one profile of ours, the target: direct contacts, or one by way of the holder
    we hold nothing    nowhere

What must hold: a record is looked up when its orders are written, so the last state wins however late that is. The
switch gets at most WINDOW orders without an answer and TURN_ROWS in TURN_MS. When a group or the target changes, all
records of the groups concerned are walked; what a walk does not reach for want of an open switch is reached by the
walk after the next opening. Neither a copy nor a binding from elsewhere takes the place of a row that the phone made.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage, CommandRefused
from zcluster.streams.tables import Entry
from zcluster.streams.units import REGISTRATIONS, Key, body_of, group_of
from zcluster.switch.commands import Command
from zcluster.telephony.events import Moment
from zcluster.telephony.registration_injection import COPY, copy_call_id, is_copy, put, remove
from zcluster.telephony.registration_presence import Presence
from zcluster.telephony.registration_record import (
    Binding,
    Place,
    Registration,
    key_of,
    place_of,
    unpack,
)
from zcluster.telephony.registration_walk import WalkedCopies, Walks
from zcluster.telephony.registration_ways import Ways
from zcluster.telephony.settings import TelephonySettings

TURN_MS = 40
TURN_ROWS = 200
WINDOW = 512
# More than this waits no longer one by one: everything is walked instead.
LARGEST_PENDING = 1_000_000
LARGEST_WIDE = 100_000
LARGEST_LATE = 4096
NOTHING = Registration(())
# In the place of a profile's name: the record's own profile.
OWN = ""


class Placement:
    """The rows of one switch that it does not have by itself."""

    def __init__(self, settings: TelephonySettings, copies: WalkedCopies, counts: Counter[str]) -> None:
        self.held: set[GroupName] = set()
        self.target = ""
        # Profiles that keep several rows for one user, and those that keep one; of others it is not known yet.
        self.multiple: set[str] = set()
        self.single: set[str] = set()
        self.ways = Ways(settings, counts)
        self._settings = settings
        self._copies = copies
        self._counts = counts
        self._origin = ""
        self._is_open = False
        self._adopted: set[GroupName] = set()
        # Records of ours of which another stream spoke: rows may be left of what they were before.
        self.late: deque[Key] = deque(maxlen=LARGEST_LATE)
        self._unanswered = 0
        self._turn_at_ms = 0
        self._pending: dict[Key, None] = {}
        self._due: deque[Key] = deque()
        self._vacated: list[Place] = []
        self._leftovers: deque[tuple[Place, str, bool]] = deque()
        self._walks = Walks(copies)
        self.presence = Presence()
        # Whether the switch took all that it was told before the conversation ended.
        self.was_settled = True
        # Records with more than one copy: how many rows of ours the switch has of them.
        self._wide: dict[Key, int] = {}

    # -- what changes

    def open(self, origin: str, restored: set[GroupName]) -> None:
        """The switch listens; `origin` is its name, which rows of its own bear.

        `restored`: groups whose bindings may be missing, wherever they registered: `restore` follows for each profile.
        """
        self._is_open = True
        self._origin = origin
        self._unanswered = 0
        # What was to be taken out of profiles that we lost is found by listing them, whoever holds them then.
        self._walks.forget(OWN)
        self._walks.begin(group.name for group in self._settings.groups)
        self.presence.begin_anew(self._profiles(restored & self.held))

    def close(self) -> None:
        """Nothing can be ordered. The walk after the next opening finds everything."""
        if self._is_open:
            self.was_settled = not (self._walks or self._pending or self._due or self._unanswered)
        self._is_open = False
        self._pending.clear()
        self._due.clear()
        self._leftovers.clear()

    def win(self, group: GroupName) -> None:
        """The group is ours; its records may be another's still."""
        self.held.add(group)
        self.presence.begin(self._profiles({group}))
        self._choose()

    def adopt(self, group: GroupName, is_whole: bool) -> None:
        """The records of our group are ours: into its own profile with them, and out of the others."""
        if group not in self.held:
            return
        self._adopted.add(group)
        self.was_settled = self.was_settled and self._is_open
        whole = self._profiles({group}) if is_whole else []
        self._walks.begin([group], clear={self.target} - {OWN}, whole=whole)
        if not is_whole:
            self.presence.end(self._profiles({group}))

    def restore(self, profile: str) -> None:
        """The profile has no more rows than were seen: what is missing is put there, if anything may be."""
        if self.presence.take_awaited(profile):
            self._walks.begin([self._settings.group_of_profile(profile)], whole=[profile])

    def lose(self, group: GroupName) -> None:
        """The group's profile is on standby from now on: no row may stay that calls would go to."""
        self.held.discard(group)
        self._adopted.discard(group)
        self.presence.end(self._profiles({group}))
        self._walks.begin([group], clear={OWN})
        self._choose()

    def change(self, changes: tuple[bytes | None, ...]) -> None:
        """Records of another stream changed: key, record or None, in turn."""
        for key, record in zip(changes[::2], changes[1::2], strict=True):
            if key is None:
                continue
            group = group_of(key).decode("utf-8", "replace")
            is_word = record is not None or self._copies.get(REGISTRATIONS, key) is None
            if group in self._adopted and is_word:
                # A late word of the holder before, rare. Its retreat, long after, leaves our record as it is.
                self.late.append(key)
                self.note(key)
            elif group not in self.held and self.target:
                self.note(key)

    def note(self, key: Key) -> None:
        """Look at this record again."""
        if not self._is_open:
            return
        self._pending[key] = None
        if len(self._pending) > LARGEST_PENDING:
            self._counts["pending overflow"] += 1
            self._pending.clear()
            self._walks.begin(group.name for group in self._settings.groups)

    def note_elsewhere(self, place: Place) -> None:
        """The user has no row of its own any more: copies of other groups' may stand where it was.

        Looked at from the next turn on, when the record is really gone.
        """
        self._vacated.append(place)

    def drop_copies(self, place: Place) -> None:
        """A record of ours ends while copies of it, from before it was ours, wait for the walk to take them out."""
        walk = self._walks.of(place.group)
        for profile in sorted(walk.clear - {OWN}) if walk is not None else ():
            there = place._replace(group=self._settings.group_of_profile(profile), profile=profile)
            for slot in range(self._wide.get(key_of(place), 1)):
                self.clear_away(there, copy_call_id(place, slot))

    def _elsewhere(self, place: Place) -> Iterator[Key]:
        """The records of the same user at groups that we do not hold."""
        for group in self._settings.groups:
            for profile in group.profiles if group.name not in self.held else ():
                try:
                    key = key_of(place._replace(group=group.name, profile=profile))
                except BadMessage:
                    continue
                if self._copies.get(REGISTRATIONS, key) is not None:
                    yield key

    def learn(self, profile: str, is_multiple: bool) -> None:
        """The profile keeps several rows for one user, so that copies harm nobody there; or one."""
        known = self.multiple if is_multiple else self.single
        (self.single if is_multiple else self.multiple).discard(profile)
        if profile in known:
            return
        known.add(profile)
        if is_multiple:
            self._walks.begin([self._settings.group_of_profile(profile)])
            if profile == self.target:
                self._walks.begin(self._others())

    def clear_away(self, place: Place, call_id: str) -> None:
        """This row is to go from its profile, unless the group changes hands first."""
        self._leftovers.append((place, call_id, place.group in self.held))

    def is_taken(self, place: Place) -> bool:
        """Whether the one row that the user may have in that profile is its own, or a copy that a record makes."""
        return place.profile not in self.multiple and (
            self._is_own_first(place.profile, place) or any(self._elsewhere(place))
        )

    def is_complete(self, profile: str) -> bool:
        """Whether the switch has in this profile all that registered here: nothing is still to be put there."""
        group = self._settings.group_of_profile(profile)
        return group in self._adopted and not self.presence.is_open(profile)

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
        for key in [key for place in vacated for key in self._elsewhere(place)]:
            self.note(key)
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
            is_in_doubt = was_held and is_copy(call_id) and self._is_own_first(place.profile, place)
            if (place.group in self.held) == was_held and not is_in_doubt:
                yield self._remove(place.profile, place, call_id)
        for key in self._walks.step():
            yield self._place(key, now, True)
        self.presence.end(self._walks.take_filled())

    def _choose(self) -> None:
        """The target stays while it is ours; the next one is the first profile of the first group that has one."""
        if self._settings.group_of_profile(self.target) in self.held and self.target:
            return
        held = sorted(
            (group for group in self._settings.groups if group.name in self.held), key=lambda g: g.name
        )
        old = self.target
        self.target = next((group.profiles[0] for group in held if group.profiles), "")
        self._walks.begin(self._others(), clear={old} - {OWN})

    def _profiles(self, groups: set[GroupName]) -> list[str]:
        return [
            profile for group in self._settings.groups if group.name in groups for profile in group.profiles
        ]

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
        walk = self._walks.of(place.group)
        orders: list[Command] = []
        for profile in sorted(walk.clear) if walk is not None else ():
            orders += self._out_of(profile, key, place, registration)
        if is_ours:
            is_whole = walk is not None and place.profile in walk.whole and is_walk
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
            is_missing = is_whole and not self.presence.has(place, binding.call_id)
            if is_missing or binding.node != self._settings.node:
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
        rows = self.ways.copies(place, registration, now.wall_ms)
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
