"""Microseconds that one beat costs on the wire's side, for clusters of 5, 20 and 64 nodes.

Run it with `python -m bench.wire`. Best of five rounds: what the code costs, not what the machine was doing.
"steady" is the common case, where only sequences change; "changed" is a beat with a new report. The bounds
are the budget of the control process: six microseconds each way for five nodes.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from zcluster.control.messages import Ack, Beat, Claim, Grant, Report
from zcluster.control.units import NodeState, Pair
from zcluster.wire.beacon import Envelope
from zcluster.wire.bounds import HEADER_BYTES, MAC_BYTES, MAX_PAYLOAD_BYTES
from zcluster.wire.codec import BeatDecoder, BeatEncoder
from zcluster.wire.keys import derive
from zcluster.wire.reader import MAX_COPIES, BeatReader

START_MS = 1_790_000_000_000
ROUNDS = 5
CALLS = 4000
SIZES = (5, 20, 64)


def sample_beat(nodes: int, sequence: int) -> Beat:
    """The beat of a master in a cluster of `nodes`, a fifth of them slaves, with names as people give."""
    names = [f"switch-{number:02d}.fra" for number in range(1, nodes + 1)]
    groups = [(f"tenant-{number:02d}", 4711 + number, names[number]) for number in range(nodes - nodes // 5)]
    report = Report(
        cluster_id="b3f1c2d4e5a69788b3f1c2d4e5a69788",
        generation=12,
        state=NodeState.MASTER,
        claims=(Claim(groups[0][0], groups[0][1], True),),
        grants=tuple(Grant(group, counter, holder, True) for group, counter, holder in groups),
        releases=(),
        asks=(),
        unready=("holds tenant-00",),
        macs=("52:54:00:12:34:56", "52:54:00:12:34:57", "52:54:00:12:34:58"),
        founding=None,
        document=None,
        version="0.1.0",
        settings_digest="9f86d081884c7d659a2feaa0c55ad015",
        floor=4000,
        ceiling=6000,
    )
    pairs = {holder: (Pair(group, counter),) for group, counter, holder in groups}
    acks = {
        name: Ack(START_MS - 86_400_000 * place - 1234 * place, 5_000_000 + 977 * place, pairs.get(name, ()))
        for place, name in enumerate(names)
        if place
    }
    return Beat(names[0], START_MS, sequence, acks, report)


def measure(nodes: int) -> list[str]:
    """One row of the table: sizes in bytes and times in microseconds."""
    keys = [derive(bytes(range(32)))]
    envelope = Envelope(keys)
    encoder, decoder = BeatEncoder(), BeatDecoder()
    beat = sample_beat(nodes, 5_000_000)
    payload = encoder.encode(beat)
    decoder.decode(payload)
    row = [str(nodes), str(len(payload) + HEADER_BYTES + MAC_BYTES)]
    row.append(_time(lambda: encoder.encode(beat)))
    row.append(_time(lambda: decoder.decode(payload)))
    row.append(_time(lambda: BeatEncoder().encode(beat), 200))
    row.append(_time(lambda: BeatDecoder().decode(payload), 200))
    if len(payload) > MAX_PAYLOAD_BYTES:
        return [*row, *4 * ["too large"]]
    sealed = envelope.seal(payload)
    row.append(_time(lambda: envelope.seal(payload)))
    row.append(_time(lambda: envelope.open(sealed)))
    return [*row, *_time_reader(beat, encoder, envelope, BeatReader(keys, "someone", START_MS))]


def _time_reader(beat: Beat, encoder: BeatEncoder, envelope: Envelope, reader: BeatReader) -> list[str]:
    stream = [
        envelope.seal(encoder.encode(beat._replace(sequence=beat.sequence + number)))
        for number in range(CALLS * ROUNDS)
    ]
    coming = iter(stream)
    fresh = _time(lambda: reader.read(next(coming), "a", START_MS))
    # A beat may be copied a bounded number of times: so few calls, many rounds.
    copies = timeit.repeat(lambda: reader.read(stream[-1], "b", START_MS), number=MAX_COPIES // 8, repeat=8)
    assert not reader.counts
    return [fresh, f"{min(copies) / (MAX_COPIES // 8) * 1e6:.2f}"]


def largest_cluster() -> int:
    """The most nodes whose sample beat still fits one datagram."""
    nodes = 2
    while len(BeatEncoder().encode(sample_beat(nodes + 1, 5_000_000))) <= MAX_PAYLOAD_BYTES:
        nodes += 1
    return nodes


def _time(call: Callable[[], object], calls: int = CALLS) -> str:
    return f"{min(timeit.repeat(call, number=calls, repeat=ROUNDS)) / calls * 1e6:.2f}"


def main() -> None:
    table = Table(title="One beat, microseconds (best of five rounds)")
    columns = ["nodes", "bytes", "encode", "decode", "encode changed", "decode changed"]
    columns += ["seal", "open", "read new", "read copy"]
    for column in columns:
        table.add_column(column, justify="right")
    for nodes in SIZES:
        table.add_row(*measure(nodes))
    console = Console(width=120)
    console.print(table)
    console.print(f"One datagram holds the beat of up to {largest_cluster()} such nodes.")


if __name__ == "__main__":
    main()
