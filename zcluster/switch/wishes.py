"""What a conversation with a switch begins with: who we are, and what we want to be told.

What must hold: all of it is expressible before a connection is tried, or CommandRefused says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zcluster.switch import commands
from zcluster.switch.commands import Command, Form
from zcluster.switch.losses import CRITICAL

PROBE = "zcluster::probe"
PULSE_HEADER = "zc-pulse"
ORIGIN_HEADER = "zc-origin"
BACKGROUND_JOB = "BACKGROUND_JOB"
ALL = "ALL"


@dataclass(frozen=True, slots=True)
class Login:
    """How to authenticate: with the socket's password, or as a directory user."""

    password: str = field(repr=False)
    user: str = ""
    domain: str = ""

    def command(self) -> Command:
        """Raises CommandRefused for what the event socket cannot take."""
        if self.user:
            return commands.userauth(self.user, self.domain, self.password)
        return commands.auth(self.password)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be told. BACKGROUND_JOB and our own pulses are always among it.

    `origin` tells our pulses from those of others; `filters` are alternatives (header, value). Who only speaks hears
    no events: then neither a job nor a pulse comes back.
    """

    origin: str
    names: tuple[str, ...] = ()
    subclasses: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()
    form: Form = Form.JSON
    hears_log: bool = True
    hears_events: bool = True

    def commands(self) -> list[Command]:
        """Filters first: an unfiltered flood cannot be taken back. Raises CommandRefused."""
        names = (
            self.names if ALL in self.names or BACKGROUND_JOB in self.names else (*self.names, BACKGROUND_JOB)
        )
        ours = (("Event-Name", BACKGROUND_JOB), ("Event-Subclass", PROBE))
        wanted = [commands.filter_events(*each) for each in (*self.filters, *ours)] if self.filters else []
        if self.hears_events:
            subclasses = tuple(dict.fromkeys((*self.subclasses, PROBE)))
            wanted.append(commands.subscribe(self.form, names, subclasses))
        if self.hears_log:
            wanted.append(commands.log(CRITICAL))
        wanted.append(commands.api("global_getvar", "core_uuid"))
        return wanted
