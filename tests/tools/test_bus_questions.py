from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.errors import BadMessage
from zcluster.tools.bus_questions import Door, Passed, Refused, Since, Snapshot, read_question

READING = {"ping", "status", "why", "calls", "registrations", "lost", "limits", "streams"}
KEYS = [
    "group",
    "node",
    "profile",
    "match",
    "from",
    "limit",
    "count",
    "incarnation",
    "number",
    "id",
    "to",
    "verb",
]
ASKS = [
    *sorted(READING),
    "snapshot",
    "since",
    "move",
    "pin",
    "roster",
    "restart",
    "clear",
    "freeze",
    "follow",
]

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)
questions = st.dictionaries(st.sampled_from(KEYS) | st.text(), values, max_size=5)


def asked(**question: Any) -> Any:
    return read_question(msgpack.packb(question))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_question_or_refused(content: bytes) -> None:
    with suppress(BadMessage):  # nothing else may come out
        read_question(content)


@given(st.sampled_from(ASKS) | values, questions)
def test_nothing_but_a_reading_question_is_handed_on(ask: object, question: dict[str, Any]) -> None:
    try:
        found = read_question(msgpack.packb({**question, "ask": ask}))
    except BadMessage:
        return
    assert isinstance(found, Refused) or ask in {*READING, "snapshot", "since"}
    if isinstance(found, Passed):
        assert found.body["ask"] in READING
        assert found.body.keys() <= {"ask", "group", "node", "profile", "match", "from", "limit", "count"}
        assert all(isinstance(value, (str, int)) for value in found.body.values())


def test_each_goes_to_its_door() -> None:
    assert asked(ask="status") == Passed(None, Door.CONTROL, {"ask": "status"})
    assert asked(ask="why", group="g1", id=7) == Passed(7, Door.CONTROL, {"ask": "why", "group": "g1"})
    assert asked(ask="calls", count=True) == Passed(None, Door.DATA, {"ask": "calls", "count": True})
    assert asked(ask="snapshot", id="a") == Snapshot("a")
    assert asked(ask="since", incarnation=5, number=0) == Since(None, 5, 0)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"ask": "move", "group": "g1", "to": "n2"},
        {"ask": "clear"},
        {"ask": "freeze"},
        {"ask": "status", "group": "g1"},
        {"ask": "calls", "limit": 2001},
        {"ask": "calls", "limit": True},
        {"ask": "calls", "match": "a\nb"},
        {"ask": "calls", "group": 7},
        {"ask": "since", "incarnation": 1},
        {"ask": "since", "incarnation": 1, "number": 2**53},
        {"ask": "ping", "id": True},
        {"ask": "ping", "id": {}},
    ],
)
def test_what_is_refused(question: dict[str, Any]) -> None:
    with suppress(BadMessage):
        assert isinstance(read_question(msgpack.packb(question)), Refused)
