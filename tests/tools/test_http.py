"""The HTTP endpoint over real sockets on loopback."""

from __future__ import annotations

import errno
import http.client
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.config.texts import GOOD, accepted
from tests.examples import examples
from tests.tools.canned import status, takeover, with_group
from tests.tools.running import Running
from zcluster.errors import IdentityError
from zcluster.tools.http import HttpOutlet
from zcluster.tools.http_connections import (
    ACCEPT_AGAIN_MS,
    ASKING_LIMIT_MS,
    MOST_CONNECTIONS,
    HttpConnections,
)
from zcluster.tools.http_request import Answer
from zcluster.tools.latest import BELIEVED_MS
from zcluster.tools.listening import Endpoint, endpoint_of
from zcluster.tools.loop import monotonic_ms

LOOPBACK = Endpoint("127.0.0.1", 0)
LIMIT_S = 30


class Served:
    """A running endpoint. Its clock can be put forward: nothing here waits for time to pass."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self.complaints: list[str] = []
        self.outlet = HttpOutlet(
            "n2", lambda: [LOOPBACK], lambda: {"bus_dropped": 3}, self.complaints.append, clock=self.clock
        )
        self.running = Running(self.outlet, self.clock)
        (self.place,) = self.outlet.endpoints

    def clock(self) -> int:
        return monotonic_ms() + self.ahead_ms

    def ask(
        self, path: str, method: str = "GET", accept: str = ""
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(*self.place, timeout=LIMIT_S)
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, answer.headers

    def connect(self) -> socket.socket:
        return socket.create_connection(self.place, LIMIT_S)

    def knows(self, document: dict[str, object]) -> None:
        self.running.do(lambda: self.outlet.status(document))


@pytest.fixture
def endpoint() -> Iterator[Served]:
    made = Served()
    with made.running:
        yield made


def eventually(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_before_the_daemon_was_heard_nothing_is_well(endpoint: Served) -> None:
    for path in ("/healthz", "/readyz", "/master/g1"):
        code, body, _ = endpoint.ask(path)
        assert (code, body) == (503, b"the daemon was not heard yet\n")


def test_answers_follow_the_daemon(endpoint: Served) -> None:
    endpoint.knows(status())
    assert endpoint.ask("/healthz")[:2] == (200, b"the daemon of n2 answers\n")
    assert endpoint.ask("/readyz")[:2] == (200, b"n2 is ready (MASTER)\n")
    assert endpoint.ask("/master/g1")[:2] == (200, b"n2 holds g1, epoch 65\n")
    assert endpoint.ask("/master/g2")[:2] == (503, b"n3 holds g2\n")
    assert endpoint.ask("/master/g3")[0] == 404
    endpoint.knows(with_group("g1", phase="LAPSED"))
    assert endpoint.ask("/master/g1")[0] == 503
    endpoint.knows(status())
    assert endpoint.ask("/master/g1")[0] == 200
    endpoint.running.do(lambda: endpoint.outlet.unreachable("the daemon has ended"))
    for path in ("/healthz", "/readyz", "/master/g1"):
        assert endpoint.ask(path)[:2] == (503, b"the daemon has ended\n")


def test_what_is_old_is_not_believed(endpoint: Served) -> None:
    endpoint.knows(status())
    endpoint.ahead_ms = BELIEVED_MS + 1
    code, body, _ = endpoint.ask("/master/g1")
    assert code == 503
    assert b"last heard" in body
    assert b"zcluster_up 0.0\n" in endpoint.ask("/metrics")[1]
    endpoint.knows(status())
    assert endpoint.ask("/master/g1")[0] == 200


def test_what_was_true_long_ago_is_not_believed_when_it_comes(endpoint: Served) -> None:
    now_ms = endpoint.clock()
    endpoint.knows(status(made_ms=now_ms - BELIEVED_MS - 1))
    assert endpoint.ask("/master/g1")[0] == 503
    endpoint.ahead_ms = 3_600_000
    endpoint.knows(status(made_ms=endpoint.clock() - 500))
    assert endpoint.ask("/master/g1")[0] == 200
    endpoint.ahead_ms += BELIEVED_MS - 250
    assert endpoint.ask("/master/g1")[0] == 503


def test_head_has_no_body(endpoint: Served) -> None:
    endpoint.knows(status())
    for path, expected in (("/master/g1", 200), ("/master/g2", 503), ("/master/g3", 404), ("/metrics", 200)):
        code, body, headers = endpoint.ask(path, "HEAD")
        assert (code, body) == (expected, b"")
        assert int(headers["Content-Length"]) > 0


def test_json_for_who_asks_for_it(endpoint: Served) -> None:
    endpoint.knows(status())
    code, body, headers = endpoint.ask("/master/g1", accept="application/json")
    assert (code, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {
        "schema": "zcluster.health/1",
        "ok": True,
        "text": "n2 holds g1, epoch 65",
        "node": "n2",
        "state": "MASTER",
        "group": "g1",
        "holder": "n2",
        "epoch": 65,
    }
    assert json.loads(endpoint.ask("/readyz", accept="application/json")[1])["reasons"] == []


def test_only_questions_are_answered(endpoint: Served) -> None:
    code, body, headers = endpoint.ask("/healthz", "POST")
    assert (code, headers["Allow"]) == (405, "GET, HEAD")
    assert body == b"only GET and HEAD are answered here\n"
    code, body, _ = endpoint.ask("/elsewhere")
    assert (code, body) == (404, b"ask for /metrics, /healthz, /readyz, /master/GROUP\n")
    assert endpoint.ask("/master/%1b[2J%0a")[0] == 503, "the name in an answer is never what a terminal obeys"


def test_unknown_names_come_back_printable(endpoint: Served) -> None:
    endpoint.knows(status())
    code, body, _ = endpoint.ask("/master/%1b[2J%0ax")
    assert code == 404
    assert body.endswith(b"\n")
    assert body.decode().strip().isprintable()


def test_metrics_in_both_formats(endpoint: Served) -> None:
    endpoint.knows(status())
    endpoint.running.do(lambda: endpoint.outlet.record(takeover()))
    _, body, headers = endpoint.ask("/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    assert b'zcluster_takeovers_total{cause="silence",group="g1"} 1.0\n' in body
    assert b'zcluster_tools_dropped_total{queue="bus"} 3.0\n' in body
    _, body, headers = endpoint.ask(
        "/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    )
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_many_scrapes_cost_one_text(endpoint: Served) -> None:
    endpoint.knows(status())
    endpoint.ahead_ms = -monotonic_ms()  # time stands nearly still
    endpoint.ask("/metrics")
    first = endpoint.outlet.counts()["texts_made"]
    bodies = {endpoint.ask("/metrics")[1] for _ in range(20)}
    assert len(bodies) <= 1 + endpoint.outlet.counts()["texts_made"] - first
    with ExitStack() as stack:
        clients = [stack.enter_context(endpoint.connect()) for _ in range(MOST_CONNECTIONS - 1)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        for client in clients:
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert b"zcluster_up 1.0" in answer.read()
    made = endpoint.outlet.counts()["texts_made"]
    assert made < endpoint.outlet.counts()["requests"]


def test_a_client_that_says_nothing_is_sent_away(endpoint: Served) -> None:
    with endpoint.connect() as silent, endpoint.connect() as slow:
        slow.sendall(b"GET /hea")
        assert endpoint.ask("/elsewhere")[0] == 404, "nobody waits for them"
        endpoint.ahead_ms = ASKING_LIMIT_MS + 1
        eventually(lambda: endpoint.outlet.counts().get("timed_out") == 2)
        assert silent.recv(100) == b""


def test_all_places_taken_the_oldest_silent_one_makes_room(endpoint: Served) -> None:
    endpoint.knows(status())
    with ExitStack() as stack:
        silent = [stack.enter_context(endpoint.connect()) for _ in range(MOST_CONNECTIONS * 3)]
        for client in silent:
            client.settimeout(LIMIT_S)
        for _ in range(5):
            assert endpoint.ask("/master/g1")[0] == 200
        assert silent[0].recv(1) == b""
        assert endpoint.outlet.counts()["made_room"] >= MOST_CONNECTIONS * 2


def test_nobody_spins_while_no_descriptor_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits to be accepted makes the listener readable for as long as he is not."""
    connections = HttpConnections(lambda: [LOOPBACK], lambda request: Answer(200, b"well"), lambda: 0)
    poll = select.poll()
    poll.register(connections.fileno(), select.POLLIN)
    with socket.create_connection(connections.endpoints[0], LIMIT_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert poll.poll(LIMIT_S * 1000)

        def exhausted(listener: socket.socket) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as out_of_descriptors:
            out_of_descriptors.setattr(socket.socket, "accept", exhausted)
            connections.turn(0)
            assert not poll.poll(0)
            assert connections.deadline() == ACCEPT_AGAIN_MS
        connections.turn(ACCEPT_AGAIN_MS - 1)
        assert not poll.poll(0)
        connections.turn(ACCEPT_AGAIN_MS)
        assert client.recv(4096).endswith(b"well")
    assert connections.counts["exhausted"] == 1
    connections.close()


def test_a_client_that_never_reads_keeps_nobody(endpoint: Served) -> None:
    endpoint.knows(status())
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.connect(endpoint.place)
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 50)
        assert endpoint.ask("/master/g1")[0] == 200


def test_a_half_closed_client_still_has_its_answer(endpoint: Served) -> None:
    endpoint.knows(status())
    with endpoint.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(4096):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_request_in_single_bytes_is_a_request(endpoint: Served) -> None:
    endpoint.knows(status())
    with endpoint.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            client.sendall(bytes((byte,)))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


@settings(
    max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b"GET ", b"/metrics", b" HTTP/1.1\r\n", b"\r\n"]),
        max_size=8,
    )
)
def test_no_bytes_end_it(endpoint: Served, pieces: list[bytes]) -> None:
    with endpoint.connect() as client:
        with suppress(OSError):
            for piece in pieces:
                client.sendall(piece)
    assert endpoint.ask("/healthz")[0] == 503


def test_an_address_that_is_not_there_is_tried_again() -> None:
    now_ms = 0
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = Endpoint(*other.getsockname())
        complaints: list[str] = []
        outlet = HttpOutlet("n2", lambda: [place], dict, complaints.append, clock=lambda: now_ms)
        outlet.turn(now_ms)
        assert complaints == [f"cannot listen at {place}: Address already in use"]
        assert outlet.endpoints == []
        due_ms = outlet.deadline()
        assert due_ms is not None
    outlet.turn(due_ms)
    assert outlet.endpoints == [place]
    assert outlet.deadline() is None
    assert len(complaints) == 1
    outlet.close()


def test_ipv6() -> None:
    try:
        outlet = HttpOutlet("n2", lambda: [Endpoint("::1", 0)], dict, pytest.fail)
    except pytest.fail.Exception:
        pytest.skip("no IPv6 on this host")
    with Running(outlet):
        (place,) = outlet.endpoints
        assert str(place) == f"[::1]:{place.port}"
        with socket.create_connection(place, LIMIT_S) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_a_place_of_the_file_is_an_address_that_stays_here() -> None:
    configuration = accepted(GOOD)
    assert endpoint_of(configuration, "loopback", 7712) == ("127.0.0.1", 7712)
    with pytest.raises(
        IdentityError, match=r"no address of this host is in 10\.77\.1\.0/24, the network of ring1"
    ):
        endpoint_of(configuration, "ring1", 7712)
    (link,) = (one for one in configuration.links if one.name == "ring1")
    here = replace(link, network=ip_network("127.0.0.0/8"))
    assert endpoint_of(replace(configuration, links=(here,)), "ring1", 1) == ("127.0.0.1", 1)


def test_an_address_that_comes_later_is_found() -> None:
    now_ms = 0
    found: list[Endpoint] = []

    def find() -> list[Endpoint]:
        if not found:
            raise IdentityError("no address of this host is in 10.77.1.0/24")
        return found

    complaints: list[str] = []
    outlet = HttpOutlet("n2", find, dict, complaints.append, clock=lambda: now_ms)
    assert complaints == ["does not listen yet: no address of this host is in 10.77.1.0/24"]
    found.append(LOOPBACK)
    outlet.turn(now_ms)
    assert outlet.endpoints == []
    due_ms = outlet.deadline()
    assert due_ms is not None
    outlet.turn(due_ms)
    assert len(outlet.endpoints) == 1
    outlet.close()
