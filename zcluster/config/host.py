"""What this host has to do with the file: the key's mode, and whether real-time scheduling is permitted.

What must hold: this reads facts and judges nothing (that is `zcluster.config.check`), changes nothing for good,
and a fact that cannot be learned is None.
"""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path

from zcluster.config.configuration import Configuration
from zcluster.config.hook_dangers import ProgramState, program_state
from zcluster.config.keyfile import load_key
from zcluster.config.passwordfile import Ordinary, load_password, ordinary
from zcluster.errors import KeyFileError

_CLOCK_MONOTONIC_COARSE = 6  # linux/time.h; its resolution is the kernel's tick


class KeyFileState(Enum):
    """What stands where a secret belongs."""

    GOOD = "good"
    MISSING = "missing"
    EXPOSED = "exposed"
    UNREADABLE = "unreadable"
    NOT_A_KEY = "not a key"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """`key_mode` are the permission bits, None when there is no file. `tick_ms` is the kernel's tick, the grain
    in which it ends leases. `password_state` is of the switch's password file, GOOD where none is named;
    `password_ordinary` says why it is an ordinary word, if it is. `programs`: what each hook runs, by its name.
    """

    key_state: KeyFileState
    key_mode: int | None
    real_time_permitted: bool
    tick_ms: float
    password_state: KeyFileState = KeyFileState.GOOD
    password_mode: int | None = None
    programs: Mapping[str, ProgramState] = field(default_factory=dict)
    password_ordinary: Ordinary | None = None


def host_facts(configuration: Configuration) -> HostFacts:
    """The facts of the host this runs on, as the user it runs as."""
    state, mode = _secret_facts(configuration.key_file, load_key)
    password_state, password_mode = KeyFileState.GOOD, None
    if configuration.switch is not None and configuration.switch.password_file is not None:
        password_state, password_mode = _secret_facts(configuration.switch.password_file, load_password)
    password_ordinary = _password_ordinary(configuration) if password_state is KeyFileState.GOOD else None
    tick_ms = time.clock_getres(_CLOCK_MONOTONIC_COARSE) * 1000
    programs = {
        hook.name: program_state(Path(hook.command[0])) for hook in configuration.hooks if hook.command
    }
    return HostFacts(
        state,
        mode,
        _real_time_permitted(),
        tick_ms,
        password_state,
        password_mode,
        programs,
        password_ordinary,
    )


def _password_ordinary(configuration: Configuration) -> Ordinary | None:
    if configuration.switch is None or configuration.switch.password_file is None:
        return None
    try:
        password = load_password(configuration.switch.password_file)
    except KeyFileError:
        return None
    return ordinary(password, _texts(configuration))


def _texts(value: object) -> Iterator[str]:
    """Every text of the configuration: names, patterns and words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list, frozenset)):
        for inner in value:
            yield from _texts(inner)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _texts(getattr(value, each.name))


def _secret_facts(path: Path, load_secret: Callable[[Path], object]) -> tuple[KeyFileState, int | None]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return KeyFileState.MISSING, None
    except OSError:
        return KeyFileState.UNREADABLE, None
    if mode & 0o077:
        return KeyFileState.EXPOSED, mode
    if not os.access(path, os.R_OK):
        return KeyFileState.UNREADABLE, mode
    try:
        load_secret(path)
    except KeyFileError:
        return KeyFileState.NOT_A_KEY, mode
    return KeyFileState.GOOD, mode


def _real_time_permitted() -> bool:
    """May a process of this user run under SCHED_RR? Tried in a child, which ends at once.

    The limit alone does not tell: inside a container root may have lost CAP_SYS_NICE, and a control group
    without real-time budget refuses with EPERM whatever the limit says (sched(7), cgroups-v1 cpu.rt_runtime_us).
    """
    if resource.getrlimit(resource.RLIMIT_RTPRIO)[0] == 0 and os.geteuid() != 0:
        return False
    child = os.fork()
    if child == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
