"""What one REGISTER and one batch of replicated registrations cost the telephony core, and what a record weighs.

Run it with `python -m bench.registrations` (half a minute). Only the pure part: no socket and no switch. Processor
time of one core, so that a busy machine does not change it. The table is a real one of the streams.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from time import process_time

from rich.console import Console
from rich.table import Table as Page

from zcluster.streams.actions import Replicated
from zcluster.streams.limits import StreamLimits
from zcluster.streams.tables import Entry, Peers, Tables
from zcluster.streams.units import REGISTRATIONS, Key, StreamId
from zcluster.streams.writer import Writer
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, ChangeRecords, Run
from zcluster.telephony.events import Answered, Event, GroupWon, Happened, Moment, SwitchOpened, Tick
from zcluster.telephony.registrations import Registrations
from zcluster.telephony.settings import GroupSettings, TelephonySettings

GROUPS = (
    GroupSettings("east", ("east",), ("10.77.0.100",)),
    GroupSettings("west", ("west",), ("10.77.0.200",)),
)
WALL_MS = 1_790_000_000_000
BATCH = 128
TURN_MS = 40


class Node:
    """A part with real tables; what it changes is applied before the next event, as the shell does."""

    def __init__(self, group: str) -> None:
        own = Writer(StreamId("a", 1, REGISTRATIONS), bytes(32), StreamLimits())
        self.tables = Tables(own, Peers(incarnations={"a": 1, "b": 1}))
        self.part = Registrations(TelephonySettings("a", GROUPS), self)
        self.mono_ms = 0
        self.orders = 0
        self.do(GroupWon(group, 1))
        self.do(SwitchOpened("core", "1.11", "fs-a", True))

    def entries(self, name: str) -> Iterator[Entry]:
        return self.tables.entries()

    def get(self, name: str, key: Key) -> Entry | None:
        return self.tables.get(key)

    def bucket(self, name: str, place: int) -> list[Entry]:
        return self.tables.bucket(place)

    def do(self, event: Event) -> None:
        self.perform(self.part.handle(event, Moment(self.mono_ms, WALL_MS)))

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case ChangeRecords(_, changes):
                    for key, body in changes:
                        if body is None:
                            self.tables.own.delete(key, self.mono_ms)
                        else:
                            self.tables.own.put(key, body, self.mono_ms)
                case Run(purpose):
                    self.orders += 1
                    self.do(Answered(purpose, ""))


def registered(number: int) -> SwitchEvent:
    """A sofia::register, as large as a real one."""
    user, ip = str(100_000 + number), f"10.{number % 250}.{number // 250 % 250}.7"
    return SwitchEvent(
        {
            "Event-Name": "CUSTOM",
            "Event-Subclass": "sofia::register",
            "profile-name": "east",
            "from-user": user,
            "from-host": "pbx.example.com",
            "presence-hosts": "n/a",
            "contact": f'"{user}" <sip:{user}@{ip}:5060;line=8f2a91c0d7e6b5a4>',
            "call-id": f"{number:016x}-4d2e-9f81@{ip}",
            "rpid": "unknown",
            "status": "Registered(UDP)",
            "expires": "3600",
            "to-user": user,
            "to-host": "pbx.example.com",
            "network-ip": ip,
            "network-port": "5060",
            "username": user,
            "realm": "pbx.example.com",
            "user-agent": "Yealink SIP-T46S 66.86.0.15",
        }
    )


def own_events(count: int) -> tuple[float, float, float]:
    """Microseconds of a first REGISTER and of a refresh, and the mean bytes of a record with its key."""
    node = Node("east")
    seconds = []
    for _ in range(2):
        begin = process_time()
        for number in range(count):
            node.do(Happened(registered(number)))
        seconds.append((process_time() - begin) / count * 1e6)
    entries = list(node.tables.entries())
    size = sum(len(entry.key) + len(entry.record) for entry in entries) / len(entries)
    return seconds[0], seconds[1], size


def batches(count: int) -> tuple[float, float]:
    """Microseconds of `handle` for a batch of 128 records of another node, and of each order that it leads to."""
    source = Node("east")
    node = Node("west")
    spent = 0.0
    for first in range(0, count, BATCH):
        changes: list[bytes | None] = []
        for number in range(first, first + BATCH):
            source.do(Happened(registered(number)))
        for entry in list(source.tables.entries()):
            changes += (entry.key, entry.record)
            # Readable to the other node as what it has itself: only the cost of looking it up matters here.
            node.tables.own.put_record(entry.key, entry.record, 0)
            source.tables.own.delete(entry.key, 0)
        begin = process_time()
        node.do(Replicated(StreamId("b", 1, REGISTRATIONS), tuple(changes)))
        spent += process_time() - begin
    begin, orders = process_time(), node.orders
    last_ms = node.mono_ms + count * TURN_MS
    while node.orders - orders < count and node.mono_ms < last_ms:
        node.mono_ms += TURN_MS
        node.do(Tick())
    turns = process_time() - begin
    return spent / (count / BATCH) * 1e6, turns / max(1, node.orders - orders) * 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    count = parser.parse_args().records
    first, again, size = own_events(count)
    batch, order = batches(min(count, 20_000) // BATCH * BATCH)
    page = Page(title=f"registrations, {count} records")
    page.add_column("what")
    page.add_column("figure", justify="right")
    page.add_row("sofia::register, first (with event made, record stored)", f"{first:.1f} us")
    page.add_row("sofia::register, refresh", f"{again:.1f} us")
    page.add_row("key and record", f"{size:.0f} B")
    page.add_row(f"Replicated, {BATCH} records", f"{batch:.0f} us")
    page.add_row("one order to the switch, written and answered", f"{order:.1f} us")
    Console().print(page)


if __name__ == "__main__":
    main()
