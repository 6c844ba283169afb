"""The one small file that must survive a power cut: a node's ballot ceiling, founding and last start.

What must hold: after `store` returned, a power cut leaves the new value; before, the old or the new one,
never a mixture (write beside, fsync, rename, fsync the directory). A file that cannot be read back is moved
aside and named, so that a damaged disk becomes an alarm and not a daemon that will not start: the node then
starts as if it had never voted, which is safe because it abstains after every start.
A handover speaks of the kernel's rules and of the monotonic clock, so it is kept with the id of the boot in
which it was written, and one of another boot is not read back.
Calls block on the disk; the supervisor makes them in its side thread.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from zcluster.control.document import Acceptance, Document, Durable, Freeze, Handover, Held, LongGrant, Pin
from zcluster.control.units import Ballot
from zcluster.errors import StateFileError

SCHEMA = "zcluster.durable/1"
FILE_NAME = "durable.json"
LARGEST_FILE_BYTES = 1 << 20
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Loaded(NamedTuple):
    """What `load` found. `problem` is "" or one sentence about a file that was moved aside."""

    durable: Durable
    problem: str


class DurableFile:
    """The durable file of one node, in the directory `state_dir` (made on the first store)."""

    def __init__(self, state_dir: Path, boot_id: str | None = None) -> None:
        self.path = state_dir / FILE_NAME
        self._boot_id = present_boot() if boot_id is None else boot_id

    def load(self) -> Loaded:
        """Read the last stored value; nothing stored yet is an empty one.

        Raises StateFileError only where the file can be neither read nor moved aside.
        """
        try:
            with self.path.open("rb") as file:
                raw = file.read(LARGEST_FILE_BYTES + 1)
        except FileNotFoundError:
            return Loaded(Durable(), "")
        except OSError as error:
            raise StateFileError(f"{self.path}: {error.strerror}; mend the file's permissions") from error
        try:
            return Loaded(decode(raw, self._boot_id), "")
        except ValueError as error:
            return Loaded(Durable(), self._move_aside(str(error)))

    def _move_aside(self, reason: str) -> str:
        aside = self.path.with_suffix(".damaged")
        try:
            self.path.rename(aside)
        except OSError as error:
            raise StateFileError(f"{self.path} is damaged and cannot be moved: {error.strerror}") from error
        return (
            f"{self.path} was damaged ({reason}); it is now {aside} and this node starts without its memory"
        )

    def store(self, durable: Durable) -> None:
        """Put `durable` on the disk; when this returns it is there. Raises StateFileError."""
        beside = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(encode(durable, self._boot_id))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
            _sync_directory(self.path.parent)
        except OSError as error:
            raise StateFileError(f"{self.path}: {error.strerror}; is the disk full or read-only?") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def present_boot() -> str:
    """The kernel's id of the present boot (random(4)); "" where it tells none, which is no boot's id."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def encode(durable: Durable, boot_id: str = "") -> bytes:
    """One JSON object and a newline: {"schema", "body", "crc32" of the body's canonical JSON}."""
    body = {
        "incarnation": durable.incarnation,
        "ceiling": durable.ceiling,
        "accepted_id": durable.accepted_id,
        "accepted_names": list(durable.accepted_names),
        "document": durable.document.row() if durable.document is not None else None,
        "acceptance": _acceptance_row(durable.acceptance),
        "acceptor_from": durable.acceptor_from,
        "is_amnesiac": durable.is_amnesiac,
        "long_grants": durable.long_grants,
        "handover": durable.handover,
        "boot_id": boot_id if durable.handover is not None else "",
    }
    return (
        json.dumps({"schema": SCHEMA, "body": body, "crc32": _checksum(body)}, indent=1).encode("utf-8")
        + b"\n"
    )


def _acceptance_row(acceptance: Acceptance | None) -> tuple[object, ...] | None:
    if acceptance is None:
        return None
    return (*acceptance[:-1], acceptance.value.row() if acceptance.value is not None else None)


def _checksum(body: object) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True, separators=(",", ":")).encode("utf-8"))


def decode(raw: bytes, boot_id: str = "") -> Durable:
    """The inverse of `encode`, without a handover of another boot than `boot_id`; unknown fields are ignored.

    Raises ValueError with the reason.
    """
    if len(raw) > LARGEST_FILE_BYTES:
        raise ValueError("far too large")
    try:
        whole = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(whole, dict) or whole.get("schema") != SCHEMA:
        raise ValueError(f"not of schema {SCHEMA}")
    body = whole.get("body")
    if not isinstance(body, dict) or whole.get("crc32") != _checksum(body):
        raise ValueError("checksum does not match")
    return Durable(
        incarnation=_count(body, "incarnation"),
        ceiling=_count(body, "ceiling"),
        accepted_id=_text(body.get("accepted_id", "")),
        accepted_names=tuple(_text(name) for name in body.get("accepted_names", ())),
        document=_document(body.get("document")),
        acceptance=_acceptance(body.get("acceptance")),
        acceptor_from=_count(body, "acceptor_from"),
        is_amnesiac=body.get("is_amnesiac", False) is True,
        long_grants=tuple(_long_grant(grant) for grant in _row(body.get("long_grants", []))),
        handover=_handover(body.get("handover")) if boot_id and body.get("boot_id") == boot_id else None,
    )


def _count(body: Mapping[str, object], key: str) -> int:
    value = body.get(key, 0)
    if type(value) is not int or value < 0:
        raise ValueError(f"{key} is not a count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a name is not text")
    return value


def _document(value: object) -> Document | None:
    if value is None:
        return None
    row = _row(value)
    cluster_id, generation, roster, forgotten, pins, is_forced = _row(row[:6], 6)
    return Document(
        _text(cluster_id),
        _number(generation),
        tuple(_text(name) for name in _row(roster)),
        tuple(_text(name) for name in _row(forgotten)),
        tuple(Pin(*(_text(part) for part in _row(pin, 2))) for pin in _row(pins)),
        is_forced is True,
        _freeze(row[6]) if len(row) > 6 else None,
    )


def _freeze(value: object) -> Freeze | None:
    if value is None:
        return None
    reason, who, node, since_ms, until_ms, holders, is_firm = _row(value, 7)
    return Freeze(
        _text(reason),
        _text(who),
        _text(node),
        _number(since_ms),
        _number(until_ms),
        tuple(Pin(*(_text(part) for part in _row(pin, 2))) for pin in _row(holders)),
        is_firm is True,
    )


def _acceptance(value: object) -> Acceptance | None:
    if value is None:
        return None
    generation, promised, accepted, document = _row(value, 4)
    return Acceptance(_number(generation), _ballot(promised), _ballot(accepted), _document(document))


def _ballot(value: object) -> Ballot:
    counter, node = _row(value, 2)
    return Ballot(_number(counter), _text(node))


def _row(value: object, width: int | None = None) -> list[object]:
    if not isinstance(value, list) or (width is not None and len(value) != width):
        raise ValueError("the document is malformed")
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a count is malformed")
    return value


def _long_grant(value: object) -> LongGrant:
    group, counter, holder, incarnation = _row(value, 4)
    return LongGrant(_text(group), _number(counter), _text(holder), _number(incarnation))


def _handover(value: object) -> Handover | None:
    if value is None:
        return None
    incarnation, until_ms, held = _row(value, 3)
    pairs = tuple(_row(pair, 2) for pair in _row(held))
    return Handover(
        _number(incarnation),
        _number(until_ms),
        tuple(Held(_text(group), _number(counter)) for group, counter in pairs),
    )
