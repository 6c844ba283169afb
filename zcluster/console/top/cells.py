"""Cells of the tables: how a group, a node, a link, a record is said in a few letters.

What must hold: pure; the word says it, the tone only helps.
"""

from __future__ import annotations

from zcluster.console.top.lines import Piece, Tone
from zcluster.console.top.picture import GroupRow, LinkCell, NodeRow
from zcluster.console.top.streams import StreamSum
from zcluster.console.words import duration, ordinal
from zcluster.control.units import NodeState

LEVEL_TONES = {"info": Tone.DIM, "notice": Tone.PLAIN, "warning": Tone.WARN, "alarm": Tone.BAD}
STATE_TONES = {
    NodeState.MASTER: Tone.GOOD,
    NodeState.SLAVE: Tone.NOTE,
    NodeState.MAINTENANCE: Tone.WARN,
    NodeState.STOPPING: Tone.WARN,
    NodeState.STARTING: Tone.WARN,
    NodeState.FAILED: Tone.BAD,
    NodeState.UNKNOWN: Tone.BAD,
}
LOSS_SEEN_PER_MILLE = 10
CLOCK_SEEN_MS = 500
BEHIND_SEEN_MS = 10
NOTHING = Piece("-", Tone.DIM)


def span(length_ms: int) -> str:
    """A length of time that does not flicker: whole seconds, and less than one as it is."""
    if length_ms < 1000:
        return duration(max(0, length_ms))
    return duration(length_ms // 1000 * 1000).replace(".0 s", " s")


def compact(value: int) -> str:
    """A count in at most five letters: "987", "12.3k", "1.2M"."""
    if value < 10_000:
        return str(value)
    if value < 1_000_000:
        return f"{value / 1000:.1f}k" if value < 100_000 else f"{value // 1000}k"
    return f"{value / 1_000_000:.1f}M"


def rate_text(rate: float | None) -> str:
    """Changes a second; "-" where unknown."""
    if rate is None:
        return "-"
    return f"{rate:.1f}/s" if rate < 1000 else f"{compact(int(rate))}/s"


def holder(group: GroupRow) -> Piece:
    """Who holds it."""
    if not group.holder:
        return Piece("NOBODY", Tone.BAD)
    if group.pinned_to and group.pinned_to != group.holder:
        return Piece(f"{group.holder} (pin {group.pinned_to})", Tone.WARN)
    return Piece(group.holder + (" (pin)" if group.pinned_to else ""), Tone.GOOD)


def addresses(group: GroupRow) -> Piece:
    """All of them, shortest first, so that the telling one is not cut."""
    return Piece(" ".join(sorted(group.addresses, key=lambda address: (":" in address, address))))


def node_name(node: NodeRow) -> Piece:
    """With a star for the one that was asked."""
    return Piece(node.name + ("*" if node.is_self else ""), Tone.STRONG if node.is_self else Tone.PLAIN)


def state(node: NodeRow) -> Piece:
    """Its state in its colour."""
    known = node.state in NodeState.__members__
    return Piece(node.state or "?", STATE_TONES[NodeState(node.state)] if known else Tone.PLAIN)


def slave(node: NodeRow) -> Piece:
    """Its place in the list of slaves."""
    if node.position is None or node.position < 1:
        return NOTHING
    return Piece(ordinal(node.position), Tone.WARN if node.unready else Tone.PLAIN)


def switch(node: NodeRow) -> Piece:
    """Whether its FreeSWITCH was seen to be well, and how long the last pulse through it took, where that is known."""
    if not node.is_heard:
        return NOTHING
    if any(reason.startswith("switch") for reason in node.unready):
        return Piece("ILL", Tone.BAD)
    if not node.build:
        return NOTHING
    return Piece(f"{node.pulse_ms} ms" if node.pulse_ms else "well")


def loss(link: LinkCell | None, is_self: bool, is_witness: bool) -> Piece:
    """Beats lost on a link."""
    if is_self or link is None:
        return NOTHING
    if not link.is_heard:
        if is_witness and link.heard_ms is None:
            return NOTHING
        return Piece("SILENT", Tone.BAD)
    lost = link.loss_per_mille
    if lost is None:
        return Piece("?", Tone.DIM)
    text = f"{lost // 10} %" if lost % 10 == 0 or lost >= 100 else f"{lost / 10:.1f} %"
    return Piece(text, Tone.WARN if lost >= LOSS_SEEN_PER_MILLE else Tone.PLAIN)


def loss_and_delay(link: LinkCell | None, is_self: bool, is_witness: bool) -> Piece:
    """Beats lost on a link, its round trip, and how late beats are there."""
    lost = loss(link, is_self, is_witness)
    if link is None or not link.is_heard or is_self:
        return lost
    late = (link.behind_ms or 0) >= BEHIND_SEEN_MS
    parts = [lost.text, *delay_parts(link)]
    return Piece(" ".join(parts), Tone.WARN if late else lost.tone)


def delay_parts(link: LinkCell) -> list[str]:
    """Its round trip and its lateness, those that are known."""
    parts = []
    if link.round_trip_us is not None:
        us = link.round_trip_us
        parts.append(
            f"{us} us" if us < 1000 else f"{us / 1000:.1f} ms" if us < 100_000 else f"{us // 1000} ms"
        )
    if link.behind_ms is not None and link.behind_ms >= BEHIND_SEEN_MS:
        parts.append(f"+{link.behind_ms} ms")
    return parts


def all_links(node: NodeRow) -> Piece:
    """All links in one cell: how many are heard, and the first that is not."""
    if node.is_self or not node.links:
        return NOTHING
    heard = sum(1 for link in node.links if link.is_heard)
    text = f"{heard}/{len(node.links)}"
    silent = next((link.name for link in node.links if not link.is_heard), "")
    return Piece(f"{text} no {silent}" if silent else text, Tone.BAD if silent else Tone.PLAIN)


def clock(node: NodeRow) -> Piece:
    """How far its clock is ahead of the asked host's."""
    if node.clock_offset_ms is None:
        return NOTHING
    is_far = abs(node.clock_offset_ms) > CLOCK_SEEN_MS
    sign = "+" if node.clock_offset_ms > 0 else "-" if node.clock_offset_ms < 0 else ""
    return Piece(sign + duration(abs(node.clock_offset_ms)), Tone.WARN if is_far else Tone.PLAIN)


def condition(node: NodeRow) -> Piece:
    """What there is to say of it, the worst first."""
    if not node.is_admitted:
        return Piece("not admitted: zcluster roster add", Tone.WARN)
    if not node.is_heard:
        if node.heard_ms is None:
            return Piece("never heard", Tone.BAD)
        return Piece(f"silent for {span(node.heard_ms)}", Tone.BAD)
    parts = [f"NOT READY: {', '.join(node.unready)}"] if node.unready else []
    parts += [f"holds {' '.join(node.holds)}"] if node.holds else []
    parts += ["witness"] if node.is_witness else []
    if node.is_forgotten:
        parts.append("forgotten, votes again soon")
    elif not node.is_voter and node.state != NodeState.STARTING:
        parts.append("does not vote")
    tone = Tone.WARN if node.unready else Tone.PLAIN
    return Piece("; ".join(parts) or "ready", tone if parts else Tone.GOOD)


def stream_numbers(total: StreamSum) -> str:
    """The records of all nodes, and those that nobody has adopted yet."""
    orphaned = f" +{compact(total.orphaned)} orphaned" if total.orphaned else ""
    return compact(total.records) + orphaned
