"""A fake switch with a clock that only moves when it is told to, and telephones that are functions."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from zcluster.lab.fake_switch.core_db import CoreDatabase
from zcluster.lab.fake_switch.message import Message, Request, Response, parse, write
from zcluster.lab.fake_switch.outputs import Datagram, Now
from zcluster.lab.fake_switch.settings import Place, ProfilePlan, SwitchPlan
from zcluster.lab.fake_switch.switch import FakeSwitch
from zcluster.switch.frames import Event

ADDRESS = "10.77.9.101"
PROFILE = "g1"
CALLER: Place = ("10.77.9.250", 5071)
CARRIER: Place = ("10.77.9.250", 5080)
WALL_US = 1_795_459_010_000_000
SDP = (
    "v=0\r\no=u 1 1 IN IP4 10.77.9.250\r\ns=-\r\nc=IN IP4 10.77.9.250\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
)


def request(method: str, number: str, cseq: int = 1, tag: str = "", **more: str) -> bytes:
    """A caller's request; `more` are headers, with _ for -."""
    to = f"<sip:{number}@{ADDRESS}:5060>" + (f";tag={tag}" if tag else "")
    headers = {
        "Via": f"SIP/2.0/UDP {CALLER[0]}:{CALLER[1]};branch=z9hG4bK-{number}-{method}-{cseq}",
        "From": f'"caller" <sip:caller1@{CALLER[0]}:{CALLER[1]}>;tag=c1',
        "To": to,
        "Call-ID": f"call-{number}",
        "CSeq": f"{cseq} {'INVITE' if method == 'CANCEL' else method}",
        "Contact": f"<sip:caller1@{CALLER[0]}:{CALLER[1]}>",
        "Max-Forwards": "70",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    if method == "CANCEL":
        headers["Via"] = headers["Via"].replace("CANCEL", "INVITE")
        headers["CSeq"] = f"{cseq} CANCEL"
    body = SDP if method == "INVITE" else ""
    return write(Request(tuple(headers.items()), body, method, f"sip:{number}@{ADDRESS}:5060"))


def answer(asked: Request, status: int, tag: str = "s1") -> bytes:
    """A telephone's answer to a request of the switch."""
    to = asked.get("To") if "tag=" in asked.get("To") else f"{asked.get('To')};tag={tag}"
    headers = (
        ("Via", asked.get("Via")),
        ("From", asked.get("From")),
        ("To", to),
        ("Call-ID", asked.call_id),
        ("CSeq", asked.get("CSeq")),
        ("Contact", f"<sip:{CARRIER[0]}:{CARRIER[1]};transport=UDP>"),
    )
    body = SDP if status == 200 and asked.method == "INVITE" else ""
    return write(Response(headers, body, status, "whatever"))


@dataclass
class World:
    """One switch. `sent`: what it has sent and nobody has looked at; `events`: what has reached listeners."""

    directory: Path
    name: str = "n1"
    in_standby: bool = False
    seed: int = 1
    now: Now = field(default_factory=lambda: Now(0, WALL_US))
    sent: list[Datagram] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = SwitchPlan(
            switchname=self.name,
            profiles=(ProfilePlan(PROFILE, ADDRESS), ProfilePlan("g2", "10.77.9.102")),
            event_socket=("127.0.0.1", 8021),
            password="secret",
            core_db=str(self.directory / f"{self.name}.db"),
            carrier=CARRIER,
            begins_in_standby=self.in_standby,
            trunk_limit=2,
        )
        self.database = CoreDatabase(self.plan.core_db, self.plan.row_lag_ms)
        self.switch = FakeSwitch(self.plan, self.database, "vm", Random(self.seed), self.now)

    def hear(self, data: bytes, peer: Place = CALLER, profile: str = PROFILE) -> list[Message]:
        """Hands the switch a datagram; what it sends at once."""
        return self._sent(self.switch.datagram(profile, peer, data, self.now))

    def wait(self, milliseconds: int) -> list[Message]:
        """Lets time pass, deadline by deadline; what the switch sends meanwhile."""
        until = self.now.mono_ms + milliseconds
        sent: list[Datagram] = []
        while True:
            due_ms = min(max(self.switch.deadline(), self.now.mono_ms), until)
            self.now = Now(due_ms, self.now.wall_us + 1000 * (due_ms - self.now.mono_ms))
            datagrams, events = self.switch.advance(self.now)
            sent += datagrams
            self.events += events
            if due_ms == until and self.switch.deadline() > until:
                return self._sent(sent)

    def ask(self, command: str) -> str:
        """The output of an api command, however long it takes (a recover: ten seconds at most)."""
        outputs: list[str] = []
        self._sent(self.switch.ask(command, outputs.append, self.now))
        for _ in range(1000):
            if outputs:
                return outputs[0]
            self.wait(10)
        raise AssertionError(f"{command} was not answered")

    def rows(self) -> list[tuple[str, ...]]:
        """The table `recovery`."""
        with sqlite3.connect(self.plan.core_db) as connection:
            found = connection.execute("select * from recovery order by uuid").fetchall()
        connection.close()
        return found

    def put(self, rows: list[tuple[str, ...]]) -> None:
        """Rows of another switch, as zcluster loads them."""
        with sqlite3.connect(self.plan.core_db) as connection:
            connection.executemany("insert into recovery values (?,?,?,?,?,?)", rows)
        connection.close()

    def call(self, number: str = "9000") -> tuple[Response, Request]:
        """Places a call that is answered; the caller's 200 and the INVITE that the carrier got."""
        invited = only(self.hear(request("INVITE", number)), "INVITE")
        self.hear(answer(invited, 180), CARRIER)
        messages = self.hear(answer(invited, 200), CARRIER)
        ok = next(each for each in messages if isinstance(each, Response) and each.status == 200)
        tag = ok.get("To").partition("tag=")[2]
        self.hear(request("ACK", number, tag=tag))
        return ok, invited

    def named(self, name: str) -> list[Event]:
        """The events of that name, or subclass, that listeners got."""
        return [event for event in self.events if name in (event.name, event.subclass)]

    def _sent(self, datagrams: list[Datagram]) -> list[Message]:
        self.sent += datagrams
        return [parse(each.data) for each in datagrams]


def only(messages: list[Message], method: str) -> Request:
    """The one request of that method among them."""
    (found,) = [each for each in messages if isinstance(each, Request) and each.method == method]
    return found


def statuses(messages: list[Message]) -> list[int]:
    """The statuses of the responses among them."""
    return [each.status for each in messages if isinstance(each, Response)]
