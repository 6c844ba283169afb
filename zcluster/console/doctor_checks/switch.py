"""The switch beside the node: modules, profiles and their addresses, what it needs so that its calls survive.

What must hold: pure, from the switch's answers and the cluster's file to findings. Everything is judged that was
answered, even when the rest was not.

Source: FreeSWITCH's own files, as named beside each check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from zcluster.config.configuration import Configuration, Group, SwitchSettings
from zcluster.console.doctor_checks import switch_files
from zcluster.console.doctor_checks.finding import Finding, error, good, unknown, warning
from zcluster.console.doctor_checks.questions import MODULES, SwitchAnswers
from zcluster.console.words import listed, printable

_SIP_ADDRESS = re.compile(r"<sip-ip>([^<]*)</sip-ip>")
_WHY = {
    "mod_sofia": "there is no SIP without it",
    "mod_commands": "nothing can be asked without it",
    "mod_event_socket": "the cluster speaks to the switch through it",
    "mod_hash": "limits count on each host alone without it",
}
_FRAGMENT = "(conf/freeswitch/zcluster/profile.xml)"
_OPTIONAL = frozenset({"mod_hash"})


def findings(answers: SwitchAnswers, configuration: Configuration, switch: SwitchSettings) -> list[Finding]:
    """What the switch's answers mean for this file."""
    texts = {key: printable(text).strip() for key, text in answers.texts.items()}
    found = [_event_socket(answers, switch)]
    if not texts:
        return found
    found += _modules(texts)
    found += _identity(texts)
    found += _paused(texts)
    found += _core_settings(texts)
    settings = switch_files.profile_parameters(switch_files.parsed(texts.get("sofia.conf", "")))
    for group in configuration.groups:
        found += _group(group, texts, settings)
    found += _limits(texts, switch)
    return found


def _event_socket(answers: SwitchAnswers, switch: SwitchSettings) -> Finding:
    if not answers.problem:
        return good("event socket", f"the switch answers on {switch.event_socket}")
    return error(
        "event socket",
        f"the switch on {switch.event_socket} cannot be asked: {printable(answers.problem)}",
        "start the switch with mod_event_socket; event-socket and password-file in [switch] must be as in its "
        "event_socket.conf.xml, and its ACL must admit this host",
    )


def _modules(texts: Mapping[str, str]) -> list[Finding]:
    found = []
    for name in MODULES:
        answer = texts.get(f"module {name}")
        if answer is None or answer == "true":
            continue
        complaint = warning if name in _OPTIONAL else error
        mend = f"load it in modules.conf.xml, and now: fs_cli -x 'load {name}'"
        found.append(complaint("modules", f"{name} is not loaded: {_WHY[name]}", mend))
    if not found and any(f"module {name}" in texts for name in MODULES):
        found.append(good("modules", f"{listed(MODULES)} are loaded"))
    return found


def _identity(texts: Mapping[str, str]) -> list[Finding]:
    found = []
    if version := texts.get("version"):
        found.append(
            good("build", f"{version} (must be the same on every node: calls are handed over in its words)")
        )
    if name := texts.get("switchname"):
        found.append(good("switchname", f"{name} (must be another one on every node)"))
    return found


def _paused(texts: Mapping[str, str]) -> list[Finding]:
    ways = [way for way in ("inbound", "outbound") if texts.get(f"pause {way}") == "true"]
    if not ways:
        return [good("pause", "the switch takes calls")] if "pause inbound" in texts else []
    return [
        error(
            "pause",
            f"the switch is paused ({listed(ways)}): a recovery would lose every call that it is given",
            "fs_cli -x 'fsctl resume'",
        )
    ]


def _core_settings(texts: Mapping[str, str]) -> list[Finding]:
    root = switch_files.parsed(texts.get("switch.conf", ""))
    if root is None:
        return [unknown("switch.conf", "the switch does not show its switch.conf.xml (xml_locate)")]
    # switch_core.c: without it the ports of recovered calls are not reserved against new ones
    if switch_files.is_true(switch_files.parameters(root).get("rtp-port-usage-robustness", "")):
        return [good("RTP ports", "rtp-port-usage-robustness is on")]
    return [
        warning(
            "RTP ports",
            "rtp-port-usage-robustness is off: a new call may get the port of a recovered one",
            'put <param name="rtp-port-usage-robustness" value="true"/> into switch.conf.xml '
            "(conf/freeswitch/zcluster/switch.xml)",
        )
    ]


def _group(
    group: Group, texts: Mapping[str, str], settings: Mapping[str, Mapping[str, str]]
) -> list[Finding]:
    subject = f"group {group.name}"
    if not group.profiles:
        words = "no SIP profile is named for it: its addresses move, and its calls end"
        return [warning(subject, words, 'name them in the file: profiles = ["..."] in its [[group]]')]
    found = []
    for profile in group.profiles:
        found += _running(profile, group, texts)
        found += _settings(profile, settings)
    return found


def _running(profile: str, group: Group, texts: Mapping[str, str]) -> list[Finding]:
    subject, answer = f"profile {profile}", texts.get(f"profile {profile}")
    if answer is None:
        return []
    found = _SIP_ADDRESS.search(answer)
    if found is None:
        words = "it does not run here, so this node could take over no call of it"
        mend = f"define it on every node and run: fs_cli -x 'sofia profile {profile} start'; see the switch's log"
        return [error(subject, words, mend)]
    address = found[1].strip()
    own = {str(interface.ip) for interface in group.addresses}
    if address in own:
        return [good(subject, f"runs on {address}")]
    return [
        error(
            subject,
            f"runs on {address}, which is no address of group {group.name} ({listed(sorted(own))}): its calls "
            "would not move with the group",
            "set sip-ip and rtp-ip of the profile to the group's address, on every node, and restart it",
        )
    ]


def _settings(profile: str, settings: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    subject = f"profile {profile}"
    if not settings:
        return [unknown(subject, "the switch does not show its sofia.conf.xml (xml_locate)")]
    if profile not in settings:
        return []  # an alias, or one that is gone from the file; whether it runs was judged
    found = []
    # sofia.c: track-calls makes the rows of table `recovery`
    if not switch_files.is_true(settings[profile].get("track-calls", "")):
        words = "track-calls is off: its calls cannot be recovered"
        mend = 'put <param name="track-calls" value="true"/> into its settings and restart it ' + _FRAGMENT
        found.append(error(subject, words, mend))
    if not switch_files.is_true(settings[profile].get("profile-standby", "")):
        words = "profile-standby is off: it takes calls where its group is not held"
        mend = (
            'put <param name="profile-standby" value="true"/> into its settings; the holder wakes it up '
            + _FRAGMENT
        )
        found.append(warning(subject, words, mend))
    return found


def _limits(texts: Mapping[str, str], switch: SwitchSettings) -> list[Finding]:
    if texts.get("module mod_hash") != "true":
        return []
    port = str(switch.limits_port)
    for remote in switch_files.remotes(switch_files.parsed(texts.get("hash.conf", ""))):
        if remote.port == port and remote.host in ("127.0.0.1", "localhost", "::1"):
            return [good("limits", f"mod_hash asks 127.0.0.1:{port} what the other nodes count")]
    return [
        warning(
            "limits",
            f"mod_hash has no remote 127.0.0.1:{port}: limits count on this host alone",
            "put conf/freeswitch/zcluster/hash.xml into hash.conf.xml, with limits-port of [switch]",
        )
    ]
