"""Everything that can happen to the control core. A newcomer reads this file and `actions.py` first.

The two that come a thousand times a second are tuples: they are made in a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zcluster.control.messages import Beat
from zcluster.control.units import GroupName, LinkName, NodeName


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come. The shell has drained every socket before, so silence is true silence."""


class BeatReceived(NamedTuple):
    """An authenticated beat came in on `link`."""

    beat: Beat
    link: LinkName


class BeatRepeated(NamedTuple):
    """A byte-identical copy of a beat already handed in came on another link or transport."""

    node: NodeName
    incarnation: int
    sequence: int
    link: LinkName


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The carrier of this host's interface for `link` came or went."""

    link: LinkName
    is_up: bool


@dataclass(frozen=True, slots=True)
class ReferenceSeen:
    """A configured reference address of the service network `link` answered."""

    link: LinkName


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """A frame on a service network says that `mac` uses `address` (an ARP or neighbour message).

    `mac` is never one of this host's own. `is_canary` is true for the address that nobody holds: who
    answers for that one answers for everything, a proxy.
    """

    address: str
    mac: str
    is_canary: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """The kernel confirmed `OpenAddresses`, or did not (`problem` says why)."""

    group: GroupName
    counter: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """The kernel confirmed `CloseAddresses`, or did not (`problem` says why)."""

    group: GroupName
    counter: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GateLost:
    """Another tool removed our rules. The shell installed them anew, closed; nothing is armed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """`StoreDurable` with this number is on disk."""

    number: int


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """`StoreDurable` with this number could not be written."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """An operator wants `group` moved to `target` ("" for the primary slave)."""

    identity: str
    group: GroupName
    target: NodeName


@dataclass(frozen=True, slots=True)
class RosterAsked:
    """An operator wants the roster changed: `verb` is "add", "remove" or "force" (the lost ones)."""

    identity: str
    verb: str
    names: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True)
class PinAsked:
    """An operator wants `group` on `target` whenever it stands ready ("" ends the pin)."""

    identity: str
    group: GroupName
    target: NodeName


@dataclass(frozen=True, slots=True)
class FreezeAsked:
    """An operator (`who`) wants nothing to move until `until_ms` (0: until thawed), and says why. Times are
    milliseconds since 1970 by this host's clock; `wall_ms` is now.
    """

    identity: str
    who: str
    reason: str
    wall_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class ThawAsked:
    """An operator (`who`) ends the freeze."""

    identity: str
    who: str


@dataclass(frozen=True, slots=True)
class FreezeOver:
    """By the wall clocks that this host hears, the time of the freeze of `since_ms` is over."""

    since_ms: int


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """The daemon shall be restarted on purpose: hand everything to its next life, so nothing moves."""

    identity: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """This node shall hand over what it holds and end."""


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """Something this node needs to carry traffic broke (`problem`) or came back ("")."""

    subject: str
    problem: str


@dataclass(frozen=True, slots=True)
class SwitchIdentified:
    """The switch beside this node said what it is: a mark of its build, and its own name; "" for unknown."""

    build: str
    switchname: str


Event = (
    Tick
    | BeatReceived
    | BeatRepeated
    | LinkChanged
    | ReferenceSeen
    | AddressSeen
    | Opened
    | Closed
    | GateLost
    | Stored
    | StoreFailed
    | MoveAsked
    | RosterAsked
    | PinAsked
    | FreezeAsked
    | ThawAsked
    | FreezeOver
    | RestartAsked
    | StopAsked
    | HealthChanged
    | SwitchIdentified
)
