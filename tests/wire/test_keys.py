from __future__ import annotations

import pytest
import zmq

from zcluster.errors import KeyFileError
from zcluster.wire.keys import DEFAULT_READER, derive, reader_pair


def test_the_same_secret_gives_the_same_keys() -> None:
    assert derive(b"s" * 32) == derive(b"s" * 32)


def test_no_derived_key_equals_another_or_shows_the_secret() -> None:
    first, second = derive(b"s" * 32), derive(b"t" * 32)
    found = [
        key for wire in (first, second) for key in (wire.beacon, *wire.server, *wire.client, *wire.reader)
    ]
    assert len(set(found)) == len(found) == 14
    assert b"s" * 32 not in found


def test_the_curve_halves_belong_together() -> None:
    for pair in derive(b"s" * 32)[2:]:
        assert zmq.curve_public(pair.secret) == pair.public


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(KeyFileError, match=f"this one has {length}"):
        derive(bytes(length))


def test_printing_keys_leaks_nothing() -> None:
    wire = derive(b"s" * 32)
    shown = repr(wire) + repr(wire.server)
    for secret in (wire.beacon, wire.server.secret, wire.client.secret, wire.reader.secret):
        assert repr(secret) not in shown
        assert secret.hex() not in shown


def test_each_reader_has_a_pair_of_its_own() -> None:
    wire = derive(b"s" * 32)
    pairs = [reader_pair(b"s" * 32, name) for name in (DEFAULT_READER, "grafana", "ops", "")]
    assert pairs[0] == wire.reader
    assert len({half for pair in (*pairs, wire.server, wire.client) for half in pair}) == 12
    assert reader_pair(b"t" * 32, "ops") not in pairs
    for pair in pairs:
        assert zmq.curve_public(pair.secret) == pair.public
