"""Whether a profile lets calls of the other nodes in: they come from the other floating addresses, without a password.

What must hold: pure; the switch itself says whom its lists admit, for it alone knows how it read them. A name that is
no single word is never sent to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from zcluster.config.configuration import Configuration, Group
from zcluster.console.doctor_checks import switch_files
from zcluster.console.doctor_checks.finding import Finding, good, unknown, warning
from zcluster.console.doctor_checks.questions import SwitchAnswers, acl_question
from zcluster.console.words import listed, printable
from zcluster.switch.commands import Command

MOST_QUESTIONS = 512
_is_word = re.compile(r"[A-Za-z0-9._:/-]{1,64}").fullmatch  # a list, or a network in its place
_WHY = (
    "a call that another node sends by way of this one, for a telephone that only this one reaches, is asked for a "
    "password"
)
_MEND = (
    "put every floating address into the list (conf/freeswitch/zcluster/acl.xml), then fs_cli -x reloadacl; and "
    '<param name="apply-inbound-acl" value="zcluster"/> into the profile\'s settings (docs/freeswitch.md)'
)


def questions_after(answers: SwitchAnswers, configuration: Configuration) -> dict[str, Command]:
    """What must be asked of the lists that the profiles name; at most MOST_QUESTIONS, which many groups do not need."""
    lists = _lists(answers)
    wanted = [
        acl_question(name, address)
        for group in configuration.groups
        for profile in group.profiles
        for name in lists.get(profile, ())
        for address in _others(group, configuration)
    ]
    return dict(list(dict(wanted).items())[:MOST_QUESTIONS])


def findings(answers: SwitchAnswers, configuration: Configuration) -> list[Finding]:
    """One for each profile that has other groups beside it, and stands in the switch's files."""
    lists = _lists(answers)
    return [
        _profile(profile, lists[profile], _others(group, configuration), answers.texts)
        for group in configuration.groups
        for profile in group.profiles
        if profile in lists and _others(group, configuration)
    ]


def _profile(
    profile: str, names: tuple[str, ...], others: tuple[str, ...], texts: Mapping[str, str]
) -> Finding:
    subject = f"profile {profile}"
    if not names:
        return warning(subject, f"apply-inbound-acl names no list: {_WHY}", _MEND)
    said = {
        address: [texts.get(acl_question(name, address)[0], "").strip() for name in names]
        for address in others
    }
    closed = [
        address for address, words in said.items() if "true" not in words and set(words) <= {"true", "false"}
    ]
    if closed:
        words = f"apply-inbound-acl ({printable(listed(names))}) refuses {listed(closed)}: {_WHY}"
        return warning(subject, words, _MEND)
    if any("true" not in words for words in said.values()):
        return unknown(subject, f"the switch does not say whom {printable(listed(names))} admits")
    return good(subject, f"lets calls of the other nodes in ({printable(listed(names))})")


def _lists(answers: SwitchAnswers) -> dict[str, tuple[str, ...]]:
    found = switch_files.inbound_acls(switch_files.parsed(answers.texts.get("sofia.conf", "")))
    return {profile: tuple(name for name in names if _is_word(name)) for profile, names in found.items()}


def _others(group: Group, configuration: Configuration) -> tuple[str, ...]:
    return tuple(
        str(interface.ip)
        for other in configuration.groups
        if other is not group
        for interface in other.addresses
    )
