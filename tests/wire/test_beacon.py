from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.errors import BadMessage, KeyFileError
from zcluster.wire.beacon import Envelope
from zcluster.wire.bounds import MAX_DATAGRAM_BYTES, MAX_PAYLOAD_BYTES
from zcluster.wire.keys import derive

OLD, NEW, FOREIGN = derive(b"o" * 32), derive(b"n" * 32), derive(b"f" * 32)
ENVELOPE = Envelope([NEW])
SEALED = ENVELOPE.seal(b"payload")


def kind_of(datagram: bytes, envelope: Envelope = ENVELOPE) -> str:
    with pytest.raises(BadMessage) as refusal:
        envelope.open(datagram)
    return refusal.value.kind


@given(st.binary(max_size=MAX_PAYLOAD_BYTES))
def test_what_is_sealed_opens(payload: bytes) -> None:
    assert ENVELOPE.open(ENVELOPE.seal(payload)) == payload


def test_the_layout_is_the_documented_one() -> None:
    head = b"zc\x01\x00" + bytes((NEW.identity,)) + b"payload"
    assert head + blake2b(head, key=NEW.beacon, digest_size=16).digest() == SEALED


@pytest.mark.parametrize(
    ("datagram", "kind"),
    [
        (b"", "short"),
        (SEALED[:20], "short"),
        (bytes(MAX_DATAGRAM_BYTES + 1), "oversized"),
        (b"ZC" + SEALED[2:], "magic"),
        (b"zc\x00" + SEALED[3:], "version"),
        (b"zc\x02" + SEALED[3:], "version"),
        (SEALED[:3] + b"\x01" + SEALED[4:], "mac"),
        (SEALED[:4] + bytes((NEW.identity ^ 1,)) + SEALED[5:], "key"),
        (SEALED[:-1], "mac"),
        (SEALED + b"\x00", "mac"),
        (Envelope([FOREIGN]).seal(b"payload"), "key"),
        (Envelope([FOREIGN._replace(identity=NEW.identity)]).seal(b"payload"), "mac"),
    ],
)
def test_each_fault_has_its_kind(datagram: bytes, kind: str) -> None:
    assert kind_of(datagram) == kind


@given(st.integers(0, len(SEALED) * 8 - 1))
def test_no_bit_may_change(bit: int) -> None:
    changed = bytearray(SEALED)
    changed[bit // 8] ^= 1 << bit % 8
    assert kind_of(bytes(changed)) in ("magic", "version", "key", "mac")


@given(st.binary(max_size=2000))
def test_random_bytes_are_refused(datagram: bytes) -> None:
    assert kind_of(datagram) in ("short", "oversized", "magic", "version", "key", "mac")


def test_the_largest_payload_fits_and_one_more_byte_does_not() -> None:
    assert len(ENVELOPE.seal(bytes(MAX_PAYLOAD_BYTES))) == MAX_DATAGRAM_BYTES
    with pytest.raises(BadMessage, match="1473 bytes, at most 1472") as refusal:
        ENVELOPE.seal(bytes(MAX_PAYLOAD_BYTES + 1))
    assert refusal.value.kind == "oversized"


def test_a_key_is_rotated_without_a_gap() -> None:
    before, learning, turned, after = (
        Envelope([OLD]),
        Envelope([OLD, NEW]),
        Envelope([NEW, OLD]),
        Envelope([NEW]),
    )
    for sender, receiver in ((before, learning), (learning, before), (learning, turned), (turned, learning)):
        assert receiver.open(sender.seal(b"beat")) == b"beat"
    assert after.open(turned.seal(b"beat")) == b"beat"
    assert kind_of(before.seal(b"beat"), after) == "key"


def test_two_keys_of_one_identity_both_open() -> None:
    twin = OLD._replace(identity=NEW.identity)
    envelope = Envelope([NEW, twin])
    assert envelope.open(Envelope([twin]).seal(b"beat")) == b"beat"
    assert envelope.open(Envelope([NEW]).seal(b"beat")) == b"beat"
    assert Envelope([NEW]).open(envelope.seal(b"beat")) == b"beat"


def test_no_key_is_no_envelope() -> None:
    with pytest.raises(KeyFileError):
        Envelope([])
