"""What the person at the terminal has chosen: screen, pane, row, order, filter; and what keys may ask for.

What must hold: values only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Screen(StrEnum):
    """What fills the terminal."""

    OVERVIEW = "overview"
    GROUP = "group"
    NODE = "node"
    WHY = "why"
    STREAMS = "streams"
    ALARMS = "alarms"
    RECORD = "record"
    HELP = "help"


class Pane(StrEnum):
    """A part of the overview that keys can act on."""

    GROUPS = "groups"
    NODES = "nodes"
    STORY = "story"


PANES = tuple(Pane)
GROUP_ORDERS = ("trouble", "name", "holder", "last change", "epoch")
NODE_ORDERS = ("trouble", "name", "state", "slave", "loss")
STORY_ORDERS = ("newest last",)
ORDERS = {Pane.GROUPS: GROUP_ORDERS, Pane.NODES: NODE_ORDERS, Pane.STORY: STORY_ORDERS}


class Size(NamedTuple):
    """Of the terminal, in cells."""

    width: int
    height: int


class Place(NamedTuple):
    """A screen to come back to."""

    screen: Screen
    subject: str
    scroll: int


@dataclass(frozen=True, slots=True)
class Moving:
    """A switchover that waits for its confirmation. `targets`: nodes that stand ready, the primary slave first."""

    group: str
    holder: str
    targets: tuple[str, ...]
    at: int = 0

    @property
    def target(self) -> str:
        """Where it would go."""
        return self.targets[self.at]


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for a while: what became of something asked for."""

    text: str
    is_good: bool
    until_ms: int


@dataclass(frozen=True, slots=True)
class ViewState:
    """`chosen` is what each pane's row is called, "" for the first one (of the story: the newest)."""

    screen: Screen = Screen.OVERVIEW
    subject: str = ""
    scroll: int = 0
    back: tuple[Place, ...] = ()
    pane: Pane = Pane.GROUPS
    is_wide: bool = False
    chosen: dict[Pane, str] = field(default_factory=dict)
    orders: dict[Pane, int] = field(default_factory=dict)
    is_reversed: dict[Pane, bool] = field(default_factory=dict)
    filter: str = ""
    is_typing: bool = False
    moving: Moving | None = None
    notice: Notice | None = None
    is_interactive: bool = True

    def order(self, pane: Pane) -> str:
        """How the pane's rows are sorted."""
        orders = ORDERS[pane]
        return orders[self.orders.get(pane, 0) % len(orders)]


@dataclass(frozen=True, slots=True)
class Quit:
    """End."""


@dataclass(frozen=True, slots=True)
class Move:
    """Ask for a switchover."""

    group: str
    target: str


Command = Quit | Move
