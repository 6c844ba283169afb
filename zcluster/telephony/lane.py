"""One group on our switch: taking its calls over when it is won, ending them when it is lost, one step at a time.

What must hold: nothing is loaded while a recover of the group runs, since it deletes every foreign row of its
profile when it is done; no recover runs unless the switch said just before that it is neither paused nor going down;
nothing runs before an earlier life's rows are gone. Rows are loaded as soon as the group is won; the switch is told
to recover when the addresses are open. Profiles of one group recover side by side: each takes its own rows only.

A pause is an operator's, and stays: to resume would admit new calls on every profile of the switch. It is told as
this node's health instead, so that another node can have the group while the records are whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zcluster.control.units import NodeName
from zcluster.streams.units import CALLS
from zcluster.telephony import steps
from zcluster.telephony.actions import Action, ChangeRecords, Tell
from zcluster.telephony.desk import Desk
from zcluster.telephony.errands import EXISTS
from zcluster.telephony.events import Moment
from zcluster.telephony.settings import GroupSettings
from zcluster.telephony.steps import RECOVER, Step
from zcluster.telephony.takeover import Takeover

GRACE_MS = 2000
RETRY_MS = 500
REREAD_MS = 200
# Between two parts of a reading: what waits in the process comes first.
READ_TURN_MS = 1
# After a recover of which the end is not known: it may still run.
QUIET_MS = 2000
LARGEST_TRIES = 20
LARGEST_HANGUPS = 10
HANGUP_EVERY_MS = 1000


class Lane:
    """A group's. `counter`: the ballot by which it is ours, None while it is not. `blocked`: why it cannot recover."""

    def __init__(self, group: GroupSettings, desk: Desk) -> None:
        self.group = group
        self.counter: int | None = None
        self.blocked = ""
        self._desk = desk
        self._is_open = False
        self._opened_ms = 0
        self._adopted: tuple[int, NodeName] | None = None
        self._asked: set[str] = set()
        self._step: Step | None = None
        # By profile, what stands in the switch's table and was not recovered yet, and for which ballot.
        self._loaded: dict[str, list[str]] = {}
        self._loaded_for: int | None = None
        self._must_drop = False
        self._active: set[str] = set()
        self._tries = 0
        self._is_resting = True
        self._hangups = 0
        # A recover that begins before these are answered could lose its calls to them.
        self._hanging_up: set[str] = set()
        self._read_ms: int | None = None
        self._read_turn_ms = 0
        self._retry_at_ms: int | None = None
        self._quiet_until_ms: int | None = None
        self._settle_at_ms: int | None = None

    # -- the group

    def win(self, counter: int) -> None:
        """The group is ours by that ballot."""
        if self.counter != counter:
            self.counter = counter
            self._close()
            self._begin()

    def adopt(self, counter: int, source: NodeName) -> None:
        """Its records are in our own stream."""
        self._adopted = (counter, source)
        if self.counter == counter:
            self._forget()

    @property
    def source(self) -> NodeName | None:
        """Whose records we adopted for the ballot by which it is ours, "" for nobody's; None while we have not."""
        return self._adopted[1] if self._adopted is not None and self._adopted[0] == self.counter else None

    def open(self, counter: int, now: Moment) -> None:
        """The addresses are here: the switch may speak."""
        if self.counter == counter and not self._is_open:
            self._is_open, self._opened_ms = True, now.mono_ms
            self._desk.open_group(self.group.name)

    def lapse(self) -> None:
        """The gate is closed for now. What lives stays; what is not back yet waits."""
        self._close()

    def lose(self, now: Moment) -> list[Action]:
        """The group is another's: end everything here."""
        self.counter = None
        self._close()
        self._is_resting = False
        self._hangups = 0
        self._begin()
        # Not a step: it must not wait for a recover that runs, and is done again after it.
        return self._hang_up(now) if self._desk.is_open else []

    def _close(self) -> None:
        self._is_open = False
        self._desk.open_groups.discard(self.group.name)

    def begin_life(self, now: Moment) -> None:
        """The switch started anew: in standby, with no calls, and its table will be cleared."""
        self._step = None
        self._loaded, self._must_drop = {}, False
        self._is_resting = True
        self._hanging_up.clear()
        self._quiet_until_ms = None
        self._opened_ms = now.mono_ms
        self.blocked = ""
        self._begin()

    @property
    def _takeover(self) -> Takeover | None:
        return self._desk.takeovers.get(self.group.name)

    def _forget(self) -> None:
        """What was not brought back is not expected any more."""
        takeover = self._desk.takeovers.pop(self.group.name, None)
        for uuid in [] if takeover is None else takeover.missing():
            self._desk.channels.give_up(uuid)
        self._asked.clear()
        self._read_ms = self._settle_at_ms = None

    def _begin(self) -> None:
        self._forget()
        self._active.clear()
        self._tries = 0
        self._retry_at_ms = None

    # -- answers

    def answered(self, purpose: str, text: str, now: Moment) -> list[Action]:
        """The switch's word for something of ours; other purposes are ignored."""
        self._hanging_up.discard(purpose)
        if self._step is None or purpose not in self._step.waiting:
            return []
        return self._settle(self._step, purpose, self._step.fault(purpose, text), now)

    def failed(self, purpose: str, reason: str, now: Moment) -> list[Action]:
        """There will be no answer, or the table could not be written."""
        self._hanging_up.discard(purpose)
        if self._step is None or purpose not in self._step.waiting:
            return []
        if self._step.name == RECOVER:
            self._quiet_until_ms = now.mono_ms + QUIET_MS
        return self._settle(self._step, purpose, reason, now)

    def _settle(self, step: Step, purpose: str, fault: str, now: Moment) -> list[Action]:
        about = step.waiting.pop(purpose)
        if fault:
            step.failed[about] = fault
        elif step.name == RECOVER:
            self._active.add(about)
            if self._loaded.pop(about, None) is not None and self._takeover is not None:
                self._takeover.last_ms = now.mono_ms
        if step.waiting:
            return []
        self._step = None
        self._retry_at_ms = now.mono_ms + RETRY_MS if step.failed else None
        return self._finish(step, now)

    def _finish(self, step: Step, now: Moment) -> list[Action]:
        """All of a step was answered."""
        match step.name:
            case "load":
                self._finish_load(step)
            case "drop" if step.failed:
                self._desk.refuse_table(step.reason)
            case "drop":
                self._loaded, self._must_drop = {}, False
                self._desk.accept_table()
            case "check":
                self.blocked = step.reason
                if not self.blocked and self._may_recover():
                    return self._recover(now)
            case "recover":
                return self._finish_recover(step)
            case "rest":
                self._is_resting = not step.failed
                self._hangups += 1
                self._retry_at_ms = now.mono_ms + HANGUP_EVERY_MS if self.counter is None else None
        return []

    def _finish_load(self, step: Step) -> None:
        self._loaded, self._must_drop = step.rows, bool(step.failed)
        if not step.failed:
            self._desk.accept_table()
            return
        # The transaction did not happen, or so we hear: the rows are taken out before they are put in again.
        self._desk.refuse_table(step.reason)
        if self._takeover is not None and self._loaded_for == self.counter:
            self._takeover.put_back(uuid for uuids in step.rows.values() for uuid in uuids)

    def _finish_recover(self, step: Step) -> list[Action]:
        if not step.failed:
            self._tries = 0
            return []
        self._tries += 1
        is_told = self._tries in (1, LARGEST_TRIES)
        if self._tries >= LARGEST_TRIES and self._loaded:
            self._must_drop, self._tries = True, 1
        if not is_told:
            return []
        words = ", ".join(f"{profile}: {fault}" for profile, fault in step.failed.items())
        facts = {"group": self.group.name, "profiles": dict(step.failed)}
        return [Tell("alarm", "profile-not-recovered", f"`recover` failed: {words}", facts)]

    # -- what to do next

    def read(self, now: Moment) -> None:
        """The next part of a reading, whatever step is under way. Before anyone advances: it may wake others."""
        takeover = self._takeover
        is_due = self._desk.is_ready and now.mono_ms >= self._read_turn_ms
        if takeover is not None and takeover.is_reading and is_due:
            self._read_turn_ms = now.mono_ms + READ_TURN_MS
            self._desk.read(takeover)

    def advance(self, now: Moment) -> list[Action]:
        """The next step, if one is due and none is under way."""
        actions: list[Action] = []
        if self._retry_at_ms is not None and now.mono_ms >= self._retry_at_ms:
            self._retry_at_ms = None
        if self._quiet_until_ms is not None and now.mono_ms >= self._quiet_until_ms:
            self._quiet_until_ms = None
        while self._step is None and self._desk.is_ready and self._retry_at_ms is None:
            more = self._next(now)
            if not more:
                break
            actions += more
        return actions

    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        if not self._desk.is_ready:
            return None
        if self._takeover is not None and self._takeover.is_reading:
            return self._read_turn_ms
        if self._step is not None:
            return None
        if self._retry_at_ms is not None:
            return self._retry_at_ms
        times = [self._quiet_until_ms]
        if self._takeover is not None and self._takeover.is_stale and self._read_ms is not None:
            times.append(self._read_ms + REREAD_MS)
        elif self._may_conclude():
            times.append(self._settle_at_ms)
        return min((each for each in times if each is not None), default=None)

    def _next(self, now: Moment) -> list[Action]:
        if self._loaded and (self._must_drop or self._loaded_for != self.counter):
            more = self._drop()
            if more:
                return more
        return self._wind_down(now) if self.counter is None else self._carry_on(now)

    def _wind_down(self, now: Moment) -> list[Action]:
        channels = self._desk.channels
        dying = [uuid for uuid in channels.of_group(self.group.name) if channels.is_condemned(uuid)]
        if (dying or not self._is_resting) and self._hangups < LARGEST_HANGUPS:
            return self._rest(now)
        if (dying or not self._is_resting) and self._hangups == LARGEST_HANGUPS:
            self._hangups += 1
            text = (
                f"{len(dying)} legs of {self.group.name} could not be ended, or its profiles not put to rest"
            )
            return [Tell("alarm", "calls-not-ended", text, {"group": self.group.name, "legs": len(dying)})]
        return self._check() if self.blocked else []

    def _carry_on(self, now: Moment) -> list[Action]:
        self._plan(now)
        if self._takeover is not None and not self._takeover.is_in_order:
            return []
        if not self._loaded and self._quiet_until_ms is None and self._takeover is not None:
            rows = self._takeover.next_rows(self._desk.settings.batch_calls, now.wall_ms)
            if rows:
                self._settle_at_ms = None
                self._loaded_for = self.counter
                begun = ChangeRecords(CALLS, self._takeover.take_begun())
                self._step, actions = steps.load(self._desk, self.group.name, rows)
                return [begun, *actions]
        if self._may_recover():
            return self._check()
        if self._may_conclude():
            return self._conclude(now)
        return self._check() if self.blocked else []

    def _plan(self, now: Moment) -> None:
        if self._takeover is None and self._adopted is not None and self._adopted[0] == self.counter:
            self._desk.takeover(self.group, self._adopted[1])
        takeover = self._takeover
        is_due = self._read_ms is None or now.mono_ms >= self._read_ms + REREAD_MS
        if takeover is not None and takeover.is_stale and is_due and not takeover.is_reading:
            self._read_ms, self._read_turn_ms = now.mono_ms, now.mono_ms + READ_TURN_MS
            takeover.begin_reading()
            if takeover.is_one_piece:
                self._desk.read(takeover)

    def _may_recover(self) -> bool:
        return self._is_open and not self._hanging_up and bool(self._loaded or self._standing_by())

    def _may_conclude(self) -> bool:
        return self._is_open and not self._loaded and not self._hanging_up

    def _standing_by(self) -> list[str]:
        return [profile for profile in self.group.profiles if profile not in self._active]

    def _conclude(self, now: Moment) -> list[Action]:
        """The last batch is back, or there was none: wait a moment for it to be seen, then say what is lost."""
        takeover = self._takeover
        if takeover is None or not takeover.has_news:
            self._settle_at_ms = None
            return []
        if self._settle_at_ms is None:
            since_ms = takeover.last_ms if takeover.last_ms is not None else now.mono_ms
            self._settle_at_ms = max(since_ms, self._opened_ms) + GRACE_MS
        if now.mono_ms < self._settle_at_ms or takeover.is_stale or takeover.is_reading:
            return []
        if self._asks_for(takeover.missing()):
            self._settle_at_ms = now.mono_ms + RETRY_MS
            return []
        self._settle_at_ms = None
        return self._tell(takeover, now)

    def _asks_for(self, missing: Sequence[str]) -> bool:
        """Before a call is called lost the switch is asked: events may have been lost. True while it is."""
        errands = self._desk.errands
        for uuid in missing:
            if uuid not in self._asked and errands.add(EXISTS, uuid):
                self._asked.add(uuid)
        return any(map(errands.is_asking, missing))

    def _tell(self, takeover: Takeover, now: Moment) -> list[Action]:
        lost, recovered = takeover.conclude(now.wall_ms)
        last_ms = self._opened_ms if takeover.last_ms is None else takeover.last_ms
        took_ms = max(0, last_ms - self._opened_ms) if recovered else 0
        reasons = Counter(each.reason for each in lost)
        text = f"{recovered} legs of {self.group.name} came back in {took_ms} ms, {len(lost)} are lost"
        facts = {
            "group": self.group.name,
            "counter": self.counter,
            "source": takeover.source,
            "recovered": recovered,
            "lost": len(lost),
            "ms": took_ms,
            "reasons": dict(sorted(reasons.items())),
        }
        actions: list[Action] = []
        if lost:
            actions.append(ChangeRecords(CALLS, tuple((takeover.key(each.uuid), None) for each in lost)))
        for each in lost:
            self._desk.channels.give_up(each.uuid)
            self._desk.lost.add(each)
            actions.append(each.told())
        return [*actions, Tell("notice", "calls-recovered", text, facts)]

    # -- steps

    def _check(self) -> list[Action]:
        self._step, actions = steps.check(self._desk, self.group.name)
        return actions

    def _recover(self, now: Moment) -> list[Action]:
        standing_by = self._standing_by()
        profiles = [each for each in self.group.profiles if each in self._loaded or each in standing_by]
        self._step, actions = steps.recover(self._desk, profiles, now)
        return actions

    def _drop(self) -> list[Action]:
        """Never the row of a leg that lives: it would be the switch's own by now."""
        lives = self._desk.channels.lives
        gone = [uuid for uuids in self._loaded.values() for uuid in uuids if not lives(uuid)]
        if not gone:
            self._loaded, self._must_drop = {}, False
            return []
        self._step, actions = steps.drop(self._desk, self.group.name, gone)
        return actions

    def _rest(self, now: Moment) -> list[Action]:
        if not self.group.profiles:
            self._is_resting = True
            return []
        self._step, actions = steps.rest(self._desk, self.group.profiles, now)
        return actions + self._hang_up(now)

    def _hang_up(self, now: Moment) -> list[Action]:
        runs = steps.hang_up(self._desk, self.group.profiles, now)
        self._hanging_up.update(runs)
        return list(runs.values())
