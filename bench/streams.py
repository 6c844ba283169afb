"""What a million registrations cost in memory, and what it costs to apply, send and copy them.

Run it with `python -m bench.streams` (about a minute, 1.5 GiB); `--records 100000` for a short one. Only the pure
part: no socket. Rates and the snapshot's seconds are processor time of one core, so that a busy machine does not
change them; the longest pieces are by the clock, and do change. The copy takes what the wire's codec wrote, as it
does beside a real bus. The bounds are DESIGN.md's: less than 500 bytes a record, a snapshot in less than 5 s.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
from collections.abc import Iterator
from time import perf_counter, process_time

from rich.console import Console
from rich.table import Table as Page

from zcluster.streams.limits import StreamLimits
from zcluster.streams.messages import Batch, Chunk, SnapshotRequest
from zcluster.streams.reader import Copy
from zcluster.streams.units import CALLS, REGISTRATIONS, StreamId, record_key
from zcluster.streams.writer import Writer
from zcluster.telephony.metadata import pack_metadata
from zcluster.wire.stream_codec import decode, encode

RECORD_BYTES = 350
CALL_RECORDS = 5000
CALL_BYTES = 9800
UPDATES = 200_000
MAX_RECORD_COST_BYTES = 500
MAX_SNAPSHOT_S = 5.0
CLOCK_MS = 1_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def registration(number: int, version: int = 0) -> tuple[bytes, bytes]:
    """Key and body, together RECORD_BYTES: what a switch tells of a phone, none two alike."""
    key = record_key(f"tenant-{number % 4:02d}", b"%d@pbx.example.com" % (100_000 + number))
    noise = hashlib.blake2b(b"%d %d" % (number, version), digest_size=32).hexdigest()
    body = (
        f"sip:{100_000 + number}@10.{number % 250}.{number // 250 % 250}.7:5060;transport=udp;line={noise[:20]}|"
        f"{noise}|internal-{number % 4}|UDP-NAT|10.{number % 250}.{number // 250 % 250}.7|{1024 + number % 60000}|"
        f"Yealink SIP-T46S 66.86.0.15|{1_790_000_000 + version}|3600|pbx.example.com|switch-01.fra|"
    )
    return key, body.encode().ljust(RECORD_BYTES - len(key), b"-")[: RECORD_BYTES - len(key)]


def call(number: int) -> bytes:
    """The metadata of a leg, as large as measured on the real switch and as compressible as url-encoded XML."""
    lines = []
    for line in range(160):
        noise = hashlib.blake2b(b"%d %d" % (number, line), digest_size=6).hexdigest()
        lines.append(f"<variable_name_{line}>sip%3A{noise}%40example.com%3A5060</variable_name_{line}>")
    return "\n".join(lines).encode()[:CALL_BYTES]


def resident_bytes() -> int:
    """The memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as status:
        return int(status.read().split()[1]) * PAGE_BYTES


def fill(records: int) -> tuple[Writer, Iterator[Batch]]:
    """A writer with so many registrations, without the log that would hide what a record costs."""
    limits = StreamLimits(log_records=1024, log_bytes=1024 * 1024)
    writer = Writer(StreamId("switch-01.fra", 1, REGISTRATIONS), b"0123456789abcdef", limits)

    def batches() -> Iterator[Batch]:
        for number in range(records):
            writer.put(*registration(number), CLOCK_MS)
            if number % 128 == 127:
                yield from writer.flush()
        yield from writer.flush()

    return writer, batches()


def copy_of(writer: Writer) -> tuple[Copy, float, float, float, int]:
    """A new copy through a snapshot: seconds to encode and to apply, the longest chunk in ms, bytes on the wire."""
    writer.is_whole = True
    copy = Copy(writer.stream, StreamLimits())
    copy.receive_digest(writer.digest(), 0)
    copy.fill(0)
    encoding = applying = longest = 0.0
    size = 0
    while True:
        request = copy.ask(CLOCK_MS)
        if not isinstance(request, SnapshotRequest):
            break
        began = process_time()
        payloads = [encode(chunk) for chunk in writer.chunks(request.begin, request.chunks)]
        encoding += process_time() - began
        size += sum(map(len, payloads))
        for payload in payloads:
            began, clock = process_time(), perf_counter()
            chunk = decode(payload)
            assert isinstance(chunk, Chunk)
            copy.receive_chunk(chunk, CLOCK_MS)
            copy.take()
            applying += process_time() - began
            longest = max(longest, perf_counter() - clock)
    assert copy.digest() == writer.digest()
    return copy, encoding, applying, longest * 1000, size


def update(writer: Writer, copy: Copy, batch_records: int, updates: int, records: int) -> tuple[float, ...]:
    """Updates a second written, encoded, decoded and applied; and the longest batch applied, in ms."""
    bodies = [registration(number * 7919 % records, 1 + batch_records) for number in range(updates)]
    payloads: list[bytes] = []
    writing = encoding = 0.0
    for start in range(0, updates, batch_records):
        began = process_time()
        for key, body in bodies[start : start + batch_records]:
            writer.put(key, body, CLOCK_MS)
        batches = writer.flush()
        middle = process_time()
        payloads += map(encode, batches)
        encoding += process_time() - middle
        writing += middle - began
    decoding = applying = longest = 0.0
    for payload in payloads:
        began, clock = process_time(), perf_counter()
        batch = decode(payload)
        middle = process_time()
        assert isinstance(batch, Batch)
        copy.receive_batch(batch, CLOCK_MS)
        copy.take()
        decoding += middle - began
        applying += process_time() - middle
        longest = max(longest, perf_counter() - clock)
    assert copy.digest() == writer.digest()
    return updates / writing, updates / encoding, updates / decoding, updates / applying, longest * 1000


def measure(records: int) -> tuple[list[tuple[str, str]], bool]:
    """The rows of the page, and whether the bounds hold."""
    rows: list[tuple[str, str]] = []
    gc.collect()
    before = resident_bytes()
    writer, batches = fill(records)
    began = perf_counter()
    longest = 0.0
    since = began
    for _ in batches:
        now = perf_counter()
        longest, since = max(longest, now - since), now
    took = perf_counter() - began
    cost = (resident_bytes() - before) / records
    rows.append(("records of 350 bytes (key and body)", f"{records:,}"))
    rows.append(("memory of a record at the writer, bytes", f"{cost:.0f}"))
    rows.append(("written while filling, records/s (and making them)", f"{records / took:,.0f}"))
    rows.append(("longest batch of 128 while filling, ms", f"{longest * 1000:.1f}"))
    before = resident_bytes()
    copy, encoding, applying, longest_ms, size = copy_of(writer)
    copy_cost = (resident_bytes() - before) / records
    rows.append(("memory of a record at a copy, bytes", f"{copy_cost:.0f}"))
    rows.append(("snapshot: read and encoded / decoded and applied, s", f"{encoding:.2f} / {applying:.2f}"))
    rows.append(("snapshot: bytes on the wire, MiB", f"{size / 2**20:.0f}"))
    rows.append(("snapshot: longest chunk decoded and applied, ms", f"{longest_ms:.1f}"))
    for batch_records in (128, 32, 1):
        updates = UPDATES if batch_records > 1 else UPDATES // 4
        written, encoded, decoded, applied, batch_ms = update(
            writer, copy, batch_records, min(updates, records), records
        )
        through = 1 / (1 / decoded + 1 / applied)
        rows.append(
            (f"batches of {batch_records}: written / encoded a second", f"{written:,.0f} / {encoded:,.0f}")
        )
        rows.append(
            (f"batches of {batch_records}: decoded / applied a second", f"{decoded:,.0f} / {applied:,.0f}")
        )
        rows.append((f"batches of {batch_records}: decoded and applied a second", f"{through:,.0f}"))
        rows.append((f"batches of {batch_records}: longest, ms", f"{batch_ms:.1f}"))
    gc.collect()
    began = perf_counter()
    gc.collect()
    rows.append(("a full collector pass, ms", f"{(perf_counter() - began) * 1000:.1f}"))
    rows += measure_calls()
    # Two hosts do these two in turn, so that their sum is what a new node waits, less the network.
    holds = max(cost, copy_cost) < MAX_RECORD_COST_BYTES and encoding + applying < MAX_SNAPSHOT_S
    return rows, holds or records < 1_000_000


def measure_calls() -> list[tuple[str, str]]:
    """The metadata of 5,000 calls: compressed once, then copied."""
    samples = [call(number) for number in range(CALL_RECORDS)]
    began = perf_counter()
    bodies = [pack_metadata(sample) for sample in samples]
    packing = perf_counter() - began
    writer = Writer(StreamId("switch-01.fra", 1, CALLS), b"0123456789abcdef", StreamLimits())
    for number, body in enumerate(bodies):
        writer.put(record_key("tenant-01", b"%036d" % number), body, CLOCK_MS)
    _, encoding, applying, longest_ms, size = copy_of(writer)
    return [
        ("5,000 calls of 9.8 KB: compressed, us each", f"{packing / CALL_RECORDS * 1e6:.0f}"),
        ("5,000 calls: compressed to, bytes each", f"{sum(map(len, bodies)) / CALL_RECORDS:.0f}"),
        (
            "5,000 calls: snapshot, s / MiB / longest chunk ms",
            f"{encoding + applying:.3f} / {size / 2**20:.1f} / {longest_ms:.1f}",
        ),
    ]


def main() -> None:
    """Measure, print, and fail when a bound of DESIGN.md does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args().records
    # As the data process does: records are bytes, so the collector has nothing to find in them.
    gc.freeze()
    rows, holds = measure(records)
    page = Page("streams, one core, no socket", "measured")
    for row in rows:
        page.add_row(*row)
    Console().print(page)
    if not holds:
        raise SystemExit("a bound of DESIGN.md section 13 does not hold")


if __name__ == "__main__":
    main()
