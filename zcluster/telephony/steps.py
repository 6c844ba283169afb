"""The steps that a group's lane takes with the switch, as commands, and how their answers are read.

    load     rows of the next whole calls into the recovery table
    check    is the switch paused or shutting down? `recover` would delete the rows and bring nothing back
    recover  `sofia profile X recover` for each profile with rows, and for each that is still in standby
    drop     rows that were loaded and are not wanted any more
    rest     `sofia profile X rescan`, back into standby, and hang up what lives on it

What must hold: an answer counts as good only when it has the words that FreeSWITCH says on success; much of what it
says with +OK has failed, and much that succeeded has none (tests/switch/captures, api-control).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zcluster.control.units import GroupName
from zcluster.switch.commands import Command, api, bgapi
from zcluster.telephony.actions import Action, DropRows, LoadRows, Run
from zcluster.telephony.desk import Desk
from zcluster.telephony.events import Moment, Row

ANSWER_LIMIT_MS = 5000
RECOVER_LIMIT_MS = 120_000
REST_LIMIT_MS = 30_000
LOAD, CHECK, RECOVER, DROP, REST, HANGUP = "load", "check", "recover", "drop", "rest", "hangup"
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Check:
    """What `fsctl` is asked, the answer that lets us recover, and what another one means."""

    words: tuple[str, ...]
    wanted: str
    problem: str


# `pause_check` without a direction is true only when both are paused; a leg needs its own direction open.
CHECKS = (
    Check(("pause_check", "inbound"), "false", "the switch is paused (fsctl pause inbound)"),
    Check(("pause_check", "outbound"), "false", "the switch is paused (fsctl pause outbound)"),
    Check(("shutdown_check",), "false", "the switch is about to shut down (fsctl shutdown)"),
    Check(("ready_check",), "true", "the switch is shutting down, or paused"),
)
_PROBLEMS = {check.problem: check for check in CHECKS}
_RECOVERED = ("Recovered ", "No sessions to recover")
_RESCANNED = "+OK scan complete"


@dataclass(slots=True)
class Step:
    """What is under way. `waiting`: purpose to what it is about; `failed`: what did not come out well, and how.

    `rows`: the uuids that are being loaded, by profile.
    """

    name: str
    waiting: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[str]] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it failed, in words."""
        return "; ".join(dict.fromkeys(self.failed.values()))

    def fault(self, purpose: str, text: str) -> str:
        """What is wrong with the answer for something of this step, "" for nothing."""
        about, words = self.waiting[purpose], text.strip()
        shown = words[:SHOWN_CHARACTERS] or "an empty answer"
        match self.name:
            case "check":
                if words == _PROBLEMS[about].wanted:
                    return ""
                return about if words in ("true", "false") else shown
            case "recover":
                return "" if words.startswith(_RECOVERED) else shown
            case "rest":
                return "" if _RESCANNED in words else shown
        return ""


def load(desk: Desk, group: GroupName, rows: Sequence[Row]) -> tuple[Step, list[Action]]:
    """Put these rows into the table."""
    purpose = desk.purpose(LOAD, group)
    step = Step(LOAD, {purpose: ""})
    for row in rows:
        step.rows.setdefault(row.profile, []).append(row.uuid)
    return step, [LoadRows(purpose, tuple(rows))]


def drop(desk: Desk, group: GroupName, uuids: Sequence[str]) -> tuple[Step, list[Action]]:
    """Take these rows out of the table."""
    purpose = desk.purpose(DROP, group)
    return Step(DROP, {purpose: ""}), [DropRows(purpose, tuple(uuids))]


def check(desk: Desk, group: GroupName) -> tuple[Step, list[Action]]:
    """Ask whether the switch would bring calls back."""
    step, actions = Step(CHECK), list[Action]()
    for each in CHECKS:
        purpose = desk.purpose(CHECK, group)
        step.waiting[purpose] = each.problem
        actions.append(Run(purpose, api("fsctl", *each.words), ANSWER_LIMIT_MS))
    return step, actions


def recover(desk: Desk, profiles: Sequence[str], now: Moment) -> tuple[Step, list[Action]]:
    """Bring back what is loaded for these profiles, side by side."""
    return _sofia(desk, RECOVER, profiles, "recover", RECOVER_LIMIT_MS, now)


def rest(desk: Desk, profiles: Sequence[str], now: Moment) -> tuple[Step, list[Action]]:
    """Read these profiles' configuration again: it says standby."""
    return _sofia(desk, REST, profiles, "rescan", REST_LIMIT_MS, now)


def hang_up(desk: Desk, profiles: Sequence[str], now: Moment) -> dict[str, Action]:
    """By purpose: what mod_sofia does itself when it ends a profile (sofia.c, sofia_profile_thread_run)."""
    runs: dict[str, Action] = {}
    for profile in profiles:
        purpose = desk.purpose(HANGUP, profile)
        words = ("MANAGER_REQUEST", "sofia_profile_name", profile)
        runs[purpose] = Run(purpose, bgapi(desk.job(now), "hupall", *words), REST_LIMIT_MS)
    return runs


def _sofia(
    desk: Desk, name: str, profiles: Sequence[str], order: str, limit_ms: int, now: Moment
) -> tuple[Step, list[Action]]:
    step, actions = Step(name), list[Action]()
    for profile in profiles:
        purpose = desk.purpose(name, profile)
        step.waiting[purpose] = profile
        command: Command = bgapi(desk.job(now), "sofia", "profile", profile, order)
        actions.append(Run(purpose, command, limit_ms))
    return step, actions
