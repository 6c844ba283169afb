"""The core with an ear: every event that goes in and what came out, for `zcluster replay`.

What must hold: the loop pays three appends an event and, once a segment, for one pickle of the node; encoding,
digests and the disk are the side thread's. Where that cannot keep up or the disk refuses, a gap is counted and
the recording goes on with a new segment, which begins with the node as it is then. The core never notices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from zcluster.control.actions import Action
from zcluster.control.events import Event
from zcluster.control.node import Node
from zcluster.errors import StateFileError
from zcluster.recording.beginning import Birth, freeze, pack_birth
from zcluster.recording.replay import Header
from zcluster.recording.segments import BIRTH, HEADER, NODE, STEPS, Frame, SegmentWriter
from zcluster.recording.steps import StepWriter, known_reports
from zcluster.recording.values import pack

STEPS_IN_A_BLOCK = 256
BLOCK_MS = 500
PAUSE_MS = 10_000
"""After the disk refused: so long until the next try."""

DIRECTORY_NAME = "recording"

Errand = Callable[[], None]


class Recorder:
    """Stands in the core's place before the loop. `submit` hands work to the side thread."""

    def __init__(
        self,
        node: Node,
        birth: Birth,
        writer: SegmentWriter,
        submit: Callable[[Errand], bool],
        wall_clock: Callable[[], int],
    ) -> None:
        self._node = node
        self._writer = writer
        self._submit = submit
        self._wall_clock = wall_clock
        self._entries: list[object] = []
        self._now_ms = self._began_ms = birth.now_ms
        self._due_ms = birth.now_ms + BLOCK_MS
        self._steps: StepWriter | None = None
        self._wants_segment = False
        self._resume_ms = birth.now_ms
        self.counts: Counter[str] = Counter()
        self._begin(Frame(BIRTH, pack_birth(birth)))

    def deadline(self) -> int:
        """The core's."""
        return self._node.deadline()

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """The core's, written down before and after."""
        entries = self._entries
        entries.append(event)
        entries.append(now_ms)
        actions = self._node.handle(event, now_ms)
        entries.append(actions)
        if now_ms >= self._due_ms or len(entries) >= 3 * STEPS_IN_A_BLOCK:
            self._now_ms = now_ms
            self._due_ms = now_ms + BLOCK_MS
            self._hand_over()
        return actions

    def close(self) -> None:
        """Hand over what is there, also of a step in which the core raised."""
        self._hand_over()
        self._submit(self._end)

    def _end(self) -> None:
        self._writer.close()

    def _hand_over(self) -> None:
        entries, self._entries = self._entries, []
        if self._steps is not None and entries:
            self._write_steps(self._steps, entries)
        if self._wants_segment and self._now_ms >= self._resume_ms:
            frozen = freeze(self._node)
            if frozen is not None:
                self._begin(Frame(NODE, frozen))

    def _begin(self, first: Frame) -> None:
        situation = self._node.situation
        header = Header(situation.name, self._node.version, self._wall_clock(), self._now_ms)
        self._wants_segment = False
        steps = StepWriter(self._now_ms, known_reports(self._node))

        def write() -> None:
            self._try(lambda: self._writer.begin(Frame(HEADER, pack(list(header))), first))

        if self._submit(write):
            self._steps = steps
            self.counts["segments"] += 1
        else:
            self._miss()

    def _write_steps(self, steps: StepWriter, entries: list[object]) -> None:
        def write() -> None:
            def append() -> None:
                if not self._writer.append(Frame(STEPS, steps.block(entries))):
                    self._wants_segment = True

            self._try(append)

        if not self._submit(write):
            self._miss()

    def _miss(self) -> None:
        """The side thread is behind: what comes until the next segment is not recorded."""
        self.counts["gaps"] += 1
        self._steps = None
        self._wants_segment = True

    def _try(self, work: Callable[[], None]) -> None:
        """In the side thread: a disk that refuses ends the segment."""
        try:
            work()
        except StateFileError:
            self.counts["failed"] += 1
            self._resume_ms = self._now_ms + PAUSE_MS
            self._wants_segment = True
