"""What one fake switch is told at its start.

What must hold: the file is written by the laboratory and read by the fake switch, on one machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from zcluster.errors import ConfigurationError

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """A SIP profile: its name and where it is bound."""

    name: str
    address: str
    port: int = 5060


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """A whole switch. `carrier`: where outside numbers go, at most `trunk_limit` at once.

    `limits_remote`: whom mod_hash would poll for the usage of others, every `limits_poll_ms`.
    """

    switchname: str
    profiles: tuple[ProfilePlan, ...]
    event_socket: Place
    password: str
    core_db: str
    carrier: Place
    limits_remote: Place | None = None
    limits_password: str = ""
    limits_poll_ms: int = 250
    begins_in_standby: bool = True
    row_lag_ms: int = 100
    leg_recovery_ms: int = 3
    trunk_limit: int = 10

    def profile(self, name: str) -> ProfilePlan | None:
        """The profile of that name."""
        return next((profile for profile in self.profiles if profile.name == name), None)


def write_plan(plan: SwitchPlan, path: Path) -> None:
    """As a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(plan)))


def read_plan(path: Path) -> SwitchPlan:
    """Raises ConfigurationError for a file that `write_plan` has not written."""
    try:
        fields = json.loads(path.read_text())
        profiles = tuple(ProfilePlan(**each) for each in fields.pop("profiles"))
        for name in ("event_socket", "carrier", "limits_remote"):
            if fields[name] is not None:
                host, port = fields[name]
                fields[name] = (str(host), int(port))
        return SwitchPlan(profiles=profiles, **fields)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ConfigurationError(f"{path} is no plan of a fake switch: {problem}") from problem
