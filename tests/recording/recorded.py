"""Simulated lives, recorded as the daemon records them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from zcluster.control.document import Durable, Settings
from zcluster.control.node import Node
from zcluster.recording.beginning import Birth
from zcluster.recording.segments import SegmentWriter
from zcluster.simulator.mix import draw
from zcluster.simulator.world import World
from zcluster.supervisor.recorder import Recorder


def at_once(errand: Callable[[], None]) -> bool:
    """A side thread that is always in time."""
    errand()
    return True


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

    def play(self, seed: int, nodes: int | None = None) -> None:
        """One seed to its end; it must be a good one."""
        assert self.run(seed, nodes) == ""

    def run(self, seed: int, nodes: int | None = None) -> str:
        """One seed to its end, and what it broke."""
        outcome = World(draw(seed, nodes), self.make_core).run()
        for recorder in self.recorders:
            recorder.close()
        for writer in self.writers:
            writer.close()
        return outcome.violation

    def segments(self) -> list[Path]:
        return sorted(self.root.glob("*/*.zrec"))
