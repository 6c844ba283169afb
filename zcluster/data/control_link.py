"""The data process's end of the pair to the control process.

What must hold: what moves addresses leaves at once; of a state that waits the newest alone leaves. When the other
end closes, this process is over: the control process that started it is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from zcluster.adapters.local_channel import LocalChannel
from zcluster.errors import BadMessage
from zcluster.wire.local_link import (
    FIGURES_MS,
    LARGEST_PACKET_BYTES,
    Completeness,
    Figures,
    Groups,
    Health,
    PacketReader,
    Peers,
    Stop,
    SwitchIdentity,
    Told,
    packets,
)

BATCH_PACKETS = 64
FLUSH_MS = 10
LARGEST_TOLD_A_SECOND = 40


class ControlLink:
    """A source of the loop. `figures` is asked every FIGURES_MS."""

    def __init__(
        self,
        channel: LocalChannel,
        take_peers: Callable[[Peers], None],
        take_groups: Callable[[Groups], None],
        figures: Callable[[], Mapping[str, int]],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.is_stopped = False
        self._channel = channel
        self._reader = PacketReader()
        self._take_peers = take_peers
        self._take_groups = take_groups
        self._figures = figures
        self._figures_ms = 0
        self._told_left = LARGEST_TOLD_A_SECOND
        self._completeness: Completeness | None = None

    @property
    def is_over(self) -> bool:
        """Whether this process is to end."""
        return self.is_stopped or self._channel.is_over

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self._channel.fileno(),)

    def deadline(self) -> int | None:
        """When something is due to be said."""
        return self._figures_ms

    def turn(self, now_ms: int) -> None:
        """Hear, and say what is due."""
        for packet in self._channel.receive(LARGEST_PACKET_BYTES + 1, BATCH_PACKETS):
            try:
                message = self._reader.read(packet)
            except BadMessage:
                self.counts["malformed"] += 1
                continue
            match message:
                case Peers():
                    self._take_peers(message)
                case Groups():
                    self._take_groups(message)
                case Stop():
                    self.is_stopped = True
                case Health() | Completeness() | Told() | Figures() | SwitchIdentity():
                    self.counts["not for us"] += 1
                case None:
                    pass
        if now_ms >= self._figures_ms:
            self._figures_ms = now_ms + FIGURES_MS
            self._told_left = LARGEST_TOLD_A_SECOND
            self._channel.send(packets(Figures(self._figures())), "figures")
        self._channel.flush()

    def tell_health(self, subject: str, problem: str) -> None:
        """At once."""
        self._channel.send(packets(Health(subject, problem)), f"health {subject}")

    def tell_completeness(self, completeness: Completeness) -> None:
        """Where it changed."""
        if completeness != self._completeness:
            self._completeness = completeness
            self._channel.send(packets(completeness), "completeness")

    def tell_identity(self, build: str, switchname: str) -> None:
        """What the switch is, at each of its openings."""
        self._channel.send(packets(SwitchIdentity(build, switchname)), "identity")

    def tell(self, level: str, code: str, text: str, facts: Mapping[str, object]) -> None:
        """A bounded number in each second."""
        if self._told_left <= 0:
            self.counts["untold"] += 1
            return
        self._told_left -= 1
        self._channel.send(packets(Told(level, code, text, facts)))  # type: ignore[arg-type]

    def close(self) -> None:
        """Close our end."""
        self._channel.close()
