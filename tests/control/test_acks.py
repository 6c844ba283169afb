from __future__ import annotations

import pickle

import pytest

from zcluster.control.acks import AckHeads, Acks
from zcluster.control.messages import Ack
from zcluster.control.units import Pair

PAIRS = (Pair("g1", 4),)
ACKS = Acks(AckHeads({"b": 0, "c": 1}, (7, 8), (PAIRS, ()), (False, True)), [11, 12])
WHOLE = {"b": Ack(7, 11, PAIRS, False), "c": Ack(8, 12, (), True)}


def test_they_are_the_dictionary_of_the_same_acknowledgements() -> None:
    assert ACKS == WHOLE
    assert WHOLE == ACKS
    assert list(ACKS) == list(WHOLE)
    assert list(ACKS.items()) == list(WHOLE.items())
    assert len(ACKS) == 2
    assert "b" in ACKS
    assert "d" not in ACKS
    assert type(ACKS["c"]) is Ack
    assert all(type(ack) is Ack for _, ack in ACKS.items())


def test_another_sequence_makes_them_unequal() -> None:
    assert WHOLE | {"c": Ack(8, 13, (), True)} != ACKS
    assert {"b": WHOLE["b"]} != ACKS


def test_who_is_not_acknowledged_is_missing() -> None:
    assert ACKS.get("d") is None
    with pytest.raises(KeyError):
        ACKS["d"]


def test_a_frozen_node_may_keep_them() -> None:
    assert pickle.loads(pickle.dumps(ACKS, protocol=5)) == WHOLE
