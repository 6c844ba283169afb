"""Everything that one fake switch is made of, in one value: what its commands read and change."""

from __future__ import annotations

from dataclasses import dataclass, field

from zcluster.lab.fake_switch.calls import Calls
from zcluster.lab.fake_switch.core_db import CoreDatabase
from zcluster.lab.fake_switch.event_thread import EventThread
from zcluster.lab.fake_switch.leg import Leg
from zcluster.lab.fake_switch.limits import Limits
from zcluster.lab.fake_switch.outputs import Fired, Now
from zcluster.lab.fake_switch.recovery import Recoveries
from zcluster.lab.fake_switch.registrations import Registrations
from zcluster.lab.fake_switch.rows import Identity
from zcluster.lab.fake_switch.settings import ProfilePlan, SwitchPlan


@dataclass(slots=True)
class Profile:
    """A SIP profile as it is now. In standby it takes nothing new; what it has goes on."""

    plan: ProfilePlan
    is_in_standby: bool
    is_running: bool = True
    calls_in: int = 0
    calls_out: int = 0

    @property
    def url(self) -> str:
        """As `sofia status` shows it."""
        return f"sip:mod_sofia@{self.plan.address}:{self.plan.port}"


@dataclass(slots=True)
class SwitchState:
    """One switch. `begun`: when it started."""

    plan: SwitchPlan
    identity: Identity
    host_name: str
    begun: Now
    calls: Calls
    registrations: Registrations
    limits: Limits
    events: EventThread
    database: CoreDatabase
    recoveries: Recoveries
    profiles: dict[str, Profile]
    is_paused_inbound: bool = False
    is_paused_outbound: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def running(self, name: str) -> Profile | None:
        """The profile of that name, if it runs."""
        found = self.profiles.get(name)
        return found if found and found.is_running else None

    def legs_of(self, profile: str) -> list[Leg]:
        """The legs of a profile."""
        return [leg for leg in self.calls.legs.values() if leg.profile.name == profile]

    def fire(self, fired: Fired, now: Now) -> None:
        """Puts an event on the event thread's queue."""
        self.events.fire(fired, now)
