"""The records of the groups that we hold, as what our switch says changes them.

What must hold: only the profiles of a group that we hold are heard. A record ends because the switch said so, because
a listing or a look-up does not have it any more, or a while after it should have ended. What we put into the switch
ourselves is never taken for something that a phone said.
Source: sofia_reg.c:726 (expire), 2059 (register), 2213 (unregister), sofia.c:2056 (a connection that ended).
"""

from __future__ import annotations

from collections import Counter

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.streams.units import REGISTRATIONS, Key, body_of, group_of
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, ChangeRecords
from zcluster.telephony.events import Moment
from zcluster.telephony.registration_audit import Audit
from zcluster.telephony.registration_injection import is_copy
from zcluster.telephony.registration_inquiry import LARGEST_LISTING, Doubt, Inquiry
from zcluster.telephony.registration_listing import Listed, read_rows
from zcluster.telephony.registration_placement import NOTHING, Placement
from zcluster.telephony.registration_record import (
    Binding,
    Place,
    Registration,
    key_of,
    pack,
    place_of,
    unpack,
)
from zcluster.telephony.registration_source import binding_of_event, binding_of_row, presence_hosts_of
from zcluster.telephony.registration_strange import Strange
from zcluster.telephony.registration_walk import WalkedCopies
from zcluster.telephony.settings import TelephonySettings

# Two clocks that count whole seconds, and a queue between row and event.
SLACK_MS = 5_000
# An event is later than the row that it tells of, but not by so much.
STRANGE_MS = 5_000


class Ledger:
    """Reads the replicated tables; what is to be written is in the actions."""

    def __init__(
        self,
        settings: TelephonySettings,
        copies: WalkedCopies,
        placement: Placement,
        inquiry: Inquiry,
        audit: Audit,
        counts: Counter[str],
    ) -> None:
        # Groups whose profiles we cleared or began to: the switch has no rows of them but what we put there.
        self.cleared: set[GroupName] = set()
        self._settings = settings
        self._copies = copies
        self._placement = placement
        self._inquiry = inquiry
        self._audit = audit
        self._counts = counts
        # Rows of which no record speaks, though its word may be on the way.
        self._strange = Strange(STRANGE_MS)

    def bindings(self, place: Place) -> tuple[Binding, ...]:
        """What is known of this address of record."""
        return self._record(key_of(place)).bindings

    # -- events

    def hear(self, event: SwitchEvent, now: Moment) -> list[Action]:
        """A phone registered or unregistered, or a row expired."""
        profile = event.get("profile-name")
        group = self._settings.group_of_profile(profile)
        if not group or group not in self._placement.held:
            self._counts["not ours"] += 1
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
            return self._end(key, place, call_id, event.number("expires") if is_expired else None)
        except BadMessage:
            self._counts["bad event"] += 1
            return []

    def _register(self, key: Key, place: Place, binding: Binding, presence_hosts: str) -> list[Action]:
        self._audit.see(place.profile, place.aor, binding.call_id)
        self._placement.presence.see(place, binding.call_id)
        old = self._record(key)
        if place.profile in self._placement.single:
            old = NOTHING
        elif old.bindings and all(each.call_id != binding.call_id for each in old.bindings):
            self._inquiry.doubt(place)
        new = Registration(old.bindings, presence_hosts).with_binding(binding)
        return [self._change(key, new)]

    def _end(self, key: Key, place: Place, call_id: str, expires_s: int | None) -> list[Action]:
        """Unregistered, or expired at that time. A profile that wakes from standby may drop rows long out of date."""
        old = self._record(key)
        this = next((each for each in old.bindings if each.call_id == call_id), None)
        if this is not None and expires_s is not None and expires_s * 1000 + SLACK_MS < this.expires_ms:
            self._counts["old row expired"] += 1
            # The row that our switch dropped was of an earlier registration: this one is missing now.
            self._placement.note(key)
            return []
        if not old.bindings:
            return []
        is_last = place.profile in self._placement.single and expires_s is None
        new = NOTHING if is_last else old.without({call_id})
        if new.bindings:
            self._inquiry.doubt(place)
        else:
            self._placement.drop_copies(place)
            self._placement.note_elsewhere(place)
        return [self._change(key, new)] if new.bindings != old.bindings else []

    # -- listings and look-ups

    def learn(self, place: Place, row: Listed, now: Moment) -> list[Action]:
        """A row that was there before we listened. What we know better, because it came as an event, stays."""
        self._audit.see(place.profile, place.aor, row.call_id)
        try:
            binding = binding_of_row(row, self._settings.node, now.wall_ms)
            key = key_of(place)
        except BadMessage:
            self._counts["bad row"] += 1
            return []
        old = self._record(key)
        known = next((each for each in old.bindings if each.call_id == row.call_id), None)
        if known is not None and known.expires_ms <= binding.expires_ms + SLACK_MS:
            self._placement.presence.see(place, row.call_id, is_listed=True)
        if place.group in self.cleared:
            if known is None:
                self._strange.add(place, row.call_id, now.mono_ms)
            return []
        if known is not None and known.expires_ms + SLACK_MS >= binding.expires_ms:
            return []
        return [self._change(key, old.with_binding(binding))] if row.left_s > 0 else []

    def settle(self, doubt: Doubt, text: str, now: Moment) -> list[Action]:
        """Who is not in the switch's list any more was replaced, unless it has registered again since."""
        place = doubt.place
        if place.group not in self._placement.held:
            return []
        listed = {row.call_id for row, _ in zip(read_rows(text), range(LARGEST_LISTING), strict=False)}
        key = key_of(place)
        old = self._record(key)
        if doubt.is_late:
            for call_id in sorted(listed - {each.call_id for each in old.bindings}):
                if not is_copy(call_id):
                    self._strange.add(place, call_id, now.mono_ms)
        gone = {
            each.call_id
            for each in old.bindings
            if doubt.suspects.get(each.call_id) == each.expires_ms
            and each.call_id not in listed
            # What a former holder just told of may be on its way into the switch.
            and (not doubt.is_late or each.node == self._settings.node)
        }
        if not gone:
            return []
        new = old.without(gone)
        if not new.bindings:
            self._placement.note_elsewhere(place)
        return [self._change(key, new)]

    def ask_about_late(self) -> None:
        """Rows may be left of what late words of a former holder ended: its users are looked up."""
        while self._placement.late:
            try:
                self._inquiry.doubt(place_of(self._placement.late.popleft()), is_late=True)
            except BadMessage:
                self._counts["bad record"] += 1

    # -- rows of which no record speaks

    def deadline(self) -> int | None:
        """When `clear_strange` has something to do."""
        return self._strange.deadline()

    def forget_strange(self) -> None:
        """The switch is another, or must be asked again."""
        self._strange.clear()

    def clear_strange(self, now: Moment) -> None:
        """What still has no record goes."""
        for place, call_id in self._strange.due(now.mono_ms):
            known = self.bindings(place)
            if place.group in self._placement.held and all(each.call_id != call_id for each in known):
                self._placement.clear_away(place, call_id)

    # -- time

    def judge(self, bucket: int, now: Moment) -> list[Action]:
        """One bucket of our records: those that ended without a word."""
        held = {group.encode() for group in self._placement.held}
        actions: list[Action] = []
        for entry in self._copies.bucket(REGISTRATIONS, bucket):
            if group_of(entry.key) not in held:
                continue
            try:
                old, place = unpack(body_of(entry.record)), place_of(entry.key)
            except BadMessage:
                self._counts["bad record"] += 1
                continue
            gone = self._audit.gone(place, old, now.wall_ms)
            if gone:
                actions.append(self._change(entry.key, old.without(gone)))
        self._audit.finish(bucket)
        return actions

    def _record(self, key: Key) -> Registration:
        entry = self._copies.get(REGISTRATIONS, key)
        if entry is None:
            return NOTHING
        try:
            return unpack(body_of(entry.record))
        except BadMessage:
            self._counts["bad record"] += 1
            return NOTHING

    def _change(self, key: Key, registration: Registration) -> ChangeRecords:
        body = pack(registration) if registration.bindings else None
        return ChangeRecords(REGISTRATIONS, ((key, body),))
