from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.fake_phones import ADDRESS, request
from zcluster.errors import BadMessage
from zcluster.lab.fake_switch.dialog import first_cseq, reply
from zcluster.lab.fake_switch.message import (
    DATAGRAM_BYTES,
    HEADERS,
    Request,
    Response,
    display_name,
    parameter,
    parse,
    read_uri,
    tag_of,
    uri_text,
    write,
)

VALUES = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40
).map(str.strip)
REQUIRED = (("Via", "SIP/2.0/UDP h;branch=b"), ("From", "<sip:a@b>"), ("To", "<sip:c@d>"), ("Call-ID", "x"))


@given(st.binary(max_size=2000))
def test_whatever_comes_is_a_message_or_a_bad_one(data: bytes) -> None:
    try:
        parse(data)
    except BadMessage:
        pass


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_message_is_a_message_or_a_bad_one(at: int, byte: int, end: int) -> None:
    data = bytearray(request("INVITE", "9000"))
    data[at % len(data)] = byte
    for each in (bytes(data), bytes(data[:end])):
        try:
            parse(each)
        except BadMessage:
            pass


@given(st.lists(VALUES, max_size=8), st.text(max_size=60).filter(lambda text: text.isprintable()))
def test_a_written_message_reads_the_same(values: list[str], body: str) -> None:
    headers = (
        *REQUIRED,
        ("CSeq", "7 INVITE"),
        *((f"X-{number}", value) for number, value in enumerate(values)),
    )
    for message in (
        Request(headers, body, "INVITE", "sip:c@d"),
        Response(headers, body, 183, "Session Progress"),
    ):
        assert parse(write(message)) == message


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_message_without_what_every_message_has_is_refused(name: str) -> None:
    lines = request("OPTIONS", "9000").split(b"\r\n")
    rest = b"\r\n".join(line for line in lines if not line.startswith(name.encode() + b":"))
    with pytest.raises(BadMessage, match=name):
        parse(rest)


def test_bounds_hold() -> None:
    with pytest.raises(BadMessage):
        parse(b"x" * (DATAGRAM_BYTES + 1))
    with pytest.raises(BadMessage, match="headers"):
        parse(request("OPTIONS", "9000").replace(b"\r\n\r\n", b"\r\nX: y" * HEADERS + b"\r\n\r\n"))


def test_short_names_and_folded_lines_are_read() -> None:
    data = (
        b"OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h\r\n ;branch=z9\r\nf: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\n"
        b"i: one\r\nCSeq: 1 OPTIONS\r\nl: 2\r\n\r\nhello"
    )
    message = parse(data)
    assert (message.call_id, message.branch, message.get("from"), message.body) == (
        "one",
        "z9",
        "<sip:a@b>;tag=1",
        "he",
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('"x" <sip:1000@10.0.0.1:5070;transport=udp>;tag=5', "1000@10.0.0.1:5070"),
        ("sip:10.0.0.1", "10.0.0.1"),
        ("<sips:a.b@[fd77::1]:5061>", "a.b@[fd77::1]:5061"),
    ],
)
def test_uris_are_read(text: str, place: str) -> None:
    assert read_uri(text).place == place


@pytest.mark.parametrize("text", ["", "tel:112", "sip:", "<sip:@>", "sip:a@b:99999"])
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        read_uri(text)


def test_the_parts_of_an_address() -> None:
    value = '"An Other" <sip:a@b:1;transport=udp>;expires=60;tag=t1'
    assert (display_name(value), uri_text(value), tag_of(value)) == (
        "An Other",
        "sip:a@b:1;transport=udp",
        "t1",
    )
    assert (parameter(value, "expires"), parameter(value, "q")) == ("60", "")


def test_a_reply_has_the_vias_and_the_source_of_its_request() -> None:
    asked = parse(request("OPTIONS", "9000", Via="SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9"))
    assert isinstance(asked, Request)
    answer = reply(asked, ("10.0.0.7", 1234), 200, "OK", "mine")
    assert answer.get("Via") == "SIP/2.0/UDP 10.0.0.9:5060;rport=1234;branch=z9;received=10.0.0.7"
    assert answer.get("To") == f"<sip:9000@{ADDRESS}:5060>;tag=mine"
    assert answer.cseq == asked.cseq


def test_the_first_cseq_is_that_of_the_captured_call() -> None:
    # recovery-rows-one-call.json: sip_cseq 123175713 of a call created at 1795459010.
    assert abs(first_cseq(1_795_459_010) - 123_175_713) <= 1
