"""The streams of all nodes as the asked host has them: how full, how far behind, how fast they grow.

What must hold: pure; a rate is told only from two samples of the same life of a writer; records of nodes that are
gone and were not adopted yet are counted by themselves, for an adopter counts them as its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zcluster.console.top import reading

STREAM_NAMES = ("registrations", "calls", "limits")
FULL = 100

Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One writer's stream. `behind`: changes that are not here yet; `rate`: changes a second, None where unknown."""

    stream: str
    node: str
    is_own: bool
    is_orphan: bool
    records: int
    percent: int
    behind: int
    rate: float | None
    path: str


@dataclass(frozen=True, slots=True)
class StreamSum:
    """One stream of all nodes: `records` of those that live, `orphaned` of those that are gone."""

    stream: str
    records: int
    orphaned: int
    rate: float | None
    behind: int
    complete: int
    copies: int
    own: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The answer to `streams` at one moment: sequences by (node, stream, incarnation)."""

    at_ms: int
    node: str
    rows: tuple[StreamRow, ...]
    keys: tuple[Key, ...]
    sequences: Mapping[Key, int]
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Streams:
    """Rows by stream and node, and the sums in the order of STREAM_NAMES."""

    rows: tuple[StreamRow, ...]
    sums: tuple[StreamSum, ...]
    figures: Mapping[str, int]

    def of(self, node: str) -> tuple[StreamRow, ...]:
        """The streams that `node` writes."""
        return tuple(row for row in self.rows if row.node == node)


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit in use. `total` of the whole cluster, `kept`: what this cluster keeps to, 0 where the dialplan says it;
    `nodes`: sessions by node.
    """

    name: str
    total: int
    kept: int
    nodes: tuple[tuple[str, int], ...]


def limits_of(body: Mapping[str, Any]) -> tuple[LimitRow, ...]:
    """Read an answer of the data process, the most used first."""
    found = []
    for row in reading.rows(body, "rows"):
        nodes = reading.table(row, "nodes")
        used = [
            (
                reading.clean(node),
                reading.count(nodes[node], "sessions") + reading.count(nodes[node], "recovered"),
            )
            for node in list(nodes)[: reading.LARGEST_ROWS]
            if isinstance(nodes[node], dict)
        ]
        total, kept = reading.count(row, "total"), reading.count(row, "kept")
        found.append(LimitRow(reading.text(row, "name"), total, kept, tuple(used)))
    return tuple(sorted(found, key=lambda row: (-row.total, row.name)))


def sample_of(body: Mapping[str, Any], at_ms: int) -> Sample:
    """Read an answer of the data process."""
    node, paths = reading.text(body, "node"), reading.table(body, "paths")
    found: list[tuple[Key, int, StreamRow]] = []
    own = reading.table(body, "own")
    for name in STREAM_NAMES:
        if name in own:
            entry = reading.table(own, name)
            is_whole = reading.flag(entry, "is_whole", True)
            row = StreamRow(name, node, True, False, _records(entry), FULL if is_whole else 0, 0, None, "")
            found.append(((node, name, 0), reading.count(entry, "sequence"), row))
    for entry in reading.rows(body, "copies"):
        name, writer = reading.text(entry, "stream"), reading.text(entry, "node")
        if name not in STREAM_NAMES or not reading.flag(entry, "is_current", True):
            continue
        row = StreamRow(
            name,
            writer,
            False,
            reading.flag(entry, "is_orphan"),
            _records(entry),
            min(FULL, reading.count(entry, "percent")),
            reading.count(entry, "behind"),
            None,
            reading.text(paths, writer),
        )
        key = (writer, name, reading.count(entry, "incarnation"))
        found.append((key, reading.count(entry, "sequence"), row))
    found.sort(key=lambda each: (STREAM_NAMES.index(each[2].stream), each[0]))
    figures = reading.table(body, "figures")
    return Sample(
        at_ms,
        node,
        tuple(row for _, _, row in found),
        tuple(key for key, _, _ in found),
        {key: sequence for key, sequence, _ in found},
        {name: value for name in figures if (value := reading.number(figures, name)) is not None},
    )


def _records(entry: Mapping[str, Any]) -> int:
    """Records that speak of calls, registrations or limits: claims speak of streams."""
    return max(0, reading.count(entry, "records") - reading.count(entry, "claims"))


def streams_of(sample: Sample, before: Sample | None) -> Streams:
    """The streams at `sample`, with rates since `before`."""
    rows = tuple(
        replace(row, rate=_rate(key, sample, before))
        for key, row in zip(sample.keys, sample.rows, strict=True)
    )
    return Streams(rows, tuple(_sum(name, rows) for name in STREAM_NAMES), sample.figures)


def _rate(key: Key, sample: Sample, before: Sample | None) -> float | None:
    if before is None or before.node != sample.node or key not in before.sequences:
        return None
    gone_ms, more = sample.at_ms - before.at_ms, sample.sequences[key] - before.sequences[key]
    return more * 1000 / gone_ms if gone_ms > 0 and more >= 0 else None


def _sum(name: str, rows: tuple[StreamRow, ...]) -> StreamSum:
    these = [row for row in rows if row.stream == name]
    copies = [row for row in these if not row.is_own and not row.is_orphan]
    rates = [row.rate for row in these if row.rate is not None]
    return StreamSum(
        stream=name,
        records=sum(row.records for row in these if not row.is_orphan),
        orphaned=sum(row.records for row in these if row.is_orphan),
        rate=sum(rates) if rates else None,
        behind=max((row.behind for row in copies), default=0),
        complete=sum(1 for row in copies if row.percent == FULL),
        copies=len(copies),
        own=sum(row.records for row in these if row.is_own),
    )
