"""A node joins: how long until its data process has everything, what that costs in memory, and whom it disturbs.

Run it with `python -m bench.join` (some minutes, 3 GiB; `--registrations 100000` for a short one). Two whole data
processes on loopback addresses, with CURVE, without a switch. The first is given registrations and calls as records
like a switch's (`telephony.registration_record`, `call_record` with the metadata of bench/streams.py); the second
begins empty. Beside them beats a process as the control process does, with its priority: how late its beats are is
what a million registrations cost the heartbeat.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import socket
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from bench.streams import call, resident_bytes
from zcluster.adapters.bus import BusKeys
from zcluster.adapters.local_channel import LocalChannel, pair
from zcluster.adapters.realtime import prepare, quiet_collector
from zcluster.adapters.stream_sockets import LinkAddress
from zcluster.data.assembly import DataProcess, Plan
from zcluster.streams.events import GroupWon, RecordsChanged, StreamLoaded, Tick
from zcluster.streams.units import CALLS, REGISTRATIONS, STREAM_NAMES, record_key
from zcluster.switch.wishes import Login
from zcluster.telephony.call_record import ANSWERED, CallRecord, pack_call
from zcluster.telephony.metadata import pack_metadata
from zcluster.telephony.registration_record import Binding, Place, Registration, key_of, pack
from zcluster.telephony.settings import GroupSettings, TelephonySettings
from zcluster.wire.keys import derive
from zcluster.wire.local_link import LARGEST_PACKET_BYTES, PeerPlace, Peers, packets

HELPER, JOINER = ("n1", "127.0.0.1"), ("n2", "127.0.0.2")
GROUPS = (GroupSettings("blue", ("sip1",), ("10.20.0.10",)),)
WIRE = derive(b"bench" * 6 + b"zc")
PIECE = 512
BEAT_MS = 50
LIMIT_S = 300.0


def registration(number: int) -> tuple[bytes, bytes]:
    """Key and body of a phone's record."""
    user, host = f"{100_000 + number}", f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    binding = Binding(
        call_id=f"{secrets.token_hex(12)}@{host}",
        contact=f'"" <sip:{user}@{host}:5060;transport=udp;fs_nat=yes;fs_path=sip%3A{user}%40{host}%3A5060>',
        agent="Yealink SIP-T46S 66.86.0.15",
        status="Registered(UDP-NAT)",
        expires_ms=1_795_459_010_000 + number,
        network_ip=host,
        network_port="5060",
        node="n1",
    )
    place = Place("blue", "sip1", user, "pbx.example.com")
    return key_of(place), pack(Registration((binding,), "pbx.example.com"))


def call_record(number: int) -> tuple[bytes, bytes]:
    """Key and body of a leg's record, with metadata as large as a real one's."""
    record = CallRecord(
        profile="sip1",
        runtime_uuid="5d0a8c1e-0000-4000-8000-00000000000b",
        build="FreeSWITCH Version 1.11.3 git abc",
        hostname="switch-01",
        caller="1000",
        callee="2000",
        started_s=1_795_459_000,
        answered_s=1_795_459_001,
        direction="inbound",
        state=ANSWERED,
        metadata=pack_metadata(call(number)),
    )
    return record_key("blue", b"%036d" % number), pack_call(record)


def process_of(
    node: tuple[str, str], port: int, where: Path, stack: ExitStack
) -> tuple[DataProcess, LocalChannel]:
    """A whole data process, and the control process's end of its pair."""
    name, address = node
    ours, theirs = pair()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        no_switch = int(closed.getsockname()[1])
    plan = Plan(
        settings=TelephonySettings(name, GROUPS),
        incarnation=1,
        version="bench",
        switch_address="127.0.0.1",
        switch_port=no_switch,
        login=Login("ClueCon"),
        core_db=where / f"{name}.db",
        limits_port=0,
        run_dir=where,
        links=(LinkAddress("hb", address, port),),
        keys=BusKeys(WIRE.server, WIRE.client),
    )
    plan.run_dir.mkdir(exist_ok=True)
    process = DataProcess(plan, LocalChannel(theirs), stack)
    quiet_collector(is_collecting=True)
    process.begin()
    peer, at = JOINER if node == HELPER else HELPER
    ours.send(packets(Peers((PeerPlace(peer, 1, (("hb", at),)),))))
    ours.flush()
    return process, ours


def drain(channel: LocalChannel) -> None:
    """What the control process would hear."""
    channel.receive(LARGEST_PACKET_BYTES + 1, 64)


def help_others(port: int, where: Path, registrations: int, calls: int, pipe: Connection) -> None:
    """The node that has everything: fill, then turn until killed."""
    with ExitStack() as stack:
        before = resident_bytes()
        process, channel = process_of(HELPER, port, where / "helper", stack)
        empty = resident_bytes()
        replicator = process.replicator
        replicator.handle(GroupWon("blue", 1), 0)
        replicator.handle(Tick(), 10_000)
        for make, count, name in ((registration, registrations, REGISTRATIONS), (call_record, calls, CALLS)):
            for start in range(0, count, PIECE):
                rows = tuple(make(number) for number in range(start, min(start + PIECE, count)))
                replicator.handle(RecordsChanged(name, rows), 10_000)
        for name in STREAM_NAMES:
            replicator.handle(StreamLoaded(name), 10_000)
        size = sum(
            len(key) + len(record) for key, record in replicator.tables[REGISTRATIONS].own.table.items()
        )
        pipe.send((empty - before, resident_bytes() - empty, size))
        while not pipe.poll():
            process.loop.turn()
            drain(channel)
        figures = process.loop.figures
        pipe.send((figures.worst_turn_us, time.process_time()))


def join(port: int, where: Path, registrations: int, calls: int, pipe: Connection) -> None:
    """The newcomer: seconds until calls, until registrations are complete, its memory and its longest turn."""
    with ExitStack() as stack:
        began, cpu = time.monotonic(), time.process_time()
        process, channel = process_of(JOINER, port, where / "joiner", stack)
        empty = resident_bytes()
        since: dict[str, float] = {}
        while len(since) < 3 and time.monotonic() - began < LIMIT_S:
            process.loop.turn()
            drain(channel)
            for name, percent in process.replicator.completeness().get("n1", {}).items():
                if percent == 100:
                    since.setdefault(name, time.monotonic() - began)
        counts = [
            sum(copy.table.count for copy in tables.copies.values())
            for tables in process.replicator.tables.values()
        ]
        assert sum(counts) >= registrations + calls, counts
        worst = process.loop.figures.worst_turn_us
        pipe.send((since, resident_bytes() - empty, worst, time.process_time() - cpu))


def beat(stop: Synchronized[int], pipe: Connection) -> None:
    """A heartbeat as the control process beats, with its priority: how late each was, in ms."""
    prepare()
    late: list[float] = []
    due_s = time.monotonic() + BEAT_MS / 1000
    while not stop.value:
        time.sleep(max(0.0, due_s - time.monotonic()))
        late.append((time.monotonic() - due_s) * 1000)
        due_s += BEAT_MS / 1000
    late.sort()
    pipe.send((len(late), late[len(late) // 2], late[len(late) * 99 // 100], late[-1]))


def measure(registrations: int, calls: int) -> None:
    """One join; prints what was seen."""
    spawn = multiprocessing.get_context("spawn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    pipes = {name: spawn.Pipe() for name in ("helper", "joiner", "beat")}
    stop: Synchronized[int] = spawn.Value("i", 0)
    with tempfile.TemporaryDirectory() as name:
        shared = (port, Path(name), registrations, calls)
        helper = spawn.Process(target=help_others, args=(*shared, pipes["helper"][1]), daemon=True)
        joiner = spawn.Process(target=join, args=(*shared, pipes["joiner"][1]), daemon=True)
        heart = spawn.Process(target=beat, args=(stop, pipes["beat"][1]), daemon=True)
        helper.start()
        base, used, size = pipes["helper"][0].recv()
        heart.start()
        time.sleep(2)
        joiner.start()
        since, copied, worst_us, cpu_s = pipes["joiner"][0].recv()
        stop.value = 1
        beats, middle, late, latest = pipes["beat"][0].recv()
        pipes["helper"][0].send("enough")
        served_us, _ = pipes["helper"][0].recv()
        for process in (helper, joiner, heart):
            process.join(5)
            process.kill()
    print(f"{registrations:,} registrations, {calls:,} calls, load {os.getloadavg()[0]:.1f}")
    print(f"an empty data process: {base / 2**20:.0f} MiB on top of the interpreter")
    print(f"key and body of a registration: {size / registrations:.0f} bytes")
    print(
        f"memory for each, at its owner and at a copy, calls and logs too: {used / registrations:.0f}",
        end=", ",
    )
    print(f"{copied / registrations:.0f} bytes")
    print("complete after", ", ".join(f"{name} {at_s:.2f} s" for name, at_s in sorted(since.items())))
    print(f"processor of the newcomer: {cpu_s:.2f} s")
    print(f"longest turn: {worst_us / 1000:.0f} ms at the newcomer, {served_us / 1000:.0f} ms at the owner")
    print(f"{beats} heartbeats late by p50 {middle:.2f}, p99 {late:.2f}, worst {latest:.2f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registrations", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=5000)
    wanted = parser.parse_args()
    measure(wanted.registrations, wanted.calls)


if __name__ == "__main__":
    main()
