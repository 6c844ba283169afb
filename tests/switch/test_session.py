"""The server's core answers as the recorded FreeSWITCH did."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.switch.recorded import FROM_MOD_HASH, PAIRS, blocks, received, sent
from zcluster.switch import answers, bounds
from zcluster.switch.commands import Form
from zcluster.switch.esl import EslReader
from zcluster.switch.event_text import read_json, read_plain, write_json, write_plain
from zcluster.switch.frames import ApiResponse, CommandReply, DisconnectNotice, Event, Frame, LogData
from zcluster.switch.session import ApiAsked, Asking, EventSent, ServerSession

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "Pd"]), min_size=1, max_size=12).filter(
    lambda name: name not in {"Content-Length", "_body"}
)


def session(is_authenticated: bool = True) -> ServerSession:
    made = ServerSession(7, "ClueCon")
    if is_authenticated:
        made.receive(b"auth ClueCon\n\n")
        made.outgoing.clear()
    return made


def said(made: ServerSession) -> list[Frame]:
    frames = EslReader().feed(bytes(made.outgoing))
    made.outgoing.clear()
    return frames


def replies(made: ServerSession) -> list[str]:
    return [frame.text for frame in said(made) if isinstance(frame, CommandReply)]


# Against the recordings


@pytest.mark.parametrize("name", ["auth-ok", "auth-bad"])
def test_it_says_byte_for_byte_what_was_recorded(name: str) -> None:
    made = ServerSession(1, "ClueCon")
    for record in sent(name):
        assert len(made.outgoing) == record.offset
        made.receive(record.data)
    assert made.outgoing == received(name)
    assert made.is_ending


def test_before_the_password_nothing_is_found() -> None:
    made = ServerSession(1, "ClueCon")
    for record in sent("auth-none-command-first"):
        assert made.receive(record.data) == []
    assert made.outgoing == received("auth-none-command-first")
    assert not made.is_ending


def test_the_many_small_commands_are_answered_as_recorded() -> None:
    """All of proto-misc but what needs a call of its own; `api` output is given as it was recorded."""
    made, expected = ServerSession(1, "ClueCon"), iter(blocks(received("proto-misc")))
    next(expected)
    for record in sent("proto-misc"):
        made.outgoing.clear()
        block = next(expected)
        asked = made.receive(record.data)
        if asked:
            made.answer(block.body.decode())
        if record.data.startswith((b"linger", b"divert_events")):
            continue
        got = blocks(bytes(made.outgoing))[0]
        assert got == block, record.data


@pytest.mark.parametrize("name", [f"{pair}.{form}" for pair in PAIRS for form in ("plain", "json")])
def test_events_are_written_as_they_were_recorded(name: str) -> None:
    for block in blocks(received(name)):
        if b"text/event-" not in block.head:
            continue
        form = Form.PLAIN if b"event-plain" in block.head else Form.JSON
        read, write = (read_plain, write_plain) if form is Form.PLAIN else (read_json, write_json)
        event = read(block.body)
        assert read(write(event)) == event
        has_repeated_headers = len(block.body.split(b"\n\n")[0].split(b"\n")) != len(event.headers) + bool(
            event.body
        )
        if form is Form.PLAIN and not has_repeated_headers:
            assert write(event) == block.body
            assert answers.event(form, event) == block.head + b"\n\n" + block.body


@given(st.dictionaries(NAMES, TEXT.filter(lambda text: text != "_undef_"), max_size=8), TEXT)
def test_any_event_comes_back_as_it_went(headers: dict[str, str], body: str) -> None:
    event = Event(headers, body)
    for form in Form:
        (frame,) = EslReader().feed(answers.event(form, event))
        assert frame == event


@given(TEXT)
def test_any_answer_comes_back_as_it_went(text: str) -> None:
    data = answers.response(text) + answers.reply(text) + answers.notice(text) + answers.log_line(3, text)
    response, reply, notice, log = EslReader().feed(data)
    assert response == ApiResponse(text or "-ERR no reply\n")
    assert isinstance(reply, CommandReply)
    assert reply.text == text.replace("\n", " ").removesuffix("\r").lstrip(" ")
    assert notice == DisconnectNotice(text)
    assert log == LogData(3, text)


# Asking


def test_mod_hash_is_answered_one_after_another() -> None:
    made = ServerSession(3, "zc")
    asked: list[Asking] = made.receive(received(FROM_MOD_HASH))
    answered = 0
    while asked:
        assert asked == [ApiAsked(3, "hash_dump limit")]
        answered += 1
        asked = made.answer(f"L/outbound_carrier1/{answered}/0/0/0\n")
    outputs = [frame.body for frame in said(made) if isinstance(frame, ApiResponse)]
    assert outputs == [f"L/outbound_carrier1/{number}/0/0/0\n" for number in range(1, 6)]


def test_what_is_sent_behind_an_api_waits_for_its_answer() -> None:
    made = session()
    assert made.receive(b"api status\n\nnoevents\n\napi version\n\n") == [ApiAsked(7, "status")]
    assert said(made) == []
    assert made.answer("up") == [ApiAsked(7, "version")]
    assert [type(frame) for frame in said(made)] == [ApiResponse, CommandReply]


def test_a_job_is_begun_at_once_and_named() -> None:
    made = session()
    assert made.receive(b"bgapi sofia status\nJob-UUID: my-job\n\nbgapi status\n\n") == [
        ApiAsked(7, "sofia status", "my-job"),
        ApiAsked(7, "status", "job-7-2"),
    ]
    first, second = said(made)
    assert isinstance(first, CommandReply)
    assert first.headers["job-uuid"] == "my-job"
    assert isinstance(second, CommandReply)
    assert second.text == "+OK Job-UUID: job-7-2"


def test_a_sent_event_is_passed_on() -> None:
    data = b"sendevent CUSTOM\nEvent-Subclass: zcluster::probe\nzc-pulse: 1\nContent-Length: 5\n\nhello"
    (asked,) = session().receive(data)
    headers = {"Event-Name": "CUSTOM", "Event-Subclass": "zcluster::probe", "zc-pulse": "1"}
    assert asked == EventSent(7, Event(headers, "hello"))


# Publishing


def test_only_what_was_asked_for_is_sent() -> None:
    made = session()
    made.receive(b"event json HEARTBEAT CUSTOM a::b\n\n")
    made.outgoing.clear()
    wanted = [Event({"Event-Name": "HEARTBEAT"}), Event({"Event-Name": "CUSTOM", "Event-Subclass": "a::b"})]
    others = [
        Event({"Event-Name": "API"}),
        Event({"Event-Name": "CUSTOM", "Event-Subclass": "a::c"}),
        Event({}),
    ]
    for event in [*wanted, *others]:
        made.publish(event)
    assert said(made) == wanted
    made.receive(b"nixevent HEARTBEAT\n\nfilter zc 1\n\nevent plain ALL\n\n")
    made.outgoing.clear()
    for event in [*wanted, Event({"Event-Name": "API", "zc": "1"})]:
        made.publish(event)
    assert said(made) == [Event({"Event-Name": "API", "zc": "1"})]
    made.receive(b"filter delete zc 1\n\nnoevents\n\n")
    made.outgoing.clear()
    made.publish(wanted[0])
    assert said(made) == []


def test_a_client_that_does_not_keep_up_is_told_what_it_missed() -> None:
    made = session()
    made.receive(b"event json ALL\n\nlog 2\n\n")
    large = Event({"Event-Name": "X"}, "b" * 100_000)
    for _ in range(bounds.UNSENT_BYTES // 100_000 + 3):
        made.publish(large)
    assert len(made.outgoing) <= bounds.UNSENT_BYTES
    lost = made.lost_events
    assert lost >= 3
    made.outgoing.clear()
    made.publish(large)
    _, log = said(made)
    assert log == LogData(2, f"Lost [{lost}] events!\n")


def test_a_client_that_never_reads_is_sent_away() -> None:
    made = session()
    made.receive(b"event json ALL\n\n")
    for _ in range(bounds.SERVER_MISSED_EVENTS + 100):
        made.publish(Event({"Event-Name": "X"}, "b" * 100_000))
    assert made.is_ending


def test_answers_that_nobody_reads_are_bounded() -> None:
    made = session()
    for _ in range(10):
        made.receive(b"api x\n\n")
        made.answer("b" * bounds.COMMAND_BODY_BYTES)
    assert made.is_ending
    assert len(made.outgoing) < 2 * bounds.UNSENT_BYTES


# Hostile clients


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (bounds.COMMAND_BYTES + 1),
        b"sendevent X\nContent-Length: 999999999\n\n",
        b"sendevent X\nContent-Length: -1\n\n",
        b"sendevent X\nno colon\n\n",
        b"sendevent X\n" + b"a: b\n" * (bounds.COMMAND_HEADERS + 1) + b"\n",
        b"api x\n\n" + b"y" * (bounds.SERVER_WAITING_BYTES + 1),
    ],
)
def test_what_no_client_sends_ends_it(data: bytes) -> None:
    made = session()
    made.receive(data)
    assert made.is_ending
    assert isinstance(said(made)[-1], DisconnectNotice)


def test_line_ends_may_be_those_of_telnet() -> None:
    made = session()
    assert made.receive(b"\r\n\r\nsendevent X\r\na: b\r\nContent-Length: 2\r\n\r\nhiapi status\r\n\r\n") == [
        EventSent(7, Event({"Event-Name": "X", "a": "b"}, "hi")),
        ApiAsked(7, "status"),
    ]


def test_many_commands_at_once_cost_no_more_than_one_after_another() -> None:
    began_s = time.process_time()
    made = session()
    made.receive(b"nolog\n\n" * (bounds.RECEIVE_BYTES // 7))
    assert time.process_time() - began_s < 2
    assert len(replies(made)) > 30_000


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_garbage_is_never_passed_on_before_the_password(pieces: list[bytes]) -> None:
    made = session(is_authenticated=False)
    for piece in pieces:
        assert made.receive(piece) == []


@given(
    st.lists(
        st.sampled_from(
            [
                b"api x",
                b"event ",
                b"json",
                b" ALL",
                b"\n",
                b"\n\n",
                b"\r\n",
                b"bgapi y",
                b": ",
                b"filter a b",
                b"Content-Length: 3",
                b"log 2",
                b"exit",
                b"nixevent",
                b"\xff",
            ]
        ),
        max_size=25,
    )
)
def test_any_order_of_pieces_is_answered_in_frames(pieces: list[bytes]) -> None:
    made = session()
    for piece in pieces:
        asked = made.receive(piece)
        while any(isinstance(each, ApiAsked) and not each.job for each in asked):
            asked = made.answer("output")
    assert all(isinstance(frame, CommandReply | ApiResponse | DisconnectNotice) for frame in said(made))


def test_subscriptions_are_bounded() -> None:
    made = session()
    for part in range(3):
        names = " ".join(f"E{part}_{number}" for number in range(bounds.EVENT_HEADERS // 2))
        made.receive(f"event json {names}\n\n".encode())
    assert replies(made)[-1] == "-ERR too many events"
