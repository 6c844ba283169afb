"""Moves: groups that this node gives away, for its health, for the file's rules, or for an operator.

What must hold: every move but a stop is to a node that is named and stands ready; for health at most three a
minute and group, by itself at most one a minute (DESIGN 4.10); nothing is given up for a claim that must fail,
and nothing at all while the cluster is frozen.
"""

from __future__ import annotations

from zcluster.control.actions import AnswerWish
from zcluster.control.designation import better_home, may_hold, pinned_to, successor, who_steps_aside
from zcluster.control.frozen import frozen_words
from zcluster.control.health import Health
from zcluster.control.holding import Holder
from zcluster.control.messages import Ask
from zcluster.control.ownership import Phase
from zcluster.control.reasons import NO_VOTE_YET
from zcluster.control.restart import Restart
from zcluster.control.situation import Situation
from zcluster.control.takeover import Seeker
from zcluster.control.units import GroupName, NodeName, NodeState

ASK_SHOWN_MS = 1000
ASKS_SHOWN = 16
ASKS_REMEMBERED = 64
RELINQUISH_PAUSE_MS = 60_000


class Moves:
    """What one node gives away, and the wishes that it passes on to other holders."""

    def __init__(
        self, situation: Situation, seeker: Seeker, holder: Holder, health: Health, restart: Restart
    ) -> None:
        self._s = situation
        self._seeker = seeker
        self._holder = holder
        self._health = health
        self._restart = restart
        self._asks: dict[str, tuple[int, Ask]] = {}
        self._answered_asks: dict[str, int] = {}
        self._relinquished_ms = situation.now_ms
        self._stepped_aside_ms = situation.now_ms - RELINQUISH_PAUSE_MS

    def asks(self) -> tuple[Ask, ...]:
        """The operators' wishes of the last second that other holders should hear of."""
        s = self._s
        for identity, (until_ms, _) in list(self._asks.items()):
            if s.now_ms >= until_ms:
                del self._asks[identity]
                s.is_report_stale = True
        return tuple(ask for _, ask in self._asks.values())

    def successor(self, group: GroupName) -> NodeName:
        """Who should take a group of ours; "" where nobody stands ready."""
        s = self._s
        candidates = s.candidates(self._holder.holds(), without=s.name)
        return successor(s.settings, group, candidates, s.name, s.pins, s.build)

    def release_for_health(self, group: GroupName) -> None:
        """Hand over what this node cannot serve, if somebody can."""
        s = self._s
        if s.freeze is not None:
            text = (
                f"{group}: stays here although {', '.join(self._health.problems)}: {frozen_words(s.freeze)}"
            )
            s.tell_once("alarm", "health-frozen", text, group=group)
            return
        target = self.successor(group)
        if not target:
            return
        if self._seeker.watches[group].too_many_health_moves(s.now_ms):
            text = f"{group}: moved three times within a minute for health; stays here whatever comes"
            s.tell_once("alarm", "moves-exhausted", text, group=group)
            return
        text = f"{group}: released to {target}: {', '.join(self._health.problems)}"
        s.tell("warning", "health-release", text, group=group, successor=target)
        self._holder.release(self._holder.tenures[group], target, "health")

    def tidy(self) -> None:
        """Moves that nobody needs at once, to a named ready node, at most one a minute: a group to the
        node it is pinned to or prefers; one of several groups to a slave that stands ready.
        """
        s = self._s
        if s.freeze is not None or s.now_ms < self._relinquished_ms + RELINQUISH_PAUSE_MS:
            return
        held = [t.group for t in self._holder.tenures.values() if t.phase is Phase.HOLDING]
        candidates = [c for c in s.candidates((), without=s.name) if c.is_ready and not c.holds]
        if not candidates:
            return
        for group in held:
            target = better_home(s.settings, s.groups[group], s.name, candidates, s.pins, s.build)
            if target:
                self._give(group, target, "failback")
                return
        if len(held) < 2:
            return
        for group in sorted(held, key=lambda g: (s.groups[g].priority, g)):
            target = successor(s.settings, group, candidates, s.name, s.pins, s.build)
            if target:
                self._give(group, target, "relinquish")
                return

    def _give(self, group: GroupName, target: NodeName, cause: str) -> None:
        self._relinquished_ms = self._s.now_ms
        self._holder.release(self._holder.tenures[group], target, cause)

    def step_aside(self) -> None:
        """Nodes have run out: the holder of the least important group gives it up for a vacant one of
        higher priority. Only after two silences, so that every slave had its chance.
        """
        s = self._s
        if s.freeze is not None or len(self._holder.tenures) != 1 or not s.hears_majority():
            return
        if s.now_ms < self._stepped_aside_ms + RELINQUISH_PAUSE_MS:
            return
        tenure = next(iter(self._holder.tenures.values()))
        if tenure.phase is not Phase.HOLDING:
            return
        vacant = [
            watch.group
            for watch in self._seeker.suspects(self._holder.tenures)
            if s.now_ms >= self._seeker.vacant_at_ms(watch) + 2 * s.timing.silence_ms
        ]
        if not vacant:
            return
        chosen = who_steps_aside(s.settings, s.candidates(self._holder.holds()), vacant)
        if chosen is not None and chosen[0] == s.name and self._has_free_majority(chosen[1]):
            self._stepped_aside_ms = s.now_ms
            text = (
                f"{tenure.group} gives way to {chosen[1]}: nodes have run out and it has the higher priority"
            )
            s.tell("warning", "stepped-aside", text, group=tenure.group, wanted=chosen[1])
            self._holder.release(tenure, "", "priority")

    def _has_free_majority(self, group: GroupName) -> bool:
        """Whether a claim could be won now. Giving up what is served for a claim that must fail helps nobody."""
        s = self._s
        free = int(s.voter.is_free(group, s.now_ms))
        for peer in s.detector.alive(s.now_ms):
            if peer.name in s.roster and peer.hears_us and NO_VOTE_YET not in peer.report.unready:
                free += not any(grant.group == group and grant.is_live for grant in peer.report.grants)
        return free >= s.quorum

    # ---- operators

    def ask(self, identity: str, group: GroupName, target: NodeName) -> None:
        """An operator wants a group moved: do it, pass it on to the holder, or say why not."""
        s = self._s
        problem = self._move_problem(group, target)
        if not problem and len(self._asks) >= ASKS_SHOWN:
            problem = "too many moves are asked for at once; wait a second"
        if problem:
            s.out.append(AnswerWish(identity, False, problem))
            return
        ask = Ask(identity, group, target)
        if group in self._holder.tenures:
            self.grant(ask)
        else:
            self._asks[identity] = (s.now_ms + ASK_SHOWN_MS, ask)
            s.is_report_stale = s.wants_beat = True
        s.out.append(
            AnswerWish(identity, True, f"{group} is asked to move to {target or 'the primary slave'}")
        )

    def _move_problem(self, group: GroupName, target: NodeName) -> str:
        """Why this move cannot be; "" when it can."""
        s = self._s
        if group not in s.groups:
            return f"there is no group {group}; the file has {', '.join(s.groups)}"
        if s.freeze is not None:
            return f"nothing moves: {frozen_words(s.freeze)}"
        holder = s.name if group in self._holder.tenures else self._seeker.watches[group].holder
        if not holder:
            return f"{group} has no holder now; it is claimed as soon as a ready node can"
        if pinned := self._comes_back_to(group, target):
            mend = f"`zcluster unpin {group}` first, or `zcluster pin {group} {target or 'NODE'}`"
            return f"{group} is pinned to {pinned}, which is ready, so it would come back: {mend}"
        if not target:
            candidates = s.candidates(self._holder.holds(), without=holder)
            if not successor(s.settings, group, candidates, holder, s.pins):
                return f"no node stands ready to take {group} from {holder}; see zcluster status"
            return ""
        if target == holder:
            return f"{target} holds {group} already"
        if not may_hold(s.settings, s.groups[group], target):
            return f"the file does not allow {target} to hold {group}"
        for candidate in s.candidates(self._holder.holds()):
            if candidate.name == target:
                if not candidate.is_ready:
                    return self._unready_problem(target)
                if candidate.holds and not s.settings.several_groups:
                    return f"{target} already holds {', '.join(candidate.holds)}"
                return ""
        return f"{target} is not heard or not a member; see zcluster status"

    def _unready_problem(self, target: NodeName) -> str:
        """Why it could not take a group now."""
        s = self._s
        peer = s.detector.peers.get(target)
        reasons = s.unready if target == s.name else peer.report.unready if peer is not None else ()
        state = s.state if target == s.name else peer.report.state if peer is not None else NodeState.UNKNOWN
        return (
            f"{target} is not ready: {', '.join(reasons) or f'its state is {state}'}; see `zcluster status`"
        )

    def _comes_back_to(self, group: GroupName, target: NodeName) -> NodeName:
        """The pinned node that takes the group back after this move; "" where nothing undoes it."""
        s = self._s
        pinned = pinned_to(s.pins, group)
        for candidate in s.candidates(self._holder.holds()):
            if candidate.name == pinned != target and candidate.is_ready:
                is_held_there = group in candidate.holds
                return pinned if set(candidate.holds) <= {group} and (target or is_held_there) else ""
        return ""

    def grant(self, ask: Ask) -> None:
        """The holder acts on an operator's wish, once."""
        s = self._s
        tenure = self._holder.tenures.get(ask.group)
        if self._restart.is_asking:
            return
        if tenure is None or tenure.phase is not Phase.HOLDING or ask.identity in self._answered_asks:
            return
        self._answered_asks[ask.identity] = s.now_ms
        while len(self._answered_asks) > ASKS_REMEMBERED:
            del self._answered_asks[next(iter(self._answered_asks))]
        target = ask.target or self.successor(ask.group)
        if target and not self._move_problem(ask.group, target):
            self._holder.release(tenure, target, "operator")
