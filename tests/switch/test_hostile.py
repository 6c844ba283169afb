"""Garbage, endless headers, wrong lengths and broken events: told, bounded, and never an exception of another kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.switch.recorded import received
from zcluster.errors import BadMessage, CommandRefused
from zcluster.switch import answers, bounds, commands
from zcluster.switch.commands import Form
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import Event, Frame, LogData, Malformed, Rejection, Unknown

REPLY = b"Content-Type: command/reply\nReply-Text: +OK\n\n"


def framed(content_type: str, body: bytes) -> bytes:
    return f"Content-Length: {len(body)}\nContent-Type: {content_type}\n\n".encode() + body


def only(data: bytes) -> Frame:
    (frame,) = EslReader().feed(data)
    return frame


def fatal_kind(data: bytes) -> str:
    frame = EslReader().feed(data)[-1]
    assert isinstance(frame, Malformed)
    assert frame.is_fatal
    return frame.kind


def lost_kind(content_type: str, body: bytes) -> str:
    """The kind of fault of an event that is lost while the stream goes on."""
    frame, following = EslReader().feed(framed(content_type, body) + REPLY)
    assert isinstance(frame, Malformed)
    assert not frame.is_fatal
    assert not isinstance(following, Malformed)
    return frame.kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\n\n", "header"),
        (b"no colon at all\n\n", "header"),
        (b": no name\n\n", "header"),
        (b"Reply-Text: +OK\n\n", "type"),
        (b"\x00\xff\xfe: x\n\n", "type"),
        (b"A: b\n" * (bounds.HEADERS_IN_BLOCK + 1) + b"\n", "headers"),
        (b"x" * (bounds.HEADER_BLOCK_BYTES + 1), "block"),
        (b"Content-Type: " + b"x" * bounds.HEADER_BLOCK_BYTES + b"\n\n", "block"),
        (b"Content-Type: api/response\nContent-Length: -1\n\n", "length"),
        (b"Content-Type: api/response\nContent-Length: \n\n", "length"),
        (b"Content-Type: api/response\nContent-Length: 1e3\n\n", "length"),
        (b"Content-Type: api/response\nContent-Length: +5\n\n", "length"),
        ("Content-Type: api/response\nContent-Length: ٣\n\n".encode(), "length"),
        (b"Content-Type: api/response\nContent-Length: 99999999999999999999\n\n", "length"),
        (b"Content-Type: api/response\nContent-Length: %d\n\n" % (bounds.BODY_BYTES + 1), "length"),
        (b"Content-Type: text/event-json\nContent-Length: %d\n\n" % (bounds.EVENT_BYTES + 1), "length"),
        (b"Content-Type: api/response\nContent-Length: 1\ncontent-length: 2\n\n", "length"),
    ],
)
def test_what_breaks_the_framing_is_fatal(data: bytes, kind: str) -> None:
    assert fatal_kind(data) == kind
    assert fatal_kind(REPLY + data) == kind


def test_what_came_before_a_fault_is_still_told() -> None:
    frames = EslReader().feed(REPLY + REPLY + b"nonsense\n\n" + REPLY)
    assert len(frames) == 3


def test_after_a_fault_nothing_more_is_read() -> None:
    reader = EslReader()
    reader.feed(b"nonsense\n\n")
    assert reader.kept_bytes == 0
    with pytest.raises(BadMessage) as refused:
        reader.feed(REPLY)
    assert refused.value.kind == "header"


def test_endless_headers_end() -> None:
    reader, fed_bytes = EslReader(), 0
    while not reader.feed(b"Name: value of it\n"):
        fed_bytes += 18
        assert reader.kept_bytes <= bounds.HEADER_BLOCK_BYTES + 18
    assert fed_bytes <= bounds.HEADER_BLOCK_BYTES + 18


def test_endless_empty_lines_keep_nothing() -> None:
    reader = EslReader()
    for _ in range(100):
        assert reader.feed(b"\n" * 10_000) == []
        assert reader.kept_bytes == 0
    assert reader.feed(REPLY) != []


def test_a_body_that_never_comes_keeps_no_more_than_was_sent() -> None:
    reader = EslReader()
    assert reader.feed(b"Content-Type: api/response\nContent-Length: %d\n\n" % bounds.BODY_BYTES) == []
    assert reader.feed(b"x" * 1000) == []
    assert reader.kept_bytes == 1000


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "json"),
        (b"null", "json"),
        (b"[]", "json"),
        (b'["Event-Name","X"]', "json"),
        (b'"text"', "json"),
        (b'{"a":', "json"),
        (b'{"a":1}', "json"),
        (b'{"a":null}', "json"),
        (b'{"a":{"b":"c"}}', "json"),
        (b'{"a":[1]}', "json"),
        (b'{"a":[["b"]]}', "json"),
        (b'{"_body":{}}', "json"),
        (b"9" * 10_000, "json"),
        (b"[" * 200_000, "json"),
        (b'{"a":' * 100_000, "json"),
        (json.dumps({f"h{i}": "" for i in range(bounds.EVENT_HEADERS + 1)}).encode(), "headers"),
    ],
)
def test_a_broken_json_event_is_lost_alone(body: bytes, kind: str) -> None:
    assert lost_kind("text/event-json", body) == kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"Event-Name\n\n", "header"),
        (b": value\n\n", "header"),
        (b"Event-Name: X\nContent-Length: 5\n\nshort", ""),
        (b"Event-Name: X\nContent-Length: 4\n\nlonger", "length"),
        (b"Event-Name: X\nContent-Length: 400\n\nshorter", "length"),
        (b"Event-Name: X\n\nunannounced", "length"),
        (b"Event-Name: X\n" * (bounds.EVENT_HEADERS + 1) + b"\n", "headers"),
    ],
)
def test_a_broken_plain_event_is_lost_alone(body: bytes, kind: str) -> None:
    if kind:
        assert lost_kind("text/event-plain", body) == kind
    else:
        assert only(framed("text/event-plain", body)) == Event({"Event-Name": "X"}, "short")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/event-plain", b"Event-Name: X\nvariable_a: %FF%ED%A0%80\nb\xff: \xfe\n\n"),
        ("text/event-json", b'{"Event-Name":"X","variable_a":"\xff\\ud800","b\xff":"\xfe"}'),
    ],
)
def test_what_is_no_text_can_still_be_shown(content_type: str, body: bytes) -> None:
    event = only(framed(content_type, body))
    assert isinstance(event, Event)
    assert event.get("variable_a").startswith("\\xff\\")
    assert event.get("b\\xff") == "\\xfe"
    assert "".join([*event.headers, *event.headers.values()]).encode("utf-8")


def test_a_newline_in_a_value_makes_no_second_header() -> None:
    body = b"Event-Name: CUSTOM\nfrom-user: 1000%0AEvent-Name: CHANNEL_DESTROY\n\n"
    event = only(framed("text/event-plain", body))
    assert isinstance(event, Event)
    assert event.name == "CUSTOM"
    assert event.get("from-user") == "1000\nEvent-Name: CHANNEL_DESTROY"


@pytest.mark.parametrize("user", ["1000\nUnique-ID: x", "1000\r\n\r\napi fsctl shutdown now", "1000\0"])
def test_a_hostile_user_name_goes_no_further(user: str) -> None:
    """As a switch would tell it, and as we would hand it to another switch."""
    told = Event({"Event-Name": "CUSTOM", "Event-Subclass": "sofia::register", "from-user": user})
    for form in Form:
        event = only(answers.event(form, told))
        assert isinstance(event, Event)
        assert event == told
        orig = {f"Orig-{name}": value for name, value in event.headers.items()}
        with pytest.raises(CommandRefused):
            commands.sendevent("CUSTOM", "multicast::event", orig)
        with pytest.raises(CommandRefused):
            commands.api("sofia_contact", f"{event.get('from-user')}@lab.test")


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    plain = only(framed("text/event-plain", b"Event-Name: A\nEvent-Name: B\n\n"))
    assert (
        plain
        == only(framed("text/event-json", b'{"Event-Name":"A","Event-Name":"B"}'))
        == Event({"Event-Name": "A"})
    )


def test_the_rarer_frames() -> None:
    log = b"Content-Type: log/data\nContent-Length: 5\nLog-Level: 2\nUser-Data: \n\nhello"
    assert only(log) == LogData(2, "hello")
    assert only(log.replace(b"Level: 2", b"Level: 22")) == LogData(-1, "hello")
    assert only(framed("text/rude-rejection", b"go away")) == Rejection("go away")
    assert only(framed("text/event-xml", b"<a/>")) == Unknown("text/event-xml", 4)
    assert Event({"n": "12"}).number("n") == 12
    assert [Event({"n": text}).number("n") for text in ("", "-1", "1" * 19, "٣", "0x1")] == [None] * 5


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_makes_frames_or_faults_and_nothing_else(pieces: list[bytes]) -> None:
    reader = EslReader()
    for piece in pieces:
        frames = reader.feed(piece)
        if any(isinstance(frame, Malformed) and frame.is_fatal for frame in frames):
            return


MUTATED = [
    received(name)[:20_000]
    for name in ("call-rejected.plain", "call-rejected.json", "bgapi.plain", "proto-misc")
]


@settings(max_examples=examples(150))
@given(st.sampled_from(MUTATED), st.data())
def test_a_damaged_recording_makes_frames_or_faults_and_nothing_else(
    recorded: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(recorded)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    for frame in EslReader().feed(bytes(damaged)):
        assert str(frame).encode("utf-8")
