"""Simulated lives, recorded as the daemon records them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from zcluster.control.document import Durable, GroupSettings, Settings
from zcluster.control.node import Node
from zcluster.control.timing import PRESETS
from zcluster.recording.beginning import Birth
from zcluster.recording.segments import SegmentWriter
from zcluster.simulator.mix import CLUSTER_LINKS, SERVICE_LINK, Mix, draw
from zcluster.simulator.world import World
from zcluster.supervisor.recorder import Recorder


def at_once(errand: Callable[[], None]) -> bool:
    """A side thread that is always in time."""
    errand()
    return True


def stormy(seed: int) -> Mix:
    """A night of which all but the order of its faults is fixed, whatever else the simulator learns to draw."""
    settings = Settings(
        cluster="recorded",
        expected_nodes=4,
        timing=replace(PRESETS["standard"], timer_a_ms=300),
        groups=tuple(GroupSettings(f"group{n}", (f"10.9.0.{n}",), SERVICE_LINK) for n in (1, 2)),
        cluster_links=CLUSTER_LINKS,
        service_links=(SERVICE_LINK,),
        referenced_links=(SERVICE_LINK,),
    )
    return replace(
        draw(seed, 4),
        settings=settings,
        preset="standard",
        is_calm=False,
        is_founded=seed % 2 == 0,
        loss=0.05,
        late=0.1,
        late_ms=300.0,
        twice=0.05,
        jitter_ms=1.0,
        tick_late_ms=0.2,
        kinds=("partition", "pause", "stall", "kill", "move", "health", "disk-full", "stop"),
        gap_ms=150.0,
        safety_ms=3000.0,
    )


class Archive:
    """Records every life of every node of a simulated world, each in a directory of its own."""

    def __init__(
        self,
        root: Path,
        largest_bytes: int = 1 << 20,
        kept: int = 1000,
        submit: Callable[[Callable[[], None]], bool] = at_once,
        make_node: Callable[..., Node] = Node,
    ) -> None:
        self.root = root
        self.largest_bytes = largest_bytes
        self.kept = kept
        self.submit = submit
        self.make_node = make_node
        self.recorders: list[Recorder] = []
        self.writers: list[SegmentWriter] = []

    def make_core(
        self,
        name: str,
        settings: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[str, bool],
        now_ms: int,
    ) -> Recorder:
        birth = Birth(name, settings, durable, incarnation, macs, links, now_ms, "9.9")
        directory = self.root / f"{name}-{len(self.recorders)}"
        writer = SegmentWriter(directory, self.largest_bytes, self.kept)
        recorder = Recorder(birth.node(self.make_node), birth, writer, self.submit, lambda: 1_700_000_000_000)
        self.recorders.append(recorder)
        self.writers.append(writer)
        return recorder

    def play(self, seed: int) -> None:
        """One seed to its end; it must be a good one."""
        assert self.run(seed) == ""

    def run(self, seed: int) -> str:
        """One seed to its end, and what it broke."""
        outcome = World(stormy(seed), self.make_core).run()
        for recorder in self.recorders:
            recorder.close()
        for writer in self.writers:
            writer.close()
        return outcome.violation

    def segments(self) -> list[Path]:
        return sorted(self.root.glob("*/*.zrec"))
