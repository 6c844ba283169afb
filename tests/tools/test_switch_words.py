"""A record as an event of the switch: what a real FreeSWITCH made of it, and that no record can be more than text."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.switch.as_the_switch_reads import read_packet
from tests.switch.recorded import received
from tests.tools.switch_scene import HOSTILE, LONG, LOST, SCENE, TAKEOVER
from zcluster.adapters.journal import LEVELS, Record
from zcluster.errors import CommandRefused
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import Event
from zcluster.tools.switch_words import LARGEST_EVENT_BYTES, LARGEST_VALUE_BYTES, event_of, headers_of

FORMS = ("plain", "json")


@cache
def real(form: str) -> tuple[Event, ...]:
    frames = EslReader().feed(received(f"zcluster-events.{form}"))
    return tuple(each for each in frames if isinstance(each, Event))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", range(len(SCENE)))
def test_a_real_switch_handed_on_exactly_what_was_said(place: int, form: str) -> None:
    event, record = real(form)[place], SCENE[place]
    names = list(event.headers)
    ours = names[names.index("Command") + 1 : names.index("Event-UUID")]
    assert {name: event.get(name) for name in ours} == headers_of(record)
    assert (event.name, event.subclass) == ("CUSTOM", f"zcluster::{record.code}")
    assert ours == list(headers_of(record))


def test_what_a_takeover_says() -> None:
    assert headers_of(TAKEOVER) == {
        "Zcluster-Node": "pbx2",
        "Zcluster-At-Ms": "1795721725271",
        "Zcluster-Level": "notice",
        "Zcluster-Incarnation": "1795700000000",
        "Zcluster-Number": "12",
        "Zcluster-Text": "pbx2 took sip1 over from pbx1",
        "Zcluster-Group": "sip1",
        "Zcluster-Epoch": "7",
        "Zcluster-Fact-From-Node": "pbx1",
        "Zcluster-Fact-Why": "pbx1 is silent",
        "Zcluster-Fact-Silent-Ms": "141",
        "Zcluster-Fact-Links": '{"ring1":141,"ring2":150}',
        "Zcluster-Fact-Votes": '{"pbx2":0,"pbx3":2}',
        "Zcluster-Fact-Quorum": "2",
        "Zcluster-Fact-Roster": "3",
        "Zcluster-Fact-Won-Ms": "2",
        "Zcluster-Fact-Probes-Ms": "[5,9]",
        "Zcluster-Fact-Quiet-Ms": "20",
        "Zcluster-Fact-Open-Ms": "25",
    }


def test_a_lost_call_is_known_by_its_uuid() -> None:
    assert headers_of(LOST)["Zcluster-Fact-Uuid"] == "7b6dbcd7-f2ae-4bd4-bbd3-d48bbfac1aa5"


def test_a_fact_never_stands_for_what_the_record_says() -> None:
    record = LOST._replace(facts={"node": "elsewhere", "text": "other", "at_ms": 1})
    headers = headers_of(record)
    assert (headers["Zcluster-Node"], headers["Zcluster-Fact-Node"]) == ("pbx2", "elsewhere")
    assert headers["Zcluster-Text"] == LOST.text


def test_what_is_too_long_is_cut_and_says_so() -> None:
    headers = headers_of(LONG)
    assert len(headers["Zcluster-Text"]) == LARGEST_VALUE_BYTES
    assert headers["Zcluster-Cut"] == "Zcluster-Text,Zcluster-Fact-Uuids"


@pytest.mark.parametrize("code", ["", "Probe", "probe", "a b", "a\n", "a_b", "ä", "x" * 64, "-a", "a::b"])
def test_a_code_that_cannot_be_a_subclass_is_no_event(code: str) -> None:
    with pytest.raises(CommandRefused):
        event_of(LOST._replace(code=code))


ORDERS = ("x\n\napi fsctl shutdown now", "unload", "mod_event_socket", "ARRAY::a|:b", "Content-Length", " ")
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=" \r\n\0\t:'\"\\[]%{}$`;\ud800\x1b\x85\u2028aA0", max_size=20),
    st.sampled_from(ORDERS),
    st.text(min_size=1, max_size=3).map(lambda text: text * 5000),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=3,
)
RECORDS = st.builds(
    Record,
    at_ms=st.integers(0, 2**53),
    node=TEXTS,
    level=st.sampled_from(LEVELS),
    code=st.sampled_from(("takeover", "call-lost", "x")),
    text=TEXTS,
    facts=st.dictionaries(
        st.one_of(TEXTS, st.sampled_from(("group", "epoch", "a_b", "a-b"))), VALUES, max_size=8
    ),
    incarnation=st.integers(0, 2**53),
    number=st.integers(0, 2**53),
)


@given(RECORDS)
def test_any_record_is_one_event_of_bounded_printable_lines(record: Record) -> None:
    command = event_of(record)
    packet, left = read_packet(command.data)
    assert packet is not None
    assert (packet.command, packet.body, left) == ("sendevent CUSTOM", "", b"")
    (_, subclass), *headers = packet.headers
    assert subclass == f"zcluster::{record.code}"
    assert dict(headers) == headers_of(record)
    assert len(headers) == len(dict(headers))
    for name, value in headers:
        assert name.startswith("Zcluster-")
        assert value.isprintable()
        assert "ARRAY::" not in value
        assert len(value.encode()) <= LARGEST_VALUE_BYTES
    assert len(command.data) <= 2 * LARGEST_EVENT_BYTES
    # Wherever these stand together the switch takes them for the order to close its event socket.
    assert b"mod_event_socket" not in command.data.lower()


def test_a_hostile_record_says_no_more_than_text() -> None:
    headers = headers_of(HOSTILE)
    assert headers["Zcluster-Node"] == "pbx9  api fsctl shutdown now"
    assert headers["Zcluster-Text"] == (
        "evil    Content-Length: 5  hello [2J 31m%0a${system(reboot)} ;;`reboot` reload the event socket"
    )
    assert headers["Zcluster-Group"] == "ARRAY: :a|:b"
    assert headers["Zcluster-Fact-Deep"] == '[["${x}","\\n"],{"\\n":"\\ud800"}]'
