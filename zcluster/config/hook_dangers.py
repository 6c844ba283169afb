"""What `[[hook]]` allows, and will not work on this host or should not be so.

What must hold: as in `zcluster.config.check`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from zcluster.codes.catalogue import CATALOGUE, nearest
from zcluster.config.configuration import Configuration, Hook
from zcluster.config.fault import Fault


class ProgramState(Enum):
    """What stands where a hook's program belongs, for the user that looks."""

    GOOD = "good"
    MISSING = "missing"
    NOT_A_FILE = "not a file"
    NOT_EXECUTABLE = "not executable"
    EXPOSED = "exposed"


def program_state(path: Path) -> ProgramState:
    """What stands at `path` on this host."""
    try:
        found = path.stat()
    except OSError:
        return ProgramState.MISSING
    if not stat.S_ISREG(found.st_mode):
        return ProgramState.NOT_A_FILE
    if not os.access(path, os.X_OK):
        return ProgramState.NOT_EXECUTABLE
    return ProgramState.EXPOSED if found.st_mode & stat.S_IWOTH else ProgramState.GOOD


def hook_dangers(configuration: Configuration, programs: Mapping[str, ProgramState]) -> Iterator[Fault]:
    """Warnings in the order of the file. `programs`: the state of each hook's program, by the hook's name."""
    for number, hook in enumerate(configuration.hooks):
        yield from _about_codes(number, hook)
        if hook.command:
            yield from _about_program(number, hook, programs.get(hook.name, ProgramState.GOOD))
        elif _is_open_on_the_network(hook.url):
            yield Fault(
                ("hook", number, "url"),
                "what happens crosses the network as plain text, and anybody on its way may answer for the server",
                "write https://",
            )


def _about_codes(number: int, hook: Hook) -> Iterator[Fault]:
    """Patterns that no event can meet: the hook would be silent when it is needed."""
    for place, pattern in enumerate(hook.codes):
        path = ("hook", number, "codes", place)
        meant = [code for code in CATALOGUE.values() if code.in_story and fnmatchcase(code.name, pattern)]
        levels = sorted({level for code in meant for level in code.levels})
        if not meant:
            near = " or ".join(nearest(pattern))
            yield Fault(
                path,
                f"no event has the code {pattern}, so the hook {hook.name} hears of nothing by it",
                f"did you mean {near}? `zcluster explain` lists them all"
                if near
                else "`zcluster explain` lists them all",
            )
        elif not set(levels) & set(hook.levels):
            yield Fault(
                path,
                f"{pattern} is told as {' or '.join(levels)}, "
                f"and the hook {hook.name} hears of {', '.join(hook.levels)}",
                f'add "{levels[0]}" to its levels',
            )


def _about_program(number: int, hook: Hook, state: ProgramState) -> Iterator[Fault]:
    path, program = ("hook", number, "command"), hook.command[0]
    fails = f"so every event of the hook {hook.name} fails here"
    match state:
        case ProgramState.GOOD:
            pass
        case ProgramState.MISSING:
            yield Fault(path, f"there is no {program} on this host, {fails}", "put it there, on every host")
        case ProgramState.NOT_A_FILE:
            yield Fault(path, f"{program} is no file, {fails}", "name the program itself")
        case ProgramState.NOT_EXECUTABLE:
            mend = f"`chmod +x {program}`, or check as the user that runs the daemon"
            yield Fault(path, f"{program} cannot be run by this user, {fails}", mend)
        case ProgramState.EXPOSED:
            yield Fault(
                path,
                f"everybody on this host may change {program}, and so run anything as the daemon's user",
                f"`chmod o-w {program}`",
            )


def _is_open_on_the_network(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return parts.scheme == "http" and not is_loopback
