"""The switch beside each daemon of the laboratory, the fake or a real one: its files, and the command that runs it.

What must hold: every node has every group's profile under one name, bound to its floating address whether that is
here or not, and in standby until it is told otherwise. The switch's database lies on the host's disk, so what it
left behind is there again after a power cut.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from zcluster.errors import LabError
from zcluster.lab import switch_configuration as real
from zcluster.lab.fake_switch.settings import ProfilePlan, SwitchPlan, write_plan
from zcluster.lab.host import STATE_DIRECTORY
from zcluster.lab.plan import Network, Plan, SwitchKind
from zcluster.lab.telephones import CARRIER_PORT

SWITCH = "switch"
EVENT_SOCKET_PORT = 8021
LIMITS_PORT = 8022
PASSWORD_FILE = "event-socket.password"
CORE_DB = STATE_DIRECTORY / SWITCH / "db" / "core.db"
_LOOPBACK = "127.0.0.1"


def prepare_switch(plan: Plan, node: str, directory: Path, state: Path) -> list[str]:
    """Writes what the node's switch reads; the command that runs it in the node's host.

    `directory`: the laboratory's. `state`: the host's disk, which the host itself sees at STATE_DIRECTORY.
    """
    (state / SWITCH / "db").mkdir(parents=True, exist_ok=True)
    if plan.switch is SwitchKind.FREESWITCH:
        return real_switch_command(plan, node, directory, state)
    return fake_switch_command(plan, node, directory)


def real_switch_command(plan: Plan, node: str, directory: Path, state: Path) -> list[str]:
    """Writes the configuration of the node's FreeSWITCH below `state`; the command that runs it."""
    assert plan.switch_prefix is not None, "a real switch lies somewhere"
    switch = real.SwitchPlan(
        node=node,
        directory=STATE_DIRECTORY / SWITCH,
        prefix=plan.switch_prefix,
        profiles=tuple(real.ProfilePlan(group.profile, group.address_v4) for group in plan.groups),
        carrier=f"{plan.client.address(Network.SERVICE)}:{CARRIER_PORT}",
        password=_password(directory),
        event_socket_port=EVENT_SOCKET_PORT,
        limits_port=LIMITS_PORT,
    )
    assert switch.core_database == CORE_DB, "the daemon reads another database"
    for seen_as in real.switch_directories(switch):
        (state / seen_as.relative_to(STATE_DIRECTORY)).mkdir(parents=True, exist_ok=True)
    for seen_as, text in real.switch_files(switch).items():
        (state / seen_as.relative_to(STATE_DIRECTORY)).write_text(text)
    return list(real.switch_command(switch))


def check_prefix(prefix: Path) -> Path:
    """The same, absolute. Raises LabError, with the mend, where no FreeSWITCH that would do is installed."""
    if not (prefix / "bin" / "freeswitch").is_file():
        raise LabError(
            f"{prefix} has no bin/freeswitch: name the directory that FreeSWITCH was installed to "
            "(the --prefix that its configure was given)"
        )
    modules = prefix / "lib" / "freeswitch" / "mod"
    missing = [name for name in real.MODULES if not (modules / f"{name}.so").is_file()]
    if missing:
        raise LabError(
            f"{modules} lacks {', '.join(missing)}: uncomment them in modules.conf of FreeSWITCH's source, "
            "then `make` and `make install`"
        )
    return prefix.absolute()


def fake_switch_command(plan: Plan, node: str, directory: Path) -> list[str]:
    """Writes the node's plan into `directory`; the command that runs its fake switch."""
    password = _password(directory)
    switch = SwitchPlan(
        switchname=node,
        profiles=tuple(ProfilePlan(group.profile, group.address_v4) for group in plan.groups),
        event_socket=(_LOOPBACK, EVENT_SOCKET_PORT),
        password=password,
        core_db=str(CORE_DB),
        carrier=(plan.client.address(Network.SERVICE), CARRIER_PORT),
        limits_remote=(_LOOPBACK, LIMITS_PORT),
        limits_password=password,
    )
    file = directory / f"{node}.switch.json"
    write_plan(switch, file)
    return [sys.executable, "-m", "zcluster.lab.fake_switch", str(file)]


def write_password(directory: Path) -> Path:
    """The file that the daemons read the event socket's password from: of this laboratory alone, made once."""
    file = directory / PASSWORD_FILE
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"{secrets.token_hex(16)}\n")
    return file


def _password(directory: Path) -> str:
    return write_password(directory).read_text().strip()


def switch_section(password_file: Path) -> str:
    """`[switch]` of the cluster's file."""
    return f"""\
[switch]
event-socket = "{_LOOPBACK}:{EVENT_SOCKET_PORT}"
password-file = "{password_file}"
core-db = "{CORE_DB}"
limits-port = {LIMITS_PORT}
"""
