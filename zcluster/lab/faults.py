"""The faults that the laboratory knows: what each does to whom, and how it ends.

What must hold: `inject` is quick, so that the moment of the fault is sharp, and `heal` undoes it completely,
so that the next trial begins from a healthy cluster. Chance is handed in: a seed repeats a trial's choices.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar

from zcluster.errors import LabError
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import CLUSTER_NETWORKS, Network
from zcluster.supervisor.daemon import EXIT_RESTART

_ENDS_WITHIN_S = 2.0
_SERVICE_MANAGER_S = 0.1  # systemd waits as long before it starts a unit again (RestartSec)
_NEVER_RETURN = 2
_DARK_S = (0.2, 0.6)
_RETURN_DELAY_S = (0.0, 0.5)


class Fault(ABC):
    """One fault, about to be injected where `group` is held.

    `hit` names the hosts it strikes. `moves` says whether the group is expected to move. It is healed
    `hold_s` after it was injected, or when the group has moved, whichever is later.
    """

    name: ClassVar[str]
    story: ClassVar[str]
    moves: bool = True
    hold_s: float = 0.5
    way: str = ""  # which of several ways chance has chosen
    # Whether the holder gives the group away because it feels ill: that it does a limited number of times.
    is_health_move: ClassVar[bool] = False
    # Whether it strikes a switch, so that there must be one.
    needs_switch: ClassVar[bool] = False

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        self.lab = lab
        self.group = group
        self.holder = holder
        self.chance = chance
        self.hit: tuple[str, ...] = (holder,)

    @abstractmethod
    def inject(self) -> None:
        """Make it happen, now."""

    @abstractmethod
    def heal(self) -> None:
        """Undo it."""

    def complaints(self) -> list[str]:
        """What else should have come of it and has not, once all is well again."""
        return []


class KillHost(Fault):
    """The host loses power."""

    name = "kill-host"
    story = "all its processes are killed and its links are dead; later it returns with power"

    def inject(self) -> None:
        """Kill its processes, then silence its cables."""
        self.lab.cut_off(self.holder)

    def heal(self) -> None:
        """Let it return, with a new kernel state and its disk."""
        self.lab.clear_away(self.holder)
        self.lab.power_on(self.holder)


class CutService(Fault):
    """The cable of the service network is pulled out."""

    name = "cut-service"
    story = "its service cable is cut; it sees its carrier go"
    is_health_move = True

    def inject(self) -> None:
        """Pull the cable out."""
        self.lab.switchboard.unplug(self.holder, Network.SERVICE)

    def heal(self) -> None:
        """Put it in again."""
        self.lab.switchboard.plug(self.holder, Network.SERVICE)


class CutLinks(Fault):
    """Both cluster networks fail for everybody; the service network carries on."""

    name = "cut-links"
    story = "both cluster links of every host are cut for 2 s; nothing may move, nothing be missed"
    moves = False
    hold_s = 2.0

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        self.hit = tuple(lab.powered)

    def inject(self) -> None:
        """Pull the cables of both cluster networks out, everywhere."""
        for node in self.hit:
            self.lab.switchboard.unplug(node, *CLUSTER_NETWORKS)

    def heal(self) -> None:
        """Put them in again."""
        for node in self.hit:
            self.lab.switchboard.plug(node, *CLUSTER_NETWORKS)


class KillDaemon(Fault):
    """The daemon crashes; its host lives on, with the addresses still on its interface."""

    name = "kill-daemon"
    story = "its daemon is killed (SIGKILL), the host lives; restarted a second later"
    hold_s = 1.0

    def inject(self) -> None:
        """Kill the daemon and nothing else."""
        self.lab.daemon_of(self.holder).signal(signal.SIGKILL)

    def heal(self) -> None:
        """Start it again, as the service manager would."""
        self.lab.start_daemon(self.holder)


class RestartDaemon(Fault):
    """No fault at all: an operator, or a package upgrade, restarts the daemon on purpose."""

    name = "restart-daemon"
    story = "its daemon is restarted on purpose; nothing may move, nothing be missed"
    moves = False

    def inject(self) -> None:
        """Ask for it, wait for the daemon's end, and start the next one as the service manager would."""
        daemon = self.lab.daemon_of(self.holder)
        self.lab.restart_daemon(self.holder)
        status = daemon.wait(_ENDS_WITHIN_S)
        if status != EXIT_RESTART:
            raise LabError(f"the daemon of {self.holder} ended with {status}, not with {EXIT_RESTART}")
        self.lab.wait(_SERVICE_MANAGER_S)
        if self.lab.daemon_of(self.holder) is daemon:  # of a laboratory that is no service manager itself
            self.lab.start_daemon(self.holder)

    def heal(self) -> None:
        """Nothing is broken."""


class StopDaemon(Fault):
    """The daemon hangs, and later goes on where it was."""

    name = "stop-daemon"
    story = "its daemon is stopped (SIGSTOP) and goes on 1.5 s later (SIGCONT)"
    hold_s = 1.5

    def inject(self) -> None:
        """Stop the daemon."""
        self.lab.daemon_of(self.holder).signal(signal.SIGSTOP)

    def heal(self) -> None:
        """Let it go on."""
        self.lab.daemon_of(self.holder).signal(signal.SIGCONT)


class Isolate(Fault):
    """The host talks to nobody and does not notice: its carriers stay up."""

    name = "isolate"
    story = "all three networks drop everything to and from it for 2 s, without loss of carrier"
    hold_s = 2.0

    def inject(self) -> None:
        """Close its ports on all bridges."""
        self.lab.switchboard.mute(self.holder, *Network)

    def heal(self) -> None:
        """Open them."""
        self.lab.switchboard.unmute(self.holder, *Network)


class PauseHost(Fault):
    """Every process of the host stands still."""

    name = "pause-host"
    story = "all its processes stand still for 1.5 s"
    hold_s = 1.5

    def inject(self) -> None:
        """Stop all its processes."""
        self.lab.hosts[self.holder].signal_all(signal.SIGSTOP)

    def heal(self) -> None:
        """Let them go on."""
        self.lab.hosts[self.holder].signal_all(signal.SIGCONT)


class Switchover(Fault):
    """No fault at all: an operator moves the group."""

    name = "switchover"
    story = "an operator moves the group to the primary slave"
    hold_s = 0.0

    def inject(self) -> None:
        """Ask the holder's daemon to move the group."""
        self.lab.move(self.group, by=self.holder)

    def heal(self) -> None:
        """Nothing is broken."""


class PowerAll(Fault):
    """Every host loses power at once; all but two return, in any order."""

    name = "power-all"
    story = "every host loses power and memory; they return in any order, two never"

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        self.hit = tuple(lab.powered)
        order = list(self.hit)
        chance.shuffle(order)
        # Never so many that a majority is lost: then nothing could be held, and rightly so.
        lost = min(_NEVER_RETURN, len(order) - lab.plan.majority)
        self.returning, self.lost = order[lost:], order[:lost]

    def inject(self) -> None:
        """Kill everything at once, and wipe what lay in memory."""
        for node in self.hit:
            self.lab.cut_off(node)
        for node in self.hit:
            self.lab.clear_away(node)
        self.lab.wait(self.chance.uniform(*_DARK_S))

    def heal(self) -> None:
        """Power returns, to one host after another."""
        for node in self.returning:
            self.lab.power_on(node)
            self.lab.wait(self.chance.uniform(*_RETURN_DELAY_S))

    def restore(self) -> None:
        """The hosts that never returned do, after the trial, for the next one."""
        for node in self.lost:
            self.lab.power_on(node)
