"""Data processes in one test: real sockets on loopback, a fake switch each, and the test as their control process."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from zcluster.adapters.bus import BusKeys
from zcluster.adapters.local_channel import LocalChannel, pair
from zcluster.adapters.stream_sockets import LinkAddress
from zcluster.data.assembly import DataProcess, Plan
from zcluster.streams.limits import StreamLimits
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking, EventSent
from zcluster.switch.wishes import Login
from zcluster.telephony.settings import GroupSettings, TelephonySettings
from zcluster.wire.keys import derive
from zcluster.wire.local_link import (
    LARGEST_PACKET_BYTES,
    Completeness,
    Figures,
    Groups,
    Health,
    Message,
    OwnGroup,
    PacketReader,
    PeerPlace,
    Peers,
    SwitchIdentity,
    Told,
    packets,
)

LOOPBACK = "127.0.0.1"
PASSWORD = "ClueCon"
PATIENCE_S = 15.0
WIRE = derive(b"k" * 32)
GROUPS = (
    GroupSettings("blue", ("sip1",), ("10.20.0.10",)),
    GroupSettings("red", ("sip2",), ("10.20.0.11",)),
)
STATUS = "".join(f"{name} profile sip:mod_sofia@10.0.0.1:5060 RUNNING (0)\n" for name in ("sip1", "sip2"))
RECOVERY = (
    "CREATE TABLE recovery (runtime_uuid VARCHAR(255), technology VARCHAR(255), profile_name VARCHAR(255), "
    "hostname VARCHAR(255), uuid VARCHAR(255), metadata text)"
)


def free_ports() -> int:
    """A port with the next one free too."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind((LOOPBACK, 0))
            number: int = first.getsockname()[1]
            try:
                second.bind((LOOPBACK, number + 1))
            except OSError:
                continue
            return number
    raise AssertionError("no two ports in a row")


class FakeSwitch:
    """What the data process needs of a switch to hold it for healthy. `asked`: every command that it was given."""

    def __init__(self, core: str, port: int = 0) -> None:
        self.core = core
        self.answers = {
            "global_getvar core_uuid": core,
            "version": "1.11.3 git abc",
            "switchname": core,
            "sofia status": STATUS,
            "fsctl pause_check": "false",
            "fsctl pause_check inbound": "false",
            "fsctl pause_check outbound": "false",
            "fsctl ready_check": "true",
            "fsctl shutdown_check": "false",
            "hash_dump limit": "-ERR no reply\n",
            "show channels as json": '{"row_count":0}',
        }
        for group in GROUPS:
            for profile in group.profiles:
                self.answers[f"sofia profile {profile} recover"] = "Recovered 0 call(s)"
        self.asked: list[str] = []
        self.is_echoing = True
        self.server: EslServer | None = EslServer(LOOPBACK, port, PASSWORD)
        self.port = self.server.port

    def turn(self) -> None:
        if self.server is None:
            return
        asked: list[Asking] = self.server.receive(time.monotonic_ns() // 1_000_000)
        while asked:
            match asked.pop(0):
                case ApiAsked(client=client, command=command, job=job):
                    self.asked.append(command)
                    text = self.answers.get(command, "")
                    if job:
                        self.server.finish_job(job, command, text)
                    else:
                        asked += self.server.answer(client, text)
                case EventSent(event=event):
                    if event.subclass != "multicast::event" and self.is_echoing:
                        self.server.publish(event)
                    self.asked.append(f"event {event.subclass} {event.get('Orig-contact')}")

    def fire(self, subclass: str, **headers: str) -> None:
        assert self.server is not None
        plain = {name.replace("_", "-"): value for name, value in headers.items()}
        self.server.publish(SwitchEvent({"Event-Name": "CUSTOM", "Event-Subclass": subclass, **plain}))

    def register(self, user: str, profile: str = "sip1") -> None:
        self.fire(
            "sofia::register",
            profile_name=profile,
            from_user=user,
            from_host="pbx",
            presence_hosts="pbx",
            contact=f'"" <sip:{user}@10.1.1.1:5060>',
            call_id=f"call-id-{user}",
            rpid="unknown",
            status="Registered(UDP)",
            expires="3600",
            to_user=user,
            to_host="pbx",
            network_ip="10.1.1.1",
            network_port="5060",
            username=user,
            realm="pbx",
            user_agent="phone",
        )

    def kill(self) -> None:
        if self.server is not None:
            self.server.close()
        self.server = None


class Host:
    """One data process with its switch, and the control process's end of its pair."""

    def __init__(self, node: str, address: str, port: int, where: Path) -> None:
        self.node = node
        self.address = address
        self.port = port
        self.where = where / node
        self.where.mkdir(parents=True, exist_ok=True)
        self.switch = FakeSwitch(f"core-{node}")
        self.problems: dict[str, str] = {}
        self.completeness: Completeness | None = None
        self.identity: SwitchIdentity | None = None
        self.told: list[Told] = []
        self.figures: Figures | None = None
        self.incarnation = 0
        self.start()

    def start(self, core_db: bool = True) -> None:
        self.stack = ExitStack()
        self.channel, other = pair()
        self.reader = PacketReader()
        self.incarnation += 1
        if core_db:
            database = sqlite3.connect(self.where / "core.db")
            database.executescript(f"DROP TABLE IF EXISTS recovery; {RECOVERY};")
            database.close()
        plan = Plan(
            settings=TelephonySettings(self.node, GROUPS),
            incarnation=time.time_ns() // 1_000_000,
            version="test",
            switch_address=LOOPBACK,
            switch_port=self.switch.port,
            login=Login(PASSWORD),
            core_db=self.where / "core.db",
            limits_port=0,
            run_dir=self.where,
            links=(LinkAddress("hb1", self.address, self.port),),
            keys=BusKeys(WIRE.server, WIRE.client),
            streams=StreamLimits(digest_ms=200),
        )
        self.process: DataProcess | None = DataProcess(plan, LocalChannel(other), self.stack)
        self.process.begin()

    def stop(self) -> None:
        self.stack.close()
        self.channel.close()
        self.process = None

    def say(self, message: Message) -> None:
        self.channel.send(packets(message))

    def owns(self, *groups: tuple[str, int]) -> None:
        self.say(Groups(tuple(OwnGroup(group, counter, True) for group, counter in groups)))

    def turn(self) -> None:
        self.switch.turn()
        if self.process is None:
            return
        self.process.loop.turn(longest_wait_ms=1)
        self.channel.flush()
        for packet in self.channel.receive(LARGEST_PACKET_BYTES + 1, 64):
            match self.reader.read(packet):
                case Health(subject, problem):
                    self.problems[subject] = problem
                case Completeness() as said:
                    self.completeness = said
                case Told() as said:
                    self.told.append(said)
                case Figures() as said:
                    self.figures = said
                case SwitchIdentity() as said:
                    self.identity = said
                case _:
                    pass

    @property
    def faults(self) -> dict[str, str]:
        return {subject: problem for subject, problem in self.problems.items() if problem}

    def records(self, name: str) -> set[bytes]:
        assert self.process is not None
        return {entry.key for entry in self.process.replicator.tables[name].entries()}


def introduce(hosts: list[Host], holders: dict[str, str] | None = None) -> None:
    """Tell everybody who lives: those that are given."""
    places = {host.node: PeerPlace(host.node, host.incarnation, (("hb1", host.address),)) for host in hosts}
    for host in hosts:
        others = tuple(place for node, place in places.items() if node != host.node)
        host.say(Peers(others, tuple((holders or {}).items())))


def until(hosts: list[Host], check: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    while not check():
        assert time.monotonic() < end, [
            (host.node, host.faults, host.completeness, host.told[-5:]) for host in hosts
        ]
        for host in hosts:
            host.turn()
