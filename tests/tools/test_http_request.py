from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.tools.http_request import (
    LARGEST_HEAD_BYTES,
    Answer,
    RefusedRequest,
    Request,
    encode,
    refusal,
    request_from,
)

GET = b"GET /master/sip1?x=1 HTTP/1.1\r\nHost: pbx1\r\nAccept: text/plain\r\naccept: */*\r\n\r\n"


def outcome(received: bytes) -> Request | int | None:
    try:
        return request_from(received)
    except RefusedRequest as refused:
        return refusal(refused).status


def test_a_request_is_read() -> None:
    request = request_from(GET)
    assert request is not None
    assert (request.method, request.path, request.accept) == ("GET", "/master/sip1", "text/plain, */*")


@given(st.integers(0, len(GET) - 1))
def test_half_a_request_is_waited_for(length: int) -> None:
    assert request_from(GET[:length]) is None


@given(st.binary(max_size=200))
def test_what_comes_after_a_request_changes_nothing(rest: bytes) -> None:
    assert request_from(GET + rest) == request_from(GET)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_outcome(received: bytes) -> None:
    outcome(received)
    outcome(received + b"\r\n\r\n")


@given(
    st.text(st.characters(max_codepoint=255), max_size=40),
    st.text(st.characters(max_codepoint=255), max_size=40),
)
def test_any_path_and_header_has_an_outcome(path: str, header: str) -> None:
    head = f"GET /{path} HTTP/1.1\r\n{header}\r\n\r\n".encode("latin-1")
    found = outcome(head)
    if isinstance(found, Request):
        assert found.path.startswith("/")


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", 405),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n", 431),
        (b"GET /" + b"a" * LARGEST_HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * LARGEST_HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_question_is_refused_with_its_number(received: bytes, status: int) -> None:
    assert outcome(received) == status


def test_a_bare_line_feed_ends_a_line_too() -> None:
    assert request_from(b"GET /healthz HTTP/1.0\nHost: x\n\n") == Request("GET", "/healthz", {"host": "x"})


def test_a_head_has_the_length_of_the_body_and_not_the_body() -> None:
    answer = Answer(200, b"well\n")
    whole, head = encode(answer, is_head=False), encode(answer, is_head=True)
    assert whole == head + b"well\n"
    assert b"Content-Length: 5\r\n" in head
    assert b"Connection: close\r\n" in head
