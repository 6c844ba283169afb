"""What a recording costs: on the loop an event, in the side thread an event, on the disk, and for one snapshot.

    python bench/recording.py [--nodes 5] [--seconds 20]

The events are those of one node in a calm simulated cluster at `standard`, each beat followed by its two copies
from the other links, as a daemon with three links sees them.
"""

from __future__ import annotations

import argparse
import gc
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from zcluster.control.actions import Action
from zcluster.control.document import Durable, Settings
from zcluster.control.events import BeatReceived, BeatRepeated, Event
from zcluster.control.node import Node
from zcluster.recording.beginning import Birth, freeze
from zcluster.recording.segments import SegmentWriter
from zcluster.recording.steps import StepWriter
from zcluster.simulator.mix import LINKS, draw
from zcluster.simulator.world import World
from zcluster.supervisor.recorder import STEPS_IN_A_BLOCK, Recorder

ROUNDS = 7
Entry = tuple[Event, int]


class Listening:
    """A core that keeps what it is handed."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self.node = birth.node()
        self.entries: list[Entry] = []

    def deadline(self) -> int:
        return self.node.deadline()

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        self.entries.append((event, now_ms))
        return self.node.handle(event, now_ms)


def life(nodes: int, seconds: int) -> Listening:
    """The first node's life, copies included."""
    heard: list[Listening] = []

    def make_core(
        name: str,
        settings: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[str, bool],
        now_ms: int,
    ) -> Listening:
        heard.append(Listening(Birth(name, settings, durable, incarnation, macs, links, now_ms, "")))
        return heard[-1]

    mix = draw(next(seed for seed in range(1000) if draw(seed, nodes).preset == "standard"), nodes)
    mix = replace(mix, kinds=(), loss=0.0, late=0.0, twice=0.0, safety_ms=1000.0 * seconds, is_calm=False)
    outcome = World(mix, make_core).run()
    assert not outcome.violation, outcome.violation
    one = next(core for core in heard if core.birth.name == "node1")
    copied: list[Entry] = []
    for event, now_ms in one.entries:
        copied.append((event, now_ms))
        if isinstance(event, BeatReceived):
            beat = event.beat
            for link in LINKS:
                if link != event.link:
                    copy = BeatRepeated(beat.node, beat.incarnation, beat.sequence, link)
                    copied.append((copy, now_ms))
    one.entries = copied
    return one


class Still(Node):
    """A core that does nothing, so that only the recording's own cost is left."""

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        return []


def per_event_us(run: Callable[[], object], events: int) -> float:
    began = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - began) / 1000 / events


def main() -> None:
    gc.disable()  # the daemon freezes what lives long; here everything lives as long as the measurement
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    one = life(options.nodes, options.seconds)
    count = len(one.entries)
    node = one.birth.node()
    print(f"{options.nodes} nodes, {count} events ({count / options.seconds:.0f} a second)")
    print(f"core alone        {per_event_us(lambda: drive(node, one.entries), count):6.2f} us an event")
    direct, recorded = [], []
    for _ in range(ROUNDS):
        still = one.birth.node(Still)
        direct.append(per_event_us(lambda core=still: drive(core, one.entries), count))  # type: ignore[misc]
        ear = Recorder(still, one.birth, SegmentWriter(Path("unused")), lambda errand: True, lambda: 0)
        recorded.append(per_event_us(lambda core=ear: drive(core, one.entries), count))  # type: ignore[misc]
    print(f"on the loop       {min(recorded) - min(direct):6.2f} us an event more")
    aside(one, count)
    frozen = freeze(node)
    assert frozen is not None
    took = [per_event_us(lambda: freeze(node), 1) for _ in range(20)]
    print(f"one snapshot      {min(took):6.0f} us on the loop once a segment, {len(frozen)} bytes")


def drive(core: Node | Recorder, entries: list[Entry]) -> None:
    for event, now_ms in entries:
        core.handle(event, now_ms)


def aside(one: Listening, count: int) -> None:
    node = one.birth.node()
    flat: list[object] = []
    for event, now_ms in one.entries:
        flat += (event, now_ms, node.handle(event, now_ms))
    blocks = [flat[at : at + 3 * STEPS_IN_A_BLOCK] for at in range(0, len(flat), 3 * STEPS_IN_A_BLOCK)]
    took, size = [], 0
    for _ in range(ROUNDS):
        writer = StepWriter(one.birth.now_ms, {})
        began = time.perf_counter_ns()
        size = sum(len(zlib.compress(writer.block(block), 1)) for block in blocks)
        took.append((time.perf_counter_ns() - began) / 1000 / count)
    print(f"in the side thread{min(took):6.2f} us an event; {size / count:.1f} bytes an event on the disk")


if __name__ == "__main__":
    main()
