"""The command `sofia`: status, registrations, recover, rescan.

What must hold: the texts are mod_sofia's own, to the byte (tests hold them against the captures). Source:
mod_sofia.c, cmd_status, cmd_profile and sofia_function.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from xml.sax.saxutils import escape

from zcluster.lab.fake_switch.outputs import Fired, Now, Source
from zcluster.lab.fake_switch.recovery import Recovery
from zcluster.lab.fake_switch.registrations import Registration
from zcluster.lab.fake_switch.state import Profile, SwitchState

Finish = Callable[[str], None]
_LINE = "=" * 97
_RELOADED = "Reload XML [Success]\n"
_STARTED = Source("sofia.c", "config_sofia", 6343)
_RECOVERED = Source("mod_sofia.c", "sofia_function", 4630)
_XML = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
NOT_HERE = "-ERR the fake switch does not know this part of sofia\n"


def sofia(state: SwitchState, words: list[str], finish: Finish, now: Now) -> None:
    """Carries `sofia WORDS` out; its output goes to `finish`, of a recover when it is through."""
    match words:
        case ["status"]:
            finish(_status(state))
        case ["xmlstatus"]:
            finish(_xml_status(state))
        case ["status", "profile", name, *rest]:
            finish(_of_profile(state, name, rest, now, "Invalid Profile!\n", _profile_status, _registrations))
        case ["xmlstatus", "profile", name, *rest]:
            finish(
                _of_profile(state, name, rest, now, "Invalid Profile!\n", _profile_xml, _registrations_xml)
            )
        case ["profile", name, *rest]:
            _profile(state, name, rest, finish, now)
        case ["recover"]:
            names = tuple(profile.plan.name for profile in state.profiles.values() if profile.is_running)
            _recover(state, names, lambda count: finish(_all_recovered(state, count, now)), now)
        case ["recover", "flush"]:
            for profile in state.profiles.values():
                state.database.flush_rows(profile.plan.name)
            finish("Flushing recovery database.\n")
        case _:
            finish(NOT_HERE)


def contact(state: SwitchState, who: str) -> str:
    """`sofia_contact [PROFILE/]USER[@HOST]`."""
    found = _find(state, who)
    return ",".join(entry.url for entry in found) or "error/user_not_registered"


def count_registrations(state: SwitchState, who: str) -> str:
    """`sofia_count_reg [PROFILE/]USER[@HOST]`."""
    return str(len(_find(state, who)))


def _find(state: SwitchState, who: str) -> list[Registration]:
    profile, _, user = who.rpartition("/")
    name, _, host = user.partition("@")
    wanted = [profile] if profile and profile != "*" else list(state.profiles)
    found = (state.registrations.find(each, name, host) for each in wanted)
    return [entry for entry in found if entry is not None]


def _profile(state: SwitchState, name: str, words: list[str], finish: Finish, now: Now) -> None:
    profile = state.profiles.get(name)
    match words:
        case ["start"] if profile is None:
            finish(f"{_RELOADED}Failure starting {name}\n")
        case ["start"] if profile is not None:
            profile.is_running, profile.is_in_standby = True, state.plan.begins_in_standby
            about = {"module_name": "mod_sofia", "profile_name": name, "profile_uri": profile.url}
            state.fire(Fired("CUSTOM", _STARTED, about, "sofia::profile_start"), now)
            finish(f"{_RELOADED}{name} started successfully\n")
        case _ if profile is None or not profile.is_running:
            finish(f"Invalid Profile [{name}]")
        case ["stop"]:
            profile.is_running = False
            for leg in state.legs_of(name):
                state.calls.hang_up(leg, "MANAGER_REQUEST", now)
            finish(f"{_RELOADED}stopping: {name}")
        case ["rescan"]:
            profile.is_in_standby = state.plan.begins_in_standby
            finish(f"{_RELOADED}+OK scan complete\n")
        case ["recover"]:
            _recover(state, (name,), lambda count: finish(_recovered(count)), now)
        case ["recover", "flush"]:
            profile.is_in_standby = False
            state.database.flush_rows(name)
            finish("Flushing recovery database.\n")
        case ["flush_inbound_reg", *who]:
            for each in state.registrations.flush(name, " ".join(who)):
                if isinstance(each, Fired):
                    state.fire(each, now)
                else:
                    state.database.push(each, now.mono_ms)
            finish("+OK flushing all registrations matching specified call_id or user\n")
        case [unknown, *_]:
            finish(f"Unknown Command [{unknown}]\n")
        case []:
            finish(NOT_HERE)


def _recover(state: SwitchState, names: tuple[str, ...], done: Callable[[int], None], now: Now) -> None:
    """Out of standby at once; then one leg after another, profile after profile."""
    core_uuid = state.identity.core_uuid
    for name in names:
        state.profiles[name].is_in_standby = False

    left = list(names)

    def clean() -> bool:
        while left and state.database.delete_foreign_rows(core_uuid, left[0]):
            del left[0]
        return not left

    stored = (row for name in names for row in state.database.foreign_rows(core_uuid, name))
    state.recoveries.running.append(Recovery(stored, clean, done, now.mono_ms))


def _recovered(count: int) -> str:
    return f"Recovered {count} session(s)\n" if count else "No sessions to recover.\n"


def _all_recovered(state: SwitchState, count: int, now: Now) -> str:
    about = {"recovered_calls": str(count)}
    state.fire(Fired("CUSTOM", _RECOVERED, about, "sofia::recovery_recovered"), now)
    return f"Recovered {count} call(s)\n" if count else "No calls to recover.\n"


def _of_profile(
    state: SwitchState,
    name: str,
    words: list[str],
    now: Now,
    otherwise: str,
    about: Callable[[SwitchState, Profile], str],
    registered: Callable[[list[Registration], str, Now], str],
) -> str:
    profile = state.running(name)
    if profile is None:
        return otherwise
    match words:
        case []:
            return about(state, profile)
        case ["reg"]:
            return registered(state.registrations.of_profile(name), state.identity.switchname, now)
        case ["user", who]:
            entries = state.registrations.of_profile(name)
            found = [each for each in entries if who in (f"{each.user}@{each.host}", each.user)]
            return registered(found, state.identity.switchname, now)
    return NOT_HERE


def _status(state: SwitchState) -> str:
    running = [profile for profile in state.profiles.values() if profile.is_running]
    head = f"{'Name':>25}\t{'Type':>7}\t{'Data':>42}\tState"
    rows = (
        f"{profile.plan.name:>25}\t{'profile':>7}\t{profile.url:>42}\tRUNNING ({_in_use(state, profile)})"
        for profile in running
    )
    count = f"{len(running)} profile{'' if len(running) == 1 else 's'} 0 aliases"
    return "\n".join([head, _LINE, *rows, _LINE, count, ""])


def _xml_status(state: SwitchState) -> str:
    rows = "".join(
        f"<profile>\n<name>{profile.plan.name}</name>\n<type>profile</type>\n<data>{profile.url}</data>\n"
        f"<state>RUNNING ({_in_use(state, profile)})</state>\n</profile>\n"
        for profile in state.profiles.values()
        if profile.is_running
    )
    return f"{_XML}<profiles>\n{rows}</profiles>\n"


def _in_use(state: SwitchState, profile: Profile) -> int:
    return len(state.legs_of(profile.plan.name))


def _facts(state: SwitchState, profile: Profile) -> list[tuple[str, str]]:
    name, address = profile.plan.name, profile.plan.address
    return [
        ("Name", name),
        ("Domain Name", "N/A"),
        ("Auto-NAT", "false"),
        ("DBName", f"sofia_reg_{name}"),
        ("Pres Hosts", ""),
        ("Dialplan", "XML"),
        ("Context", "default"),
        ("Challenge Realm", "auto_to"),
        ("RTP-IP", address),
        ("SIP-IP", address),
        ("URL", profile.url),
        ("BIND-URL", f"{profile.url};transport=udp,tcp"),
        ("HOLD-MUSIC", "N/A"),
        ("OUTBOUND-PROXY", "N/A"),
        ("CODECS IN", "PCMU,PCMA"),
        ("CODECS OUT", "PCMU,PCMA"),
        ("TEL-EVENT", "101"),
        ("DTMF-MODE", "rfc2833"),
        ("CNG", "13"),
        ("SESSION-TO", "0"),
        ("MAX-DIALOG", "0"),
        ("MAX-RECV-RPS", "1000"),
        ("NOMEDIA", "false"),
        ("LATE-NEG", "false"),
        ("PROXY-MEDIA", "false"),
        ("AGGRESSIVENAT", "false"),
        ("CALLS-IN", str(profile.calls_in)),
        ("FAILED-CALLS-IN", "0"),
        ("CALLS-OUT", str(profile.calls_out)),
        ("FAILED-CALLS-OUT", "0"),
        ("REGISTRATIONS", str(len(state.registrations.of_profile(name)))),
    ]


def _profile_status(state: SwitchState, profile: Profile) -> str:
    return "\n".join([_LINE, *(f"{name:<17}\t{value}" for name, value in _facts(state, profile)), ""])


_XML_NAMES = {
    "DBName": "db-name",
    "CODECS IN": "inbound-codecs",
    "CODECS OUT": "outbound-codecs",
    "AGGRESSIVENAT": "aggressive-nat",
}
_XML_LAST = ("CALLS-IN", "CALLS-OUT", "FAILED-CALLS-IN", "FAILED-CALLS-OUT", "REGISTRATIONS")


def _profile_xml(state: SwitchState, profile: Profile) -> str:
    facts = dict(_facts(state, profile))
    ordered = [name for name in facts if name not in _XML_LAST] + list(_XML_LAST)
    lines = (
        f"    <{tag}>{escape(facts[name])}</{tag}>"
        for name in ordered
        for tag in [_XML_NAMES.get(name, name.lower().replace(" ", "-"))]
    )
    body = "\n".join(lines)
    return f"{_XML}<profile>\n  <profile-info>\n{body}\n  </profile-info>\n</profile>\n"


def _ends(entry: Registration, now: Now) -> tuple[str, int]:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry.ends_s)), entry.ends_s - now.wall_s


def _registrations(found: list[Registration], host: str, now: Now) -> str:
    lines = ["", "Registrations:", _LINE]
    for entry in found:
        date, seconds = _ends(entry, now)
        rows = (
            ("Call-ID:    ", entry.call_id),
            ("User:       ", f"{entry.user}@{entry.host}"),
            ("Contact:    ", entry.contact),
            ("Agent:      ", entry.agent),
            ("Status:     ", f"{entry.status}(unknown) EXP({date}) EXPSECS({seconds})"),
            ("Ping-Status:", "Reachable"),
            ("Ping-Time:", "0.00"),
            ("Host:       ", host),
            ("IP:         ", entry.network[0]),
            ("Port:       ", str(entry.network[1])),
            ("Auth-User:  ", entry.auth_user),
            ("Auth-Realm: ", entry.realm),
            ("MWI-Account:", entry.mwi_account or f"{entry.user}@{entry.host}"),
        )
        lines += [*(f"{name}\t{value}" for name, value in rows), ""]
    return "\n".join([*lines, f"Total items returned: {len(found)}", _LINE, ""])


def _registrations_xml(found: list[Registration], host: str, now: Now) -> str:
    lines = ["<profile>", "  <registrations>"]
    for entry in found:
        date, seconds = _ends(entry, now)
        rows = (
            ("call-id", entry.call_id),
            ("user", f"{entry.user}@{entry.host}"),
            ("contact", entry.contact),
            ("agent", entry.agent),
            ("status", f"{entry.status}(unknown) exp({date}) expsecs({seconds})"),
            ("ping-status", "Reachable"),
            ("ping-time", "0.00"),
            ("host", host),
            ("network-ip", entry.network[0]),
            ("network-port", str(entry.network[1])),
            ("sip-auth-user", entry.auth_user),
            ("sip-auth-realm", entry.realm),
            ("mwi-account", entry.mwi_account or f"{entry.user}@{entry.host}"),
        )
        body = [f"        <{name}>{escape(value, {chr(34): '&quot;'})}</{name}>" for name, value in rows]
        lines += ["    <registration>", *body, "    </registration>"]
    return _XML + "\n".join([*lines, "  </registrations>", "</profile>", ""])
