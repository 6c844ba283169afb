"""Recordings on disk: a bounded ring of segment files, each of them whole in itself.

A file is a line that says what it is, then frames: kind, length, CRC-32, payload. What must hold: the ring never
grows past `kept` files of about `largest_bytes`; a torn end (the process was killed) costs its last frame and
nothing else. Calls block on the disk; the supervisor makes them in its side thread.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zcluster.errors import RecordingError, StateFileError

MAGIC = b"zcluster recording 1\n"
SUFFIX = ".zrec"
HEADER, BIRTH, NODE, STEPS = b"H", b"B", b"N", b"S"
LARGEST_FRAME_BYTES = 64 << 20
LARGEST_SEGMENT_BYTES = 4 << 20
SEGMENTS_KEPT = 16
_HEAD = struct.Struct(">cII")


class Frame(NamedTuple):
    """One frame, its payload unpacked."""

    kind: bytes
    payload: bytes


class SegmentWriter:
    """The ring in `directory`, which is made when it is needed."""

    def __init__(
        self, directory: Path, largest_bytes: int = LARGEST_SEGMENT_BYTES, kept: int = SEGMENTS_KEPT
    ) -> None:
        self._directory = directory
        self._largest_bytes = largest_bytes
        self._kept = kept
        self._file: BinaryIO | None = None
        self._written_bytes = 0

    def begin(self, *frames: Frame) -> None:
        """A new segment that starts with these frames; the oldest gives way. StateFileError."""
        self.close()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            present = segments_of(self._directory)
            number = int(present[-1].stem) + 1 if present else 1
            for path in present[: len(present) + 1 - self._kept]:
                path.unlink(missing_ok=True)
            self._file = (self._directory / f"{number:08d}{SUFFIX}").open("xb")
            self._written_bytes = self._file.write(MAGIC)
        except OSError as error:
            raise self._refusal(error) from error
        for frame in frames:
            self.append(frame)

    def append(self, frame: Frame) -> bool:
        """Write one frame; false when the segment is full, so that a new one should begin. StateFileError."""
        if self._file is None:
            return False
        payload = zlib.compress(frame.payload, 1)
        head = _HEAD.pack(frame.kind, len(payload), zlib.crc32(payload))
        try:
            self._written_bytes += self._file.write(head + payload)
            self._file.flush()
        except OSError as error:
            self.close()
            raise self._refusal(error) from error
        return self._written_bytes < self._largest_bytes

    def _refusal(self, error: OSError) -> StateFileError:
        return StateFileError(f"{self._directory}: {error.strerror}; is the disk full or read-only?")

    def close(self) -> None:
        """End the segment."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                pass  # what could not be flushed was reported by the write before


def segments_of(directory: Path) -> list[Path]:
    """The segments in a directory, oldest first."""
    return sorted(path for path in directory.glob(f"*{SUFFIX}") if path.stem.isdecimal())


def read_frames(path: Path) -> Iterator[Frame]:
    """The frames of a segment up to a torn end; RecordingError for what is no segment, or damaged before."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise RecordingError(
            f"{path} is no recording; they lie in the state directory, in recording/*{SUFFIX}"
        )
    at = len(MAGIC)
    while at + _HEAD.size <= len(data):
        kind, length, checksum = _HEAD.unpack_from(data, at)
        begin, at = at + _HEAD.size, at + _HEAD.size + length
        if at > len(data):
            return
        payload = data[begin:at]
        if zlib.crc32(payload) != checksum:
            raise RecordingError(f"{path} is damaged at byte {begin}")
        yield Frame(kind, _inflate(path, payload))


def _inflate(path: Path, payload: bytes) -> bytes:
    reader = zlib.decompressobj()
    try:
        whole = reader.decompress(payload, LARGEST_FRAME_BYTES)
    except zlib.error as error:
        raise RecordingError(f"{path} is damaged: {error}") from error
    if reader.unconsumed_tail:
        raise RecordingError(f"{path}: a frame is larger than {LARGEST_FRAME_BYTES} bytes")
    return whole
