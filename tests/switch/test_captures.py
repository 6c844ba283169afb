"""Every recorded byte of a real FreeSWITCH reads as what it is, however it was split."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.switch.recorded import (
    FROM_MOD_HASH,
    NAMES,
    PAIRS,
    SPOKEN,
    TAKEN_APART,
    blocks,
    received,
    sent,
)
from zcluster.switch import bounds
from zcluster.switch.commands import Answer, Command
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    Event,
    Frame,
    Malformed,
    Unknown,
    elements,
)
from zcluster.switch.requests import RequestReader
from zcluster.switch.waiting import Requests

TYPES = {
    "auth/request": AuthRequest,
    "command/reply": CommandReply,
    "api/response": ApiResponse,
    "text/event-plain": Event,
    "text/event-json": Event,
    "text/disconnect-notice": DisconnectNotice,
}
SMALL_BYTES = 60_000
# What stands in a recording only for one of the two.
OWN_TO_A_RUN = {
    "Event-UUID",
    "Event-Date-Local",
    "Event-Date-GMT",
    "Event-Date-Timestamp",
    "Event-Sequence",
    "Job-UUID",
}


def read(pieces: Iterable[bytes]) -> list[Frame]:
    reader = EslReader()
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    assert reader.kept_bytes == 0
    return frames


def events(name: str) -> list[Event]:
    return [frame for frame in read([received(name)]) if isinstance(frame, Event)]


def test_the_recordings_are_all_here() -> None:
    assert len(NAMES) == 43
    assert len(PAIRS) == 15


@pytest.mark.parametrize("name", SPOKEN)
def test_each_frame_is_what_a_simple_framer_finds(name: str) -> None:
    frames, expected = read([received(name)]), blocks(received(name))
    assert len(frames) == len(expected)
    assert not [frame for frame in frames if isinstance(frame, Malformed | Unknown)]
    for frame, block in zip(frames, expected, strict=True):
        kind = block.head.split(b"Content-Type: ")[1].split(b"\n")[0].decode()
        assert type(frame) is TYPES[kind]
        match frame:
            case ApiResponse(body=body) | DisconnectNotice(text=body):
                assert body.encode() == block.body
            case CommandReply(text=text):
                assert f"Reply-Text: {text}".encode() in block.head.split(b"\n")
            case Event(body=body):
                assert frame.name
                assert frame.number("Event-Sequence") is not None
                assert block.body.endswith(body.encode()) or b'"_body"' in block.body


@pytest.mark.parametrize("name", [name for name in SPOKEN if len(received(name)) <= SMALL_BYTES])
def test_one_byte_at_a_time_changes_nothing(name: str) -> None:
    data = received(name)
    assert read(data[i : i + 1] for i in range(len(data))) == read([data])


@pytest.mark.parametrize("name", [name for name in SPOKEN if len(received(name)) > SMALL_BYTES])
@pytest.mark.parametrize("size", [97, 1460, 65536])
def test_pieces_of_one_size_change_nothing(name: str, size: int) -> None:
    data = received(name)
    assert read(data[i : i + size] for i in range(0, len(data), size)) == read([data])


@settings(max_examples=examples(60))
@given(st.sampled_from(SPOKEN), st.data())
def test_any_split_changes_nothing(name: str, data: st.DataObject) -> None:
    recorded = received(name)
    cuts = data.draw(st.lists(st.integers(0, len(recorded)), max_size=40))
    edges = [0, *sorted(cuts), len(recorded)]
    assert read(recorded[a:b] for a, b in pairwise(edges)) == read([recorded])


@pytest.mark.parametrize(
    "name", ["sendevent-loopback.plain", "sendevent-loopback.json", "bgapi.plain", "bgapi.json"]
)
def test_every_single_split_changes_nothing(name: str) -> None:
    data, whole = received(name), read([received(name)])
    for cut in range(len(data)):
        assert read([data[:cut], data[cut:]]) == whole


@pytest.mark.parametrize("name", [name for name in PAIRS if name not in TAKEN_APART])
def test_plain_and_json_tell_the_same(name: str) -> None:
    plain, json = events(f"{name}.plain"), events(f"{name}.json")
    assert plain == json
    assert [list(event.headers) for event in plain] == [list(event.headers) for event in json]


@pytest.mark.parametrize("name", sorted(TAKEN_APART))
def test_plain_and_json_of_two_runs_tell_the_same_but_for_times(name: str) -> None:
    plain, json = events(f"{name}.plain"), events(f"{name}.json")
    for one, other in zip(plain, json, strict=False):
        assert stable(one) == stable(other)


def stable(event: Event) -> object:
    body = event.body if event.name != "BACKGROUND_JOB" else event.body.split("\n")[1]
    return {name: value for name, value in event.headers.items() if name not in OWN_TO_A_RUN}, body


def test_a_nested_body_and_special_characters() -> None:
    for form in ("plain", "json"):
        first, second = events(f"sendevent-loopback.{form}")
        assert first.get("zc-note") == 'percent 100% and: colon, "quoted" \\u00e9 café '
        assert first.body == ""
        assert second.body == "hello\nworld\n"
        assert second.subclass == "zcluster::probe"


def test_an_array_reads_the_same_in_both_forms() -> None:
    for form in ("plain", "json"):
        values = {event.get("variable_DP_MATCH") for event in events(f"call-bridged.{form}")} - {""}
        assert [elements(value) for value in values] == [("9123", "123")]


@pytest.mark.parametrize("name", SPOKEN)
def test_every_answer_finds_its_command(name: str) -> None:
    """Walks both sides of a recording in the order in which they happened."""
    reader, requests, at = EslReader(), Requests(), 0
    data, answered = received(name), []
    for offset, command in [*sent(name), (len(data), b"")]:
        for frame in reader.feed(data[at:offset]):
            if isinstance(frame, CommandReply | ApiResponse):
                answered.append(requests.answer(frame, now_ms=0).command.name)
        at = offset
        if command:
            verb = command.split()[0].decode()
            answer = Answer.OUTPUT if verb == "api" else Answer.REPLY
            requests.add(Command(verb, command, answer), now_ms=0, limit_ms=bounds.ANSWER_MS)
    # `api fsctl shutdown now` is never answered: the switch is gone.
    left = [ended.command for ended in requests.drop_all("")]
    assert left == (["api"] if name == "shutdown-disconnect.plain" else [])
    assert answered


@pytest.mark.parametrize("name", SPOKEN)
def test_what_the_client_sent_reads_back_as_its_commands(name: str) -> None:
    for cut_bytes in (1, 1 << 20):
        stream = b"".join(record.data for record in sent(name))
        reader, requests = RequestReader(), []
        for i in range(0, len(stream), cut_bytes):
            reader.feed(stream[i : i + cut_bytes])
            while (request := reader.next()) is not None:
                requests.append(request)
        assert [request.line for request in requests] == [
            record.data.decode().split("\n")[0] for record in sent(name)
        ]


def test_what_mod_hash_sends_reads_as_its_requests() -> None:
    reader = RequestReader()
    reader.feed(received(FROM_MOD_HASH))
    lines = [request.line for request in iter(reader.next, None)]
    assert lines == ["auth zc"] + ["api hash_dump limit"] * 5
