"""Everything that the control core may ask of its shell. The shell performs a list in its order.

An action that can fail comes back as an event; what depends on it waits for that event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.control.document import Durable
from zcluster.control.messages import Beat
from zcluster.control.units import GroupName


@dataclass(frozen=True, slots=True)
class SendBeat:
    """Send these bytes on every link and transport. A loss is nobody's failure."""

    beat: Beat


@dataclass(frozen=True, slots=True)
class ArmGate:
    """Before the beat of this number is sent: let the kernel hold (address, slot) for one lease.

    `slot` is the beat's sequence. An element runs out by itself; no slot is armed twice.
    """

    slot: int
    groups: tuple[GroupName, ...]
    lease_ms: int


@dataclass(frozen=True, slots=True)
class PointGate:
    """A majority acknowledged the beat of `slot`: the group's addresses live as long as that element."""

    group: GroupName
    slot: int


@dataclass(frozen=True, slots=True)
class OpenAddresses:
    """Put the group's addresses on the interface, point the gate at `slot`, announce. -> `Opened`."""

    group: GroupName
    counter: int
    slot: int


@dataclass(frozen=True, slots=True)
class CloseAddresses:
    """Close the gate for the group's addresses, then remove them. -> `Closed`."""

    group: GroupName
    counter: int


@dataclass(frozen=True, slots=True)
class SendProbe:
    """Ask the service network who uses the group's addresses, and the canary. -> `AddressSeen`."""

    group: GroupName


@dataclass(frozen=True, slots=True)
class AskReference:
    """Ask the configured reference addresses of every service network. -> `ReferenceSeen`."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the service network again who holds the group's addresses (RFC 5227, RFC 4861)."""

    group: GroupName


@dataclass(frozen=True, slots=True)
class RenewAddresses:
    """Prolong the addresses' own lifetime, the second layer below the gate: to `lifetime_ms`, or to the
    usual two seconds where that is 0. An address that ran out is put back.
    """

    group: GroupName
    lifetime_ms: int = 0


@dataclass(frozen=True, slots=True)
class StoreDurable:
    """Write this with fsync, in a side thread. -> `Stored` or `StoreFailed` with the same number."""

    number: int
    durable: Durable


@dataclass(frozen=True, slots=True)
class Tell:
    """Something an operator should be able to read later. `code` is stable; `facts` are plain values.

    Levels: "info", "notice", "warning", "alarm".
    """

    level: str
    code: str
    text: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AnswerWish:
    """The answer to what was asked under that identity: accepted or refused, in words."""

    identity: str
    is_accepted: bool
    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Everything is handed over or closed: end the process. With `keeps_open` the kernel's rules and the
    addresses stay as they are, for the next life.
    """

    keeps_open: bool = False


Action = (
    SendBeat
    | ArmGate
    | PointGate
    | OpenAddresses
    | CloseAddresses
    | SendProbe
    | AskReference
    | Announce
    | RenewAddresses
    | StoreDurable
    | Tell
    | AnswerWish
    | Exit
)
