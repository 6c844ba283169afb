"""How much the streams may hold, wait and send: every bound has a name and a unit here."""

from __future__ import annotations

from dataclasses import dataclass

MAX_KEY_BYTES = 512
MAX_RECORD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The bounds of one node's streams. Tests shorten them; the defaults are for a million registrations."""

    # A batch is closed by whichever of these comes first.
    batch_records: int = 128
    batch_bytes: int = 64 * 1024
    batch_age_ms: int = 5
    # Recent changes kept for the repair of gaps: the writer's, and what a copy keeps for other survivors.
    log_records: int = 65_536
    log_bytes: int = 64 * 1024 * 1024
    copy_log_records: int = 16_384
    copy_log_bytes: int = 8 * 1024 * 1024
    # One answer to a request for a gap; a chunk of a snapshot, and how many of them one request asks for.
    repair_bytes: int = 1024 * 1024
    chunk_bytes: int = 256 * 1024
    chunks_asked: int = 8
    # How many records are adopted or retracted at once, some 5 ms of work: then everything else has its turn.
    turn_records: int = 2048
    # What arrived too early, or waits for the end of a snapshot. The rest is asked for again.
    held_batches: int = 8192
    held_bytes: int = 64 * 1024 * 1024
    # A gap may be mere reordering; a request is sent again after this time, then after twice that, up to the last.
    gap_ms: int = 20
    request_ms: int = 200
    request_at_most_ms: int = 5000
    digest_ms: int = 1000
    # A deleted key is remembered this long, so that a late echo of its old writer does not bring it back. It
    # must be longer than what is left of a superseded copy stays.
    tombstone_ms: int = 60_000
    tombstones: int = 65_536
    keep_superseded_ms: int = 30_000
    # A superseded writer that lives removes its own records after this time: slower readers had it to change over.
    retract_ms: int = 45_000
    # A gap that no survivor can fill is stepped over after this time.
    skip_ms: int = 2000
    # An adopter whose copy is not complete waits this long for a better one before it claims.
    claim_wait_ms: int = 2000
    # The limits' share of a failed node that nobody adopted stops counting after this time.
    orphan_share_ms: int = 10_000
    streams: int = 128 * 3 * 2
