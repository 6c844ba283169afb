"""The switch beside each daemon of the laboratory: its plan, and the command that runs it.

What must hold: every node has every group's profile under one name, bound to its floating address whether that is
here or not, and in standby until it is told otherwise. The switch's database lies on the host's disk, so what it
left behind is there again after a power cut.
"""

from __future__ import annotations

import sys
from pathlib import Path

from zcluster.lab.fake_switch.settings import ProfilePlan, SwitchPlan, write_plan
from zcluster.lab.host import STATE_DIRECTORY
from zcluster.lab.plan import Network, Plan
from zcluster.lab.telephones import CARRIER_PORT

SWITCH = "switch"
EVENT_SOCKET_PORT = 8021
LIMITS_PORT = 8022
PASSWORD_FILE = "event-socket.password"
PASSWORD = "laboratory"
CORE_DB = STATE_DIRECTORY / SWITCH / "core.db"
_LOOPBACK = "127.0.0.1"


def fake_switch_command(plan: Plan, node: str, directory: Path) -> list[str]:
    """Writes the node's plan into `directory`; the command that runs its fake switch."""
    switch = SwitchPlan(
        switchname=node,
        profiles=tuple(ProfilePlan(group.profile, group.address_v4) for group in plan.groups),
        event_socket=(_LOOPBACK, EVENT_SOCKET_PORT),
        password=PASSWORD,
        core_db=str(CORE_DB),
        carrier=(plan.client.address(Network.SERVICE), CARRIER_PORT),
        limits_remote=(_LOOPBACK, LIMITS_PORT),
        limits_password=PASSWORD,
    )
    file = directory / f"{node}.switch.json"
    write_plan(switch, file)
    return [sys.executable, "-m", "zcluster.lab.fake_switch", str(file)]


def write_password(directory: Path) -> Path:
    """The file that the daemons read the event socket's password from."""
    file = directory / PASSWORD_FILE
    file.touch(mode=0o600)
    file.write_text(f"{PASSWORD}\n")
    return file


def switch_section(password_file: Path) -> str:
    """`[switch]` of the cluster's file."""
    return f"""\
[switch]
event-socket = "{_LOOPBACK}:{EVENT_SOCKET_PORT}"
password-file = "{password_file}"
core-db = "{CORE_DB}"
limits-port = {LIMITS_PORT}
"""
