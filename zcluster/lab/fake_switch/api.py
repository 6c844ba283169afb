"""The api commands of the fake switch, with the real one's answers.

What must hold: what is not imitated is refused as an unknown command is, never answered with a guess. Source:
mod_commands.c, mod_hash.c; texts as in tests/switch/captures.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from zcluster.lab.fake_switch.outputs import Now
from zcluster.lab.fake_switch.show import MODULES, show
from zcluster.lab.fake_switch.sofia import Finish, contact, count_registrations, sofia
from zcluster.lab.fake_switch.state import SwitchState

VERSION = "FreeSWITCH Version 1.11.3-dev~64bit ( 64bit)\n"
NO_CHANNEL = "-ERR No such channel!\n"
_OK = "+OK\n"
_MANAGER = "MANAGER_REQUEST"
# What stands before an "=" or behind it; a backslash takes the next character with it.
_PART = re.compile(r"(?:[^\\=]|\\.)+")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "s": " "}

Command = Callable[[SwitchState, list[str], Now], str]


def run(state: SwitchState, text: str, finish: Finish, now: Now) -> None:
    """Carries one command line out; its output goes to `finish`, at once or later."""
    name, *words = text.split() or [""]
    if name == "global_setvar":
        finish(_global_setvar(state, text.partition(" ")[2].strip(" ")))
    elif name == "sofia":
        sofia(state, words, finish, now)
    elif name in _COMMANDS:
        finish(_COMMANDS[name](state, words, now))
    else:
        finish(f"-ERR {name} Command not found!\n")


def _status(state: SwitchState, words: list[str], now: Now) -> str:
    legs = len(state.calls.legs)
    return (
        f"UP {uptime(state, now)}\n"
        "FreeSWITCH (Version 1.11.3-dev  64bit) is ready\n"
        f"{state.calls.sessions} session(s) since startup\n"
        f"{legs} session(s) - peak {legs}, last 5min {legs} \n"
        f"0 session(s) per Sec out of max 200, peak 0, last 5min 0 \n"
        "5000 session(s) max\nmin idle cpu 0.00/98.00\nCurrent Stack Size/Max 240K/8192K\n"
    )


def uptime(state: SwitchState, now: Now) -> str:
    """As `status` and HEARTBEAT write it."""
    seconds, milliseconds = divmod(now.mono_ms - state.begun.mono_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((0, "year"), (days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second"))
    counted = [*parts, (milliseconds, "millisecond"), (0, "microsecond")]
    return ", ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counted)


def _global_getvar(state: SwitchState, words: list[str], now: Now) -> str:
    if words:
        return state.variables.get(" ".join(words), "")
    return "".join(f"{name}={value}\n" for name, value in state.variables.items())


def _global_setvar(state: SwitchState, text: str) -> str:
    """A value ends at an "=", and may have escapes, in the manner of switch_separate_string."""
    name, value, *_ = (*map(_unescaped, _PART.findall(text)), "", "")
    if value:
        state.variables[name] = value.replace("${", "%{")
    else:
        state.variables.pop(name, None)
    return "+OK"


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


def _alias(state: SwitchState, words: list[str], now: Now) -> str:
    match words:
        case ["add" | "stickyadd", name, *command] if command:
            state.aliases[name] = " ".join(command)
            return _OK
        case ["del", name]:
            state.aliases.pop(name, None)
            return _OK
    return "-USAGE: [add|stickyadd] <alias> <command> | del [<alias>|*]\n"


def _hupall(state: SwitchState, words: list[str], now: Now) -> str:
    cause, *pairs = words or [_MANAGER]
    wanted = dict(zip(pairs[::2], pairs[1::2], strict=False))
    for leg in list(state.calls.legs.values()):
        if all(leg.variables.get(name) == value for name, value in wanted.items()):
            state.calls.hang_up(leg, cause, now)
    if not wanted:
        return f"+OK hangup all channels with cause {cause}\n"
    more = "..." if len(wanted) > 1 else ""
    return f"+OK hangup all channels matching [{pairs[0]}]=[{pairs[1]}]{more} with cause: {cause}\n"


def _uuid_kill(state: SwitchState, words: list[str], now: Now) -> str:
    leg = state.calls.legs.get(words[0]) if words else None
    if leg is None:
        return NO_CHANNEL if words else "-USAGE: <uuid> [cause]\n"
    state.calls.hang_up(leg, words[1] if len(words) > 1 else "NORMAL_CLEARING", now)
    return _OK


def _uuid_exists(state: SwitchState, words: list[str], now: Now) -> str:
    return "true" if words and words[0] in state.calls.legs else "false"


def _uuid_setvar(state: SwitchState, words: list[str], now: Now) -> str:
    if len(words) < 2:
        return "-USAGE: <uuid> <var> [value]\n"
    leg = state.calls.legs.get(words[0])
    if leg is None:
        return NO_CHANNEL
    if len(words) == 2:
        leg.variables.pop(words[1], None)
    else:
        leg.variables[words[1]] = " ".join(words[2:])
    return _OK


def _uuid_getvar(state: SwitchState, words: list[str], now: Now) -> str:
    if len(words) < 2:
        return "-USAGE: <uuid> <var>\n"
    leg = state.calls.legs.get(words[0])
    return leg.variables.get(words[1], "_undef_") if leg else NO_CHANNEL


def _hash_dump(state: SwitchState, words: list[str], now: Now) -> str:
    return state.limits.dump() if words in (["limit"], ["all"]) else ""


def _limit_usage(state: SwitchState, words: list[str], now: Now) -> str:
    return (
        str(state.limits.usage(f"{words[1]}_{words[2]}"))
        if len(words) == 3
        else "-USAGE: <backend> <realm> <id>\n"
    )


def _fsctl(state: SwitchState, words: list[str], now: Now) -> str:
    match words:
        case ["pause" | "resume" as verb, *which] if which in ([], ["inbound"], ["outbound"]):
            if which != ["outbound"]:
                state.is_paused_inbound = verb == "pause"
            if which != ["inbound"]:
                state.is_paused_outbound = verb == "pause"
            return _OK
        case ["pause_check", *which]:
            inbound, outbound = state.is_paused_inbound, state.is_paused_outbound
            is_paused = {"inbound": inbound, "outbound": outbound}.get("".join(which), inbound and outbound)
            return "true" if is_paused else "false"
        case ["ready_check"]:
            return "false" if state.is_paused_inbound and state.is_paused_outbound else "true"
        case ["shutdown_check"]:
            return "false"
        case ["sps"]:
            return "+OK sessions per second: 200\n"
        case ["last_sps"]:
            return "+OK last sessions per second: 0\n"
        case ["max_sessions"]:
            return "+OK max sessions: 5000\n"
        case ["sync_clock"]:
            return "+OK clock synchronized\n"
    return "-ERR the fake switch does not know this part of fsctl\n"


_COMMANDS: dict[str, Command] = {
    "status": _status,
    "version": lambda state, words, now: VERSION,
    "switchname": lambda state, words, now: state.identity.switchname,
    "hostname": lambda state, words, now: state.host_name,
    "uptime": lambda state, words, now: f"{(now.mono_ms - state.begun.mono_ms) // 1000}\n",
    "global_getvar": _global_getvar,
    "alias": _alias,
    "reloadxml": lambda state, words, now: "+OK [Success]\n",
    "module_exists": lambda state, words, now: "true" if words and words[0] in MODULES else "false",
    "show": lambda state, words, now: show(state, words),
    "hupall": _hupall,
    "uuid_kill": _uuid_kill,
    "uuid_exists": _uuid_exists,
    "uuid_setvar": _uuid_setvar,
    "uuid_getvar": _uuid_getvar,
    "hash_dump": _hash_dump,
    "limit_usage": _limit_usage,
    "fsctl": _fsctl,
    "sofia_contact": lambda state, words, now: contact(state, "".join(words)),
    "sofia_count_reg": lambda state, words, now: count_registrations(state, "".join(words)),
}
