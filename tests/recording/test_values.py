from __future__ import annotations

import pytest

from tests.sim.beats import beat, report
from zcluster.control import actions, events
from zcluster.control.acks import AckHeads, Acks
from zcluster.control.document import Document, Durable, GroupSettings, Handover, Held, Settings
from zcluster.control.messages import Ack, Claim
from zcluster.control.timing import PRESETS
from zcluster.control.units import NodeState, Pair
from zcluster.errors import RecordingError
from zcluster.recording.digest import Digester
from zcluster.recording.values import CLASSES, pack, unpack

VALUES = (
    (),
    (1, "two", None, True, (b"3", [4.5, {"six": (7,)}])),
    NodeState.MASTER,
    PRESETS["fast"],
    Settings(
        "c", 3, PRESETS["standard"], (GroupSettings("g", ("10.0.0.1",), "svc"),), ("a",), ("svc",), digest="d"
    ),
    Durable(7, 64, document=Document("id", 2, ("a", "b")), handover=Handover(7, 1 << 40, (Held("g", 3),))),
    events.BeatReceived(
        beat("x", 9, Claim("g", 4, True))._replace(acks={"y": Ack(1, 2, (Pair("g", 4),), True)}), "ring"
    ),
    actions.Tell("info", "code", "text", {"votes": {"a": 1}, "list": [1, 2], "none": None}),
    actions.Exit(keeps_open=True),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_comes_back_is_equal_in_value_and_type(value: object) -> None:
    again = unpack(pack(value))
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)


def test_every_event_and_action_has_a_number() -> None:
    wanted = {*events.Event.__args__, *actions.Action.__args__}
    assert wanted <= set(CLASSES)
    assert len(set(CLASSES)) == len(CLASSES)


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\xc7\x00\x7f", b"\xc7\x01\x50\x01", b"\x92\x01", b"\xd4\x02\x01"]
)
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(RecordingError):
        unpack(data)


def test_equal_actions_have_equal_digests_whatever_came_before() -> None:
    first = actions.SendBeat(beat("x", 1, Claim("g", 4, True)))
    other = actions.SendBeat(beat("x", 1, Claim("g", 5, True)))
    fresh, used = Digester(), Digester()
    used.digest([other])
    assert fresh.digest([first]) == used.digest([first])
    assert fresh.digest([first]) != fresh.digest([other])
    assert fresh.digest([first, other]) != fresh.digest([other, first])


def test_a_report_that_changed_is_seen_in_the_digest() -> None:
    before = beat("x", 1)
    after = before._replace(report=report()._replace(unready=("starting",)))
    digester = Digester()
    assert digester.digest([actions.SendBeat(before)]) != digester.digest([actions.SendBeat(after)])


def test_acknowledgements_as_they_were_read_come_back_as_their_dictionary() -> None:
    acks = Acks(AckHeads({"y": 0}, (1,), ((Pair("g", 4),),), (True,)), [2])
    assert unpack(pack(acks)) == {"y": Ack(1, 2, (Pair("g", 4),), True)}
