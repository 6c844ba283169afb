"""Who is compared in `bench.failover`: zcluster at two presets, and keepalived at three advertisement intervals.

What must hold: all of them get the same laboratory (same hosts, bridges, client and observer), real-time
scheduling, and one virtual address of each family; keepalived is the distribution's own program, told everything
by its command line and one file, with its process files in each host's private /run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zcluster.errors import LabError
from zcluster.lab.cluster_view import holders_by_group
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, Laboratory
from zcluster.lab.plan import LENGTH_V4, LENGTH_V6, Network, Plan

KEEPALIVED_HINT = "keepalived is not installed (Debian: apt-get install keepalived)"
REAL_TIME_PRIORITY = 10  # what zcluster takes for itself
WELL_LIMIT_S = 40.0
LOOK_EVERY_S = 0.1
SOLE_USER_S = 0.4


@dataclass(frozen=True, slots=True)
class Contender:
    """`preset` is zcluster's, `advert_s` keepalived's; one of the two is set."""

    name: str
    preset: str = ""
    advert_s: float = 0.0

    def obstacle(self) -> str:
        """Why it cannot run here; "" if it can."""
        return "" if self.preset or find_keepalived() else KEEPALIVED_HINT

    def laboratory(self, directory: Path, plan: Plan) -> Laboratory:
        """A laboratory in which its daemon runs on every node."""
        if self.preset:
            return Laboratory(directory, plan)
        file = directory / "keepalived.conf"
        file.write_text(keepalived_file(plan, self.advert_s))
        return Laboratory(directory, plan, _keepalived_command(file))

    def wait_until_well(self, lab: Laboratory, is_first: bool = False) -> None:
        """Until a trial may begin. Raises LabError."""
        if self.preset:
            lab.wait_until_well(FOUNDING_LIMIT_S if is_first else WELL_LIMIT_S)
        else:
            # A daemon that just came listens for three advertisements and the skew before it is of use.
            lab.wait(3.3 * self.advert_s)
        _wait_for_sole_user(lab)

    def told_holders(self, lab: Laboratory) -> list[str]:
        """Who holds the group, where the daemons can be asked."""
        if not self.preset:
            return []
        owners = holders_by_group(lab.statuses(), [group.name for group in lab.plan.groups])
        return [owner.holder for owner in owners.values() if owner.holder]


CONTENDERS = (
    Contender("zcluster standard", preset="standard"),
    Contender("zcluster fast", preset="fast"),
    Contender("keepalived 1 s", advert_s=1.0),
    Contender("keepalived 0.1 s", advert_s=0.1),
    Contender("keepalived 0.01 s", advert_s=0.01),
)


def _wait_for_sole_user(lab: Laboratory) -> None:
    """Until every daemon runs, every address answers, and for a while one host alone uses each."""
    until = time.monotonic() + WELL_LIMIT_S
    while True:
        lab.observer.start_over()
        lab.wait(SOLE_USER_S)
        dead = [node for node in lab.powered if not lab.daemon_of(node).is_running()]
        if dead:
            raise LabError(f"the daemon of {', '.join(dead)} ended by itself")
        users: dict[str, set[str]] = {}
        for seen in lab.observer.sightings():
            users.setdefault(seen.address, set()).add(seen.host)
        shared = {address: hosts for address, hosts in users.items() if len(hosts) > 1}
        if not shared and not lab.silent_addresses() and set(users) == set(lab.plan.floating):
            return
        if time.monotonic() > until:
            raise LabError(
                f"not well after {WELL_LIMIT_S:g} s: silent {lab.silent_addresses()}, shared {shared}"
            )
        time.sleep(LOOK_EVERY_S)


def find_keepalived() -> str | None:
    """The program, also where the path of an ordinary user does not show it."""
    return shutil.which("keepalived", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def keepalived_version() -> str:
    """As it says itself; "" without it."""
    program = find_keepalived()
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return (done.stderr + done.stdout).strip().splitlines()[0].split(" (")[0]


def _keepalived_command(file: Path) -> Sequence[str]:
    program = find_keepalived()
    if program is None:
        raise LabError(KEEPALIVED_HINT)
    where = ["-p", "/run/keepalived.pid", "-r", "/run/vrrp.pid"]
    return [program, "--dont-fork", "--log-console", "--vrrp", "-f", str(file), *where]


def keepalived_file(plan: Plan, advert_s: float) -> str:
    """One file for all hosts: `@name` picks a host's own line. Nobody takes back what another holds (nopreempt)."""
    (group,) = plan.groups
    own = [f"    @{node.name} priority {200 - 10 * node.number}" for node in plan.nodes]
    priorities = "\n".join(own)
    return f"""\
global_defs {{
    vrrp_version 3
    vrrp_rt_priority {REAL_TIME_PRIORITY}
    vrrp_no_swap
}}
vrrp_instance {group.name} {{
    state BACKUP
    nopreempt
    interface {Network.SERVICE.value}
    virtual_router_id 51
    advert_int {advert_s:g}
{priorities}
    virtual_ipaddress {{
        {group.address_v4}/{LENGTH_V4} dev {Network.SERVICE.value}
    }}
    virtual_ipaddress_excluded {{
        {group.address_v6}/{LENGTH_V6} dev {Network.SERVICE.value}
    }}
}}
"""
