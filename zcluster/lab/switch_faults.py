"""The faults of the switch: its process dies, or its event thread stands still.

What must hold: as in `faults`. The host, the daemon and the networks are well all the while.
"""

from __future__ import annotations

import signal
from random import Random

from zcluster.errors import LabError
from zcluster.lab.faults import Fault
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import SwitchKind


class _SwitchFault(Fault):
    is_health_move = True
    needs_switch = True

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        if lab.plan.switch is SwitchKind.NONE:
            raise LabError(f"{self.name} needs a switch: start the laboratory with --switch fake")


class KillSwitch(_SwitchFault):
    """The switch crashes; its calls and its event socket go with it."""

    name = "kill-switch"
    story = "its switch is killed (SIGKILL), host and daemon live; the switch is started again later"

    def inject(self) -> None:
        """Kill the switch and nothing else."""
        self.lab.switch_of(self.holder).signal(signal.SIGKILL)

    def heal(self) -> None:
        """Start it again, as its service manager would."""
        self.lab.start_switch(self.holder)


class StallSwitch(_SwitchFault):
    """The switch hangs: no event leaves it any more.

    The fake's event thread alone stands still, and it answers whoever asks, as a real one does whose event
    handlers hang. A real one has no order for that, so the whole process is stopped: nothing is answered, and
    no SIP or audio passes.
    """

    name = "stall-switch"
    story = (
        "its switch's event thread stands still until the group has moved and api commands are still answered "
        "(a real FreeSWITCH: the whole process is stopped, SIGSTOP, so that nothing is answered)"
    )

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        is_real = lab.plan.switch is SwitchKind.FREESWITCH
        self._stop, self._go_on = (
            (signal.SIGSTOP, signal.SIGCONT) if is_real else (signal.SIGUSR1, signal.SIGUSR2)
        )

    def inject(self) -> None:
        """Have the event thread stand still."""
        self.lab.switch_of(self.holder).signal(self._stop)

    def heal(self) -> None:
        """Let it go on."""
        self.lab.switch_of(self.holder).signal(self._go_on)
