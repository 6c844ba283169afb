"""What `[switch]` and what belongs to it allow, and is dangerous or means nothing.

What must hold: as in `zcluster.config.check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from zcluster.config.configuration import Configuration, Limit, SwitchSettings
from zcluster.config.fault import Fault
from zcluster.config.host import HostFacts, KeyFileState
from zcluster.config.passwordfile import PASSWORD_PLACE


def switch_dangers(configuration: Configuration, facts: HostFacts) -> Iterator[Fault]:
    """Warnings in the order of the file's sections."""
    switch = configuration.switch
    if switch is None:
        yield from _without_switch(configuration)
        return
    if not switch.event_socket.address.is_loopback:
        yield Fault(
            ("switch", "event-socket"),
            f"{switch.event_socket.address} is the same on every host, so all of them would watch one switch, "
            "and the password crosses the network as plain text",
            'let the event socket of each host listen on "127.0.0.1:8021"',
        )
    yield from _about_password(switch, facts)
    if not any(group.profiles for group in configuration.groups):
        yield Fault(
            ("switch",),
            "no group names a profile, so no call and no registration moves with any address",
            'add profiles = ["sip1"], the SIP profiles on its addresses, to each [[group]]',
        )
    for number, limit in enumerate(configuration.limits):
        yield from _about_limit(number, limit, len(configuration.groups))


def _about_limit(number: int, limit: Limit, groups: int) -> Iterator[Fault]:
    """Numbers that cannot be parted among so many."""
    if limit.sessions is not None and limit.sessions < groups:
        yield Fault(
            ("limit", number, "sessions"),
            f"{limit.sessions} of them cannot be parted among {groups} groups: a master that has none "
            "refuses every call until another one gives up a free one",
            f"make it {groups} or more, or take it out: all hosts then count together, and may pass it for a moment",
        )
    if limit.rate is not None and limit.rate < groups:
        yield Fault(
            ("limit", number, "rate"),
            f"{limit.rate} of them cannot be parted among {groups} groups: mod_hash lets the first call of a "
            f"second pass whatever its number is, so up to {groups} may",
            f"make it {groups} or more",
        )


def _without_switch(configuration: Configuration) -> Iterator[Fault]:
    mend = "add [switch], or take this line out"
    for number, group in enumerate(configuration.groups):
        if group.profiles:
            yield Fault(
                ("group", number, "profiles"), "without [switch] addresses move and their calls do not", mend
            )
    if configuration.limits:
        yield Fault(("limit", 0), "without [switch] nobody counts what this limits", mend)


def _about_password(switch: SwitchSettings, facts: HostFacts) -> Iterator[Fault]:
    path, file = ("switch", "password-file"), switch.password_file
    if file is None:
        yield Fault(
            path,
            "the event socket is opened with the password that every FreeSWITCH is shipped with: who reaches "
            "the socket controls every call, and may run programs on this host",
            f"change it ({PASSWORD_PLACE}), and name a file of mode 0600 that holds it",
        )
        return
    match facts.password_state:
        case KeyFileState.GOOD:
            if facts.password_ordinary is not None:
                yield Fault(
                    path,
                    f"the password in {file} is an ordinary word: {facts.password_ordinary.value}; it can be guessed, "
                    "and `zcluster report` has to take it out wherever that word stands",
                    f"choose a longer one, as of `openssl rand -hex 16`: {PASSWORD_PLACE}",
                )
        case KeyFileState.MISSING:
            yield Fault(
                path,
                f"there is no password at {file} on this host, so the switch cannot be watched here, and this node "
                "is never ready",
                f"write the password of the switch there, with mode 0600: {PASSWORD_PLACE}",
            )
        case KeyFileState.EXPOSED:
            yield Fault(
                path,
                f"others than its owner can use {file} (mode {facts.password_mode:04o}), so it is not used",
                f"`chmod 600 {file}`, and a new password if somebody may have read it",
            )
        case KeyFileState.UNREADABLE:
            yield Fault(path, f"{file} cannot be read by this user", "check as the user that runs it")
        case KeyFileState.NOT_A_KEY:
            yield Fault(path, f"{file} holds no password", f"write one line: {PASSWORD_PLACE}")
