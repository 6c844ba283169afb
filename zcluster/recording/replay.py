"""A recording played again: the same core, handed the same inputs, must decide the same.

What must hold: nothing is skipped. The first step whose answer has another digest is reported as such; what comes
after it would follow from a different node and proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zcluster.control.actions import Action
from zcluster.control.events import Event
from zcluster.control.node import Node
from zcluster.errors import RecordingError
from zcluster.recording.beginning import thaw, unpack_birth
from zcluster.recording.digest import Digester, kinds
from zcluster.recording.segments import BIRTH, HEADER, NODE, STEPS, read_frames
from zcluster.recording.steps import StepReader, known_reports
from zcluster.recording.values import unpack


class Header(NamedTuple):
    """What a segment says of itself. `wall_ms` (since 1970) and `now_ms` are one instant on two clocks."""

    node: str
    version: str
    wall_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Played:
    """One step played again. `difference` is "" where the core decided as recorded."""

    number: int
    now_ms: int
    event: Event
    actions: Sequence[Action]
    difference: str = ""


class Replay:
    """One segment. `node` is the core as it stands after the steps played so far."""

    def __init__(self, path: Path, make_node: Callable[..., Node] = Node) -> None:
        frames = read_frames(path)
        first, second = next(frames, None), next(frames, None)
        if first is None or first.kind != HEADER or second is None:
            raise RecordingError(f"{path} ends before it begins")
        self.header = _header(path, first.payload)
        self.begins_with_birth = second.kind == BIRTH
        if second.kind == BIRTH:
            self.node = unpack_birth(second.payload).node(make_node)
        elif second.kind == NODE:
            self.node = thaw(second.payload)
        else:
            raise RecordingError(f"{path} begins neither with a birth nor with a node")
        self._frames = frames
        self._reader = StepReader(self.header.now_ms, known_reports(self.node))
        self._digester = Digester()

    def wall_ms(self, now_ms: int) -> int:
        """The wall-clock time of a time of the core, as the clock went when the segment began."""
        return self.header.wall_ms + now_ms - self.header.now_ms

    def play(self) -> Iterator[Played]:
        """Every step, ending with the first difference; RecordingError."""
        number = 0
        for frame in self._frames:
            if frame.kind != STEPS:
                continue
            for step in self._reader.steps(frame.payload):
                number += 1
                try:
                    actions = self.node.handle(step.event, step.now_ms)
                except Exception as error:
                    # The core's own defect is part of what was recorded.
                    raised = "" if step.did_raise else f"the core raised {error!r}, which it did not before"
                    yield Played(number, step.now_ms, step.event, (), raised)
                    return
                difference = self._difference(step.digest, step.kinds, step.did_raise, actions)
                yield Played(number, step.now_ms, step.event, actions, difference)
                if difference:
                    return

    def _difference(self, digest: int, recorded: str, did_raise: bool, actions: Sequence[Action]) -> str:
        found = kinds(actions)
        if did_raise:
            return f"the recorded core raised an error here; this one decided [{found}]"
        if found != recorded:
            return f"recorded [{recorded}], now [{found}]"
        if actions and self._digester.digest(actions) != digest:
            return f"the same kinds of actions [{found}] with other contents"
        return ""


def _header(path: Path, payload: bytes) -> Header:
    try:
        return Header(*unpack(payload))
    except TypeError as error:
        raise RecordingError(f"{path}: its header is malformed") from error
