"""The envelope of every beat, the same on multicast, unicast and the bus.

    "zc" | protocol major | flags | key identity | payload ... | MAC (16 bytes)

The MAC is keyed BLAKE2b (RFC 7693) over all that stands before it. What must hold: nothing of a datagram
is used before its MAC is right; a datagram that is not ours costs no more than a look at its head. Flags
are reserved: written as zero, ignored when read. The payload's minor version lives in its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest

from zcluster.control.messages import PROTOCOL_MAJOR
from zcluster.errors import BadMessage, KeyFileError
from zcluster.wire.bounds import HEADER_BYTES, MAC_BYTES, MAX_DATAGRAM_BYTES
from zcluster.wire.keys import WireKeys

MAGIC = b"zc"
NO_FLAGS = 0
VERSION_AT = 2
KEY_AT = 4


class Envelope:
    """Seals with the first of `keys`, opens with any: a key is rotated by adding it last, then first."""

    def __init__(self, keys: Sequence[WireKeys]) -> None:
        if not keys:
            raise KeyFileError("no cluster key is given: beats can be neither sealed nor opened")
        self._head = MAGIC + bytes((PROTOCOL_MAJOR, NO_FLAGS, keys[0].identity))
        # A hash that has taken its key already is copied for each message: a third cheaper. A list for
        # each identity, because two keys of 256 may share one.
        self._hashes: dict[int, list[blake2b]] = {}
        for key in keys:
            self._hashes.setdefault(key.identity, []).append(blake2b(key=key.beacon, digest_size=MAC_BYTES))
        self._sealing = self._hashes[keys[0].identity][0]

    def seal(self, payload: bytes) -> bytes:
        """The datagram for `payload`; raises BadMessage of kind "oversized" when it exceeds 1472 bytes."""
        message = self._head + payload
        if len(message) + MAC_BYTES > MAX_DATAGRAM_BYTES:
            raise BadMessage(
                f"a datagram of {len(message) + MAC_BYTES} bytes, at most {MAX_DATAGRAM_BYTES} are sent:"
                " use fewer nodes and groups or shorter names",
                "oversized",
            )
        sealing = self._sealing.copy()
        sealing.update(message)
        return message + sealing.digest()

    def open(self, datagram: bytes) -> bytes:
        """The authentic payload; raises BadMessage of kind oversized, short, magic, version, key or mac."""
        if len(datagram) > MAX_DATAGRAM_BYTES:
            raise BadMessage(f"more than {MAX_DATAGRAM_BYTES} bytes", "oversized")
        if len(datagram) < HEADER_BYTES + MAC_BYTES:
            raise BadMessage(f"only {len(datagram)} bytes", "short")
        if not datagram.startswith(MAGIC):
            raise BadMessage("not a message of zcluster", "magic")
        if datagram[VERSION_AT] != PROTOCOL_MAJOR:
            raise BadMessage(f"protocol {datagram[VERSION_AT]}, this node speaks {PROTOCOL_MAJOR}", "version")
        hashes = self._hashes.get(datagram[KEY_AT])
        if hashes is None:
            raise BadMessage(f"sealed with key {datagram[KEY_AT]:#04x}, which is not ours", "key")
        message, mac = datagram[:-MAC_BYTES], datagram[-MAC_BYTES:]
        for keyed in hashes:
            hashing = keyed.copy()
            hashing.update(message)
            if compare_digest(hashing.digest(), mac):
                return message[HEADER_BYTES:]
        raise BadMessage("its seal is broken or of another cluster", "mac")
