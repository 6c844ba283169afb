"""The scenarios of the laboratory's telephones, played by stock sipp: what a takeover of a takeover asks of them.

A telephone has answered a re-INVITE, and the switch that sent it died before its ACK. RFC 3261 has it repeat the
answer (13.3.1.4) and take the next INVITE of the dialog, whose CSeq is higher (12.2.2, 14.2): RFC 5407, 3.1.4.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

import pytest

from zcluster.lab.fake_switch.message import Message, Request, Response, parse, write

HOST = "127.0.0.1"
LIMIT_S = 30.0
SDP = f"v=0\r\no=u 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"


class Switch:
    """The switch's side of one dialog with a telephone, message by message."""

    def __init__(self) -> None:
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.bind((HOST, 0))
        self.wire.settimeout(0.1)
        self.here = f"{HOST}:{self.wire.getsockname()[1]}"
        self.telephone = ("", 0)
        self.headers: tuple[tuple[str, str], ...] = ()

    def __enter__(self) -> Switch:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def hear(self, word: str, cseq: int | None = None) -> Message:
        """The next message of that method or status, whatever comes before it."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            with suppress(TimeoutError):
                data, self.telephone = self.wire.recvfrom(65536)
                message = parse(data)
                said = message.method if isinstance(message, Request) else str(message.status)
                if said == word and cseq in (None, message.cseq[0]):
                    return message
        raise AssertionError(f"no {word} {cseq or ''} from the telephone")

    def ask(self, method: str, cseq: int, branch: str) -> None:
        via = ("Via", f"SIP/2.0/UDP {self.here};branch=z9hG4bK{branch}")
        more = (("CSeq", f"{cseq} {method}"), ("Max-Forwards", "70"), ("Contact", f"<sip:sw@{self.here}>"))
        body = SDP if method == "INVITE" else ""
        self._send(Request((via, *self.headers, *more), body, method, f"sip:telephone@{HOST}"))

    def answer(self, asked: Message, tag: str = "") -> None:
        to = asked.get("To") + (f";tag={tag}" if tag else "")
        same = tuple((name, asked.get(name)) for name in ("Via", "From", "Call-ID", "CSeq"))
        self._send(Response((*same, ("To", to), ("Contact", f"<sip:sw@{self.here}>")), "", 200, "OK"))

    def _send(self, message: Message) -> None:
        self.wire.sendto(write(message), self.telephone)


@contextmanager
def telephone(scenario: str, directory: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """One sipp, for one call."""
    sipp = shutil.which("sipp")
    assert sipp, "these tests need sipp: apt-get install sip-tester"
    file = directory / scenario
    text = (files("zcluster.lab") / "scenarios" / scenario).read_text()
    file.write_text(text.replace('"15000"', '"2000"').replace('"16000"', '"2000"').replace('"5000"', '"500"'))
    command = [sipp, "-sf", str(file), *words, "-i", HOST, "-m", "1", "-l", "1", "-nostdin"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=directory) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.slow
def test_a_caller_whose_answer_nobody_acknowledged_takes_the_next_re_invite(tmp_path: Path) -> None:
    with Switch() as switch, telephone("caller.xml", tmp_path, switch.here, "-s", "9000") as sipp:
        invite = switch.hear("INVITE")
        switch.answer(invite, tag="switch")
        switch.hear("ACK")
        switch.headers = (
            ("From", f"{invite.get('To')};tag=switch"),
            ("To", invite.get("From")),
            ("Call-ID", invite.call_id),
        )
        _take_over_twice(switch)
        switch.answer(switch.hear("BYE"))
        assert sipp.wait(LIMIT_S) == 0


def test_a_callee_whose_answer_nobody_acknowledged_takes_the_next_re_invite(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HOST, 0))
        place = free.getsockname()
    with Switch() as switch, telephone("callee.xml", tmp_path, "-p", str(place[1])) as sipp:
        switch.telephone = place
        switch.headers = (("From", "<sip:sw@lab>;tag=switch"), ("To", "<sip:callee@lab>"), ("Call-ID", "one"))
        answer = _invite_until_answered(switch, 1)
        switch.headers = (*switch.headers[:1], ("To", answer.get("To")), ("Call-ID", "one"))
        switch.ask("ACK", 1, "ack")
        _take_over_twice(switch)
        switch.ask("BYE", 103, "bye")
        switch.hear("200", 103)
        assert sipp.wait(LIMIT_S) == 0


def _take_over_twice(switch: Switch) -> None:
    """The first switch dies before its ACK; the telephone repeats itself; the second one invites."""
    switch.ask("INVITE", 101, "first")
    switch.hear("200", 101)
    switch.hear("200", 101)
    switch.ask("INVITE", 102, "second")
    switch.hear("200", 102)
    switch.ask("ACK", 102, "second-ack")


def _invite_until_answered(switch: Switch, cseq: int) -> Message:
    """sipp may not be there yet."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        switch.ask("INVITE", cseq, "begin")
        with suppress(TimeoutError, ConnectionRefusedError):
            switch.wire.recv(65536)
            return switch.hear("200", cseq)
    raise AssertionError("the callee does not answer")
