"""Calls per second of the whole cluster: a share for each node, which follows its demand.

mod_hash compares a rate with its own calls alone, whatever its remotes say. So a rate of the file is shared out among
the groups (`shares.py`), and each node tells its switch, in a global variable, what the groups that it holds may use
together. The dialplan's line must name that variable, with an interval of one second:

    <action application="limit" data="hash outbound carrier1_rate ${zcluster_rate_outbound_carrier1_rate}/1"/>

What must hold: the variables of all switches never allow more than the rate within one of mod_hash's windows while
the groups keep their masters. A share grows only by a gift that was published; a gift is published only after our
switch has confirmed the smaller number and one window more. A master that takes a group over from a dead one begins
with that group's share at once: in that one window the share counts twice.

Beside the limits of the dialplan, "sessions-per-second" shares out the core's own rate by `fsctl sps`, in equal parts
for each group, because the core does not tell how many it turned away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.streams.actions import Replicated
from zcluster.streams.units import LIMITS, Key, body_of, record_key
from zcluster.switch import commands
from zcluster.switch.commands import Command
from zcluster.telephony.actions import Action, ChangeRecords, Run, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    GroupLapsed,
    GroupLost,
    GroupOpened,
    Moment,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.hash_dump import Usage
from zcluster.telephony.mastership import Mastership
from zcluster.telephony.part import Copies
from zcluster.telephony.settings import TelephonySettings
from zcluster.telephony.shares import Gift, Row, gift, read_row, shares, spread

PURPOSE = "limits:rate:"
VARIABLE = "zcluster_rate_"
SESSIONS_PER_SECOND = "sessions-per-second"
LARGEST_RATES = 256
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

# mod_hash's window, in whole seconds of the wall clock: one that began in this second ends in the next.
WINDOW_MS = 2000
PLAN_MS = 500
RETRY_MS = 1000
ANSWER_MS = 2000
# Demand is the most that was tried in one window of these last ones.
MEMORY_MS = 3000


def row_key(group: GroupName, name: str) -> Key:
    """Where a group's master writes the row of a rate."""
    return record_key(group, b"\0rate\0" + name.encode())


@dataclass(slots=True)
class _Rate:
    """One rate as our switch has it. `confirmed`: what it said it took; `asked`: what it was told since."""

    name: str
    total: int
    confirmed: int | None = None
    asked: int | None = None
    retry_at_ms: int = 0
    tried: list[tuple[int, int]] = field(default_factory=list)
    # What we are about to give away: our switch does not use it any more from `publish_at_ms` on.
    gift: Gift | None = None
    publish_at_ms: int | None = None

    def demand(self, now_ms: int) -> int:
        """Calls tried in one second, the most of the last few."""
        self.tried = [(at_ms, count) for at_ms, count in self.tried if now_ms - at_ms < MEMORY_MS]
        return max((count for _, count in self.tried), default=0)

    def forget_gift(self) -> None:
        """Nothing is given away for now."""
        self.gift = self.publish_at_ms = None


class Rates:
    """Owned by `Limits`, which hands it every event and each reading of mod_hash."""

    def __init__(self, settings: TelephonySettings, copies: Copies, mastership: Mastership) -> None:
        self._copies = copies
        self._mastership = mastership
        self._groups = tuple(sorted(group.name for group in settings.groups))
        self._refused = tuple(sorted(name for name in settings.rates if not _NAME.fullmatch(name)))
        names = sorted(settings.rates.keys() - set(self._refused))[:LARGEST_RATES]
        self._rates = {name: _Rate(name, settings.rates[name]) for name in names}
        self._is_switch_open = False
        self._plan_at_ms = 0

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        if not self._rates and not self._refused:
            return []
        actions: list[Action] = []
        match event:
            case SwitchOpened():
                self._open_switch(actions)
            case SwitchClosed():
                self._is_switch_open = False
            case Answered(purpose) if purpose.startswith(PURPOSE):
                self._confirm(purpose.removeprefix(PURPOSE), now.mono_ms)
            case Unanswered(purpose) if purpose.startswith(PURPOSE):
                self._refuse(purpose.removeprefix(PURPOSE), now.mono_ms)
            case Tick() if now.mono_ms >= self._plan_at_ms:
                self._plan_at_ms = now.mono_ms + PLAN_MS
                self._plan(now.mono_ms, actions)
                if actions:
                    # What we just wrote can be read only when it was performed.
                    return actions
            case GroupOpened() | GroupLapsed() | GroupLost():
                pass
            case Replicated(stream) if stream.name == LIMITS:
                pass
            case _:
                return actions
        if self._is_switch_open:
            for rate in self._rates.values():
                self._tell_switch(rate, now.mono_ms, actions)
        return actions

    def note(self, usages: Mapping[str, Usage], now: Moment) -> None:
        """What mod_hash said: how many calls were tried in the running window, refused ones among them."""
        for rate in self._rates.values():
            usage = usages.get(rate.name)
            if usage and usage.rate and now.wall_ms // 1000 - usage.last_s <= usage.interval_s:
                rate.tried.append((now.mono_ms, usage.rate))

    def deadline(self) -> int | None:
        """When `Tick` is due at the latest."""
        return self._plan_at_ms if self._rates else None

    def allowed(self, name: str) -> int:
        """What our switch may use of a rate now. Raises KeyError for a rate that the file does not name."""
        return self._allowed(self._rates[name], self._rows(self._rates[name]))

    def _open_switch(self, actions: list[Action]) -> None:
        self._is_switch_open = True
        for rate in self._rates.values():
            rate.confirmed = rate.asked = None
            rate.retry_at_ms = 0
            rate.tried.clear()
        for name in self._refused:
            actions.append(Tell("warning", "rate-name", f"the rate {name!r} cannot be a variable's name", {}))
        self._refused = ()

    def _rows(self, rate: _Rate) -> dict[GroupName, Row]:
        found = {}
        for group in self._groups:
            entry = self._copies.get(LIMITS, row_key(group, rate.name))
            if entry is not None:
                try:
                    found[group] = read_row(body_of(entry.record))
                except BadMessage:
                    continue
        return found

    def _allowed(self, rate: _Rate, rows: Mapping[GroupName, Row]) -> int:
        have = shares(rate.total, self._groups, rows)
        allowed = sum(have.get(group, 0) for group in self._mastership.opened)
        return max(0, allowed - (rate.gift.amount if rate.gift else 0))

    # -- our switch

    def _tell_switch(self, rate: _Rate, now_ms: int, actions: list[Action]) -> None:
        allowed = self._allowed(rate, self._rows(rate))
        if rate.asked is None and rate.confirmed != allowed and now_ms >= rate.retry_at_ms:
            rate.asked = allowed
            actions.append(Run(PURPOSE + rate.name, _command(rate.name, allowed), ANSWER_MS))

    def _confirm(self, name: str, now_ms: int) -> None:
        rate = self._rates.get(name)
        if rate is None or rate.asked is None:
            return
        rate.confirmed, rate.asked = rate.asked, None
        is_smaller = rate.confirmed <= self._allowed(rate, self._rows(rate))
        if rate.gift is not None and rate.publish_at_ms is None and is_smaller:
            rate.publish_at_ms = now_ms + WINDOW_MS

    def _refuse(self, name: str, now_ms: int) -> None:
        rate = self._rates.get(name)
        if rate is not None:
            rate.confirmed = rate.asked = None
            rate.retry_at_ms = now_ms + RETRY_MS

    # -- the other masters

    def _plan(self, now_ms: int, actions: list[Action]) -> None:
        for rate in self._rates.values():
            ours = [group for group in self._mastership.written if group in self._groups]
            if rate.gift is not None and (rate.gift.source not in ours or not self._is_switch_open):
                rate.forget_gift()
            rows = self._rows(rate)
            if ours:
                self._publish(rate, ours, rows, now_ms, actions)
            if rate.gift is None and self._is_switch_open:
                gifts = (gift(group, rate.total, self._groups, rows, ours) for group in ours)
                rate.gift = next((each for each in gifts if each is not None), None)

    def _publish(
        self,
        rate: _Rate,
        ours: list[GroupName],
        rows: dict[GroupName, Row],
        now_ms: int,
        actions: list[Action],
    ) -> None:
        """Our rows: what we need, what we lack of it told by the first of our groups, and a gift that is due."""
        demand = rate.demand(now_ms)
        have = shares(rate.total, self._groups, rows)
        demands = spread(demand, {group: have[group] for group in ours})
        for group in ours:
            old = rows.get(group)
            known = old if old is not None and old.total == rate.total else Row(rate.total)
            row = known._replace(demand=demands[group])
            is_due = rate.publish_at_ms is not None and now_ms >= rate.publish_at_ms
            if rate.gift is not None and rate.gift.source == group and is_due:
                row = row.with_gift(rate.gift)
                rate.forget_gift()
            if row != old:
                rows[group] = row
                actions.append(ChangeRecords(LIMITS, ((row_key(group, rate.name), row.packed()),)))


def _command(name: str, allowed: int) -> Command:
    if name == SESSIONS_PER_SECOND:
        # The core takes no zero: it would go on with what it has.
        return commands.api("fsctl", "sps", str(max(1, allowed)))
    return commands.api("global_setvar", f"{VARIABLE}{name}={allowed}")
