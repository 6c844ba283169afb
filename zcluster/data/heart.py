"""The two cores of the data process as one: streams and telephony, each hears what the other does.

What must hold: actions are performed in their order, and what moves addresses before anything else; an event is
handed to the telephony core before what the streams made of it, and the streams know of a group before its records
are written; nothing here reads a socket.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

from zcluster.errors import BadMessage
from zcluster.streams import actions as streams
from zcluster.streams import events as heard
from zcluster.streams.messages import Message
from zcluster.streams.replicator import Replicator
from zcluster.telephony import actions as telephony
from zcluster.telephony import events
from zcluster.telephony.events import Event, Moment
from zcluster.telephony.part import Part
from zcluster.wire.stream_codec import decode, encode

LARGEST_QUEUE = 200_000
CoreDbWish = telephony.LoadRows | telephony.DropRows | telephony.DropForeignRows


class Hands(Protocol):
    """What the cores' actions are done with."""

    def run(self, action: telephony.Run, now_ms: int) -> Sequence[Event]:
        """Give the switch a command; what is known at once."""

    def send_pulse(self, now_ms: int) -> None:
        """Send a pulse through the switch."""

    def submit(self, wish: CoreDbWish) -> None:
        """Have the switch's table changed."""

    def publish(self, stream: str, body: bytes) -> None:
        """Send to all nodes."""

    def send(self, node: str, body: bytes) -> None:
        """Send to one node."""

    def tell_health(self, subject: str, problem: str) -> None:
        """For the control process, at once."""

    def tell(self, told: streams.Tell | telephony.Tell) -> None:
        """For the journal."""

    def copies_changed(self) -> None:
        """A copy became complete, or is no longer."""


class Heart:
    """Takes events, performs what comes of them. `clock` gives both clocks."""

    def __init__(
        self, replicator: Replicator, parts: Part, hands: Hands, clock: Callable[[], Moment]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._replicator = replicator
        self._parts = parts
        self._hands = hands
        self._clock = clock
        self._queue: deque[Event] = deque()

    def deadline(self) -> int:
        """When `tick` is due, in monotonic milliseconds."""
        due_ms = self._parts.deadline()
        streams_ms = self._replicator.deadline()
        return streams_ms if due_ms is None else min(due_ms, streams_ms)

    def tick(self, are_all_read: bool) -> None:
        """What time makes due. The streams' time is told when everything that came has been read."""
        now = self._clock()
        due_ms = self._parts.deadline()
        if due_ms is not None and due_ms <= now.mono_ms:
            self.take(events.Tick())
        if are_all_read and self._replicator.deadline() <= now.mono_ms:
            self._stream(heard.Tick(), now)
            self._work()

    def take(self, event: Event) -> None:
        """Something happened to the telephony of this node."""
        self._queue.append(event)
        self._work()

    def take_peer(self, event: heard.PeerFailed | heard.PeerHeard | heard.PathChanged) -> None:
        """Something happened to a peer."""
        self._stream(event, self._clock())
        self._work()

    def take_body(self, sender: str, body: bytes) -> None:
        """A message of an authenticated node; a bad one is counted and dropped."""
        try:
            message: Message = decode(body)
        except BadMessage as problem:
            self.counts[problem.kind] += 1
            return
        self._stream(heard.MessageReceived(message, sender), self._clock())
        self._work()

    def _work(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            now = self._clock()
            made: list[streams.Action] = []
            if isinstance(event, events.GroupWon):
                made = self._replicator.handle(heard.GroupWon(event.group, event.counter), now.mono_ms)
            for action in self._parts.handle(event, now):
                self._perform(action, now)
            if isinstance(event, events.GroupLost):
                made = self._replicator.handle(heard.GroupLost(event.group), now.mono_ms)
            for each in made:
                self._perform_stream(each)
            assert len(self._queue) <= LARGEST_QUEUE, "actions beget events without end"

    def _perform(self, action: telephony.Action, now: Moment) -> None:
        match action:
            case telephony.SwitchHealth(subject, problem):
                self._hands.tell_health(subject, problem)
            case telephony.Run():
                self._queue.extend(self._hands.run(action, now.mono_ms))
            case telephony.SendPulse():
                self._hands.send_pulse(now.mono_ms)
            case telephony.ChangeRecords(name, changes):
                self._stream(heard.RecordsChanged(name, changes), now)
            case telephony.StreamIsWhole(name):
                self._stream(heard.StreamLoaded(name), now)
            case telephony.LoadRows() | telephony.DropRows() | telephony.DropForeignRows():
                self._hands.submit(action)
            case telephony.Tell():
                self._hands.tell(action)

    def _stream(self, event: heard.Event, now: Moment) -> None:
        for action in self._replicator.handle(event, now.mono_ms):
            self._perform_stream(action)

    def _perform_stream(self, action: streams.Action) -> None:
        match action:
            case streams.Publish(message):
                self._hands.publish(message.stream.name, encode(message))
            case streams.Send(node, message):
                self._hands.send(node, encode(message))
            case streams.CopyCompleted():
                self._hands.copies_changed()
                self._queue.append(action)
            case streams.Replicated() | streams.GroupAdopted():
                self._queue.append(action)
            case streams.Tell():
                self._hands.tell(action)
