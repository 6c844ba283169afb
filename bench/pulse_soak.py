"""Does a data process under load ever hold a healthy switch for dead? A soak, not a benchmark.

Run it with `python -m bench.pulse_soak` (11 minutes; `--seconds 60` for a short one). The data process as the control
process starts it, with the shipped pulse and its limit; a switch that answers everything, in a process of its own;
busy loops beside them. It fails when the switch was ever told as unfit after it was fit, which on a real node gives
its groups away.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from zcluster.config.keyfile import write_key
from zcluster.errors import BadMessage
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking, EventSent
from zcluster.wire.local_link import LARGEST_PACKET_BYTES, Figures, Health, PacketReader, Peers, packets

SECONDS = 660
BUSY_LOOPS = 4
SWITCH_NICE = -10
START_LIMIT_S = 60.0
LOOPBACK = "127.0.0.1"
PASSWORD = "ClueCon"
NODE = "n1"
STATUS = "sip1 profile sip:mod_sofia@10.0.0.1:5060 RUNNING (0)\n"
ANSWERS = {
    "global_getvar core_uuid": "core-1",
    "version": "1.11.3 git abc",
    "switchname": "core-1",
    "sofia status": STATUS,
    "fsctl pause_check": "false",
    "hash_dump limit": "-ERR no reply\n",
    "show channels as json": '{"row_count":0}',
}
FILE = """
[cluster]
name = "soak"
expected-nodes = 1
key-file = "{where}/cluster.key"
state-dir = "{where}"
run-dir = "{where}"

[[link]]
name = "hb1"
network = "127.0.0.0/8"
multicast = "239.77.0.1"
bus-port = {ports[0]}
data-port = {ports[1]}

[[group]]
name = "blue"
addresses = ["10.99.0.10/24"]
interface = "lo"
profiles = ["sip1"]

[switch]
event-socket = "127.0.0.1:{switch}"
core-db = "{where}/core.db"
limits-port = {ports[2]}
"""


def play_switch(port: int, longest_ms: Synchronized[int]) -> None:
    """A switch that answers and echoes, for ever; `longest_ms`: how long it stood still itself.

    Above ordinary priority where that is allowed, as FreeSWITCH sets itself.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, SWITCH_NICE)
    server = EslServer(LOOPBACK, port, PASSWORD)
    before_ms = time.monotonic_ns() // 1_000_000
    while True:
        now_ms = time.monotonic_ns() // 1_000_000
        longest_ms.value, before_ms = max(longest_ms.value, now_ms - before_ms), now_ms
        asked: list[Asking] = server.receive(time.monotonic_ns() // 1_000_000)
        if not asked:
            time.sleep(0.001)
        while asked:
            match asked.pop(0):
                case ApiAsked(client=client, command=command, job=job):
                    text = ANSWERS.get(command, "")
                    if job:
                        server.finish_job(job, command, text)
                    else:
                        asked += server.answer(client, text)
                case EventSent(event=event):
                    server.publish(event)


def make_core_db(path: Path) -> None:
    """The switch's table of calls, empty."""
    columns = ("runtime_uuid", "technology", "profile_name", "hostname", "uuid")
    with closing(sqlite3.connect(path)) as database:
        fields = ", ".join(f"{column} VARCHAR(255)" for column in columns)
        database.execute(f"CREATE TABLE recovery ({fields}, metadata text)")


def burn() -> None:
    """One busy loop."""
    while True:
        pass


def free_ports(count: int) -> list[int]:
    """Ports in distance, for some take the next one too."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            number: int = probe.getsockname()[1]
        if all(abs(number - other) > 2 for other in found):
            found.append(number)
    return found


def soak(seconds: float, busy_loops: int, nice: int) -> bool:
    """Whether no judgement was wrong; prints what was seen."""
    spawn = multiprocessing.get_context("spawn")
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.setblocking(False)
    helpers: list[BaseProcess] = []
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        switch, *ports = free_ports(4)
        make_core_db(where / "core.db")
        write_key(where / "cluster.key")
        (where / "zcluster.toml").write_text(FILE.format(where=where, ports=ports, switch=switch))
        stood_still_ms: Synchronized[int] = spawn.Value("i", 0)
        helpers.append(spawn.Process(target=play_switch, args=(switch, stood_still_ms), daemon=True))
        helpers += [spawn.Process(target=burn, daemon=True) for _ in range(busy_loops)]
        words = ["--fd", str(there.fileno()), "--config", str(where / "zcluster.toml")]
        words += ["--node", NODE, "--run-dir", str(where)]
        child = subprocess.Popen([sys.executable, "-m", "zcluster.data", *words], pass_fds=(there.fileno(),))
        there.close()
        try:
            for helper in helpers:
                helper.start()
            for helper in helpers[1:]:
                os.setpriority(os.PRIO_PROCESS, helper.pid or 0, nice)
            is_well = watch(here, child, seconds)
            print(f"the switch itself stood still for up to {stood_still_ms.value} ms")
            return is_well
        finally:
            here.close()
            child.wait(30)
            for helper in helpers:
                helper.kill()


def watch(here: socket.socket, child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Hear what the data process says for so long; whether it said nothing wrong."""
    reader = PacketReader()
    problems: dict[str, str] = {"switch": "not told yet"}
    wrong: list[str] = []
    figures: dict[str, int] = {}
    for packet in packets(Peers()):
        here.send(packet)
    began = time.monotonic()
    fit_s: float | None = None
    while fit_s is None or time.monotonic() - fit_s < seconds:
        if child.poll() is not None or (fit_s is None and time.monotonic() - began > START_LIMIT_S):
            wrong.append(f"ended or never fit: {problems}")
            break
        try:
            message = reader.read(here.recv(LARGEST_PACKET_BYTES))
        except BlockingIOError:
            time.sleep(0.01)
            continue
        except BadMessage as problem:
            wrong.append(str(problem))
            continue
        if isinstance(message, Figures):
            figures = dict(message.numbers)
        elif isinstance(message, Health):
            problems[message.subject] = message.problem
            if not any(problems.values()):
                fit_s = fit_s or time.monotonic()
            elif fit_s is not None:
                wrong.append(f"after {time.monotonic() - fit_s:.0f} s: {message.subject}: {message.problem}")
    shown = ("longest_pulse_ms", "worst_turn_us", "worst_oversleep_ms", "pulses_unsent", "cpu_ms", "turns")
    print(f"{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    for figure in shown:
        print(f"{figure:20} {figures.get(figure, 0)}")
    print(*(wrong or ["no wrong judgement"]), sep="\n")
    return not wrong


def main() -> None:
    """Soak, print, and fail when there was a wrong judgement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--busy-loops", type=int, default=BUSY_LOOPS)
    parser.add_argument("--nice", type=int, default=0, help="of the busy loops")
    wanted = parser.parse_args()
    if not soak(wanted.seconds, wanted.busy_loops, wanted.nice):
        raise SystemExit("a healthy switch was told as unfit")


if __name__ == "__main__":
    main()
