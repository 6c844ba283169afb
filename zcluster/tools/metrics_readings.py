"""How each metric is read from the cluster's picture: label values and a number for each sample.

What must hold: pure. What the daemon did not say has no sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from zcluster.tools.picture import LinkSeen, NodeSeen, Picture

Sample = tuple[tuple[str, ...], float]
Rows = Callable[[Picture], Iterable[Sample]]
STATES = ("STARTING", "SLAVE", "MASTER", "MAINTENANCE", "STOPPING", "FAILED")
STREAMS = ("calls", "registrations", "limits")


def alone(value: Callable[[Picture], float | None]) -> Rows:
    """The single sample of a metric without labels."""

    def rows(picture: Picture) -> Iterator[Sample]:
        found = value(picture)
        if found is not None:
            yield (), float(found)

    return rows


def groups(value: Callable[[Picture, str], float | None]) -> Rows:
    """A sample for each group, by its name."""

    def rows(picture: Picture) -> Iterator[Sample]:
        for group in picture.groups:
            found = value(picture, group.name)
            if found is not None:
                yield (group.name,), float(found)

    return rows


def nodes(value: Callable[[NodeSeen], float | None]) -> Rows:
    """A sample for each node."""

    def rows(picture: Picture) -> Iterator[Sample]:
        for node in picture.nodes:
            found = value(node)
            if found is not None:
                yield (node.name,), float(found)

    return rows


def thousandths(value: int | None) -> float | None:
    """Milliseconds in seconds, per mille as a part of one; None stays None."""
    return value / 1000 if value is not None else None


def counters(scale: float, **by_label: str) -> Rows:
    """Counters of the document, each under the value of the one label."""

    def rows(picture: Picture) -> Iterator[Sample]:
        for label, name in by_label.items():
            if name in picture.counters:
                yield (label,), picture.counters[name] * scale

    return rows


def counter_alone(name: str, scale: float = 1.0) -> Rows:
    """One counter of the document, without labels. `scale` brings it to the metric's unit."""
    return alone(lambda picture: picture.counters[name] * scale if name in picture.counters else None)


def is_held(picture: Picture, name: str) -> float:
    """Does anybody hold the group? Of an observing node nobody knows."""
    group = picture.group(name)
    return group is not None and bool(group.holder) and not picture.is_observing


def is_open_here(picture: Picture, name: str) -> float:
    """Does this node hold it, with its gate open?"""
    group = picture.group(name)
    return group is not None and picture.is_open_here(group)


def epoch(picture: Picture, name: str) -> float | None:
    """The counter of the group's epoch."""
    group = picture.group(name)
    return group.counter if group is not None else None


def held_s(picture: Picture, name: str) -> float | None:
    """For how long it has its holder, in seconds."""
    group = picture.group(name)
    return thousandths(group.since_ms) if group is not None else None


def holders(picture: Picture) -> Iterator[Sample]:
    """Group and holder, where there is one."""
    for group in picture.groups:
        if group.holder:
            yield (group.name, group.holder), 1.0


def states(picture: Picture) -> Iterator[Sample]:
    """This node's state as a set: one of them is 1."""
    for state in STATES:
        yield (state,), float(picture.state == state)


def node_info(picture: Picture) -> Iterator[Sample]:
    """Words about each node."""
    for node in picture.nodes:
        yield (node.name, node.state, node.version, node.build), 1.0


def is_ready(node: NodeSeen) -> float:
    """Does the node take part, and does nothing keep it from serving?"""
    return node.is_heard and not node.unready and node.state in ("SLAVE", "MASTER")


def links(value: Callable[[LinkSeen], float | None]) -> Rows:
    """A sample for each node on each link."""

    def rows(picture: Picture) -> Iterator[Sample]:
        for node in picture.nodes:
            for link in node.links:
                found = value(link)
                if found is not None:
                    yield (node.name, link.link), float(found)

    return rows


def own_links(picture: Picture) -> Iterator[Sample]:
    """This host's links."""
    for link in picture.links:
        yield (link.name,), float(link.is_up)


def copies(picture: Picture) -> Iterator[Sample]:
    """How complete the copy of each node's records is."""
    for node, percent in picture.copies.percents if picture.copies is not None else ():
        yield (node,), percent / 100


def records(picture: Picture) -> Iterator[Sample]:
    """Without the records that only say whose group is whose."""
    for stream in STREAMS:
        for whose in ("own", "copied"):
            count = picture.counters.get(f"data_{stream}_{whose}")
            if count is not None:
                claims = picture.counters.get(f"data_{stream}_{whose}_claims", 0)
                yield (stream, whose), float(max(count - claims, 0))


def switch_well(picture: Picture) -> float | None:
    """Is the switch watched, known and without a problem? None where there is none."""
    switch = picture.switch
    return None if switch is None else switch.is_known and switch.is_watched and not switch.problems


def warnings(picture: Picture) -> Iterator[Sample]:
    """How many lines of the status warn so."""
    counted: dict[tuple[str, str], int] = {}
    for warned in picture.warnings:
        key = (warned.level, warned.code)
        counted[key] = counted.get(key, 0) + 1
    yield from ((key, float(count)) for key, count in sorted(counted.items()))


# Counters of the document that stand in a metric of their own.
NAMED_COUNTERS = frozenset(
    {
        *(
            f"{prefix}{name}"
            for prefix in ("", "data_")
            for name in ("cpu_ms", "turns", "busy_us", "worst_turn_us")
        ),
        *("worst_oversleep_ms", "data_worst_oversleep_ms", "worst_tick_late_ms"),
        *("data_pulse_ms", "data_longest_pulse_ms", "data_pulses_unsent", "data_limit_clients"),
        *(
            f"data_{stream}_{whose}{part}"
            for stream in STREAMS
            for whose in ("own", "copied")
            for part in ("", "_claims")
        ),
    }
)


def figures(picture: Picture) -> Iterator[Sample]:
    """What has no metric of its own, by process."""
    for name, number in sorted(picture.counters.items()):
        if name not in NAMED_COUNTERS:
            process = "data" if name.startswith("data_") and not name.startswith("data_child_") else "control"
            yield (process, name.removeprefix("data_") if process == "data" else name), float(number)
