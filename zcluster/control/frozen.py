"""A frozen cluster document: what it says, how it comes and goes, and its bounds. Pure (docs/decisions/0520)."""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.control.document import Document, Freeze, Pin
from zcluster.control.units import GroupName, NodeName

LARGEST_REASON_BYTES = 120
LARGEST_WHO_BYTES = 32
LONGEST_MS = 30 * 24 * 3_600_000


def frozen_words(freeze: Freeze) -> str:
    """Why nothing moves, and what ends that: the end of every refusal."""
    return f"{freeze.who} froze the cluster on {freeze.node} ({freeze.reason}); `zcluster thaw` ends that"


def reason_fault(reason: str) -> str:
    """What is wrong with an operator's reason, "" for nothing: it travels in beats and ends on terminals."""
    if not reason.strip():
        return "say why, for whoever finds the cluster frozen at night"
    if not reason.isprintable():
        return "the reason holds characters that cannot be printed"
    if len(reason.encode("utf-8", "replace")) > LARGEST_REASON_BYTES:
        return f"the reason is longer than {LARGEST_REASON_BYTES} bytes: say it shorter"
    return ""


def bounded_who(who: str) -> str:
    """The name of an operator, printable and cut to its bound; "somebody" where nothing is left."""
    letters = "".join(letter for letter in who if letter.isprintable())
    return (
        letters.encode("utf-8", "ignore")[:LARGEST_WHO_BYTES].decode("utf-8", "ignore").strip() or "somebody"
    )


def is_same(one: Freeze | None, other: Freeze) -> bool:
    """Whether both are the same word of the same operator, whatever was written down of the holders since."""
    return one is not None and one._replace(holders=(), is_firm=False) == other._replace(
        holders=(), is_firm=False
    )


def with_freeze(document: Document, freeze: Freeze, holders: Mapping[GroupName, NodeName]) -> Document | None:
    """The document frozen; None if it is so already. One that is frozen stays so under the new words; else
    `holders` is the first guess at where each group is.
    """
    before = document.freeze
    if is_same(before, freeze):
        return None
    if before is None:
        frozen = freeze._replace(holders=_pins(holders))
    else:
        frozen = freeze._replace(holders=before.holders, is_firm=before.is_firm)
    return document._replace(freeze=frozen, is_forced=False)


def without_freeze(document: Document, since_ms: int | None = None) -> Document | None:
    """The document thawed, of the freeze of `since_ms` alone where that is given; None if it is so already."""
    freeze = document.freeze
    if freeze is None or since_ms not in (None, freeze.since_ms):
        return None
    return document._replace(freeze=None, is_forced=False)


def with_holders(document: Document, holders: Mapping[GroupName, NodeName]) -> Document | None:
    """The frozen document, firm, with those holders; None if there is nothing to write down."""
    freeze = document.freeze
    if freeze is None:
        return None
    firm = freeze._replace(holders=_pins(holders), is_firm=True)
    return None if firm == freeze else document._replace(freeze=firm)


def _pins(holders: Mapping[GroupName, NodeName]) -> tuple[Pin, ...]:
    return tuple(Pin(group, node) for group, node in sorted(holders.items()) if node)
