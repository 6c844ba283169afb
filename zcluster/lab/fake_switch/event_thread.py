"""The event system: one thread that hands every event to all who listen, and that can be made to stand still.

What must hold: while it stands still nothing is delivered and nothing is lost, but for what is beyond the queue's
bound; whoever asks by `api` notices nothing. An event reaches a listener up to 20 ms after it was fired, because
mod_event_socket's loop sleeps so long (measured: a pulse takes 20 ms at the median).
"""

from __future__ import annotations

import time
from collections import deque

from zcluster.lab.fake_switch.names import Names
from zcluster.lab.fake_switch.outputs import Fired, Now, Source
from zcluster.lab.fake_switch.rows import Identity
from zcluster.switch.frames import Event

LOOP_MS = 20
QUEUE_EVENTS = 100_000
_SENT = Source("mod_event_socket.c", "parse_command", 2283)


class EventThread:
    """Numbers the events, adds the core's headers, and delivers in its own time."""

    def __init__(self, identity: Identity, host_name: str, names: Names) -> None:
        self.stands_still = False
        self._identity = identity
        self._host_name = host_name
        self._names = names
        self._queue: deque[Event] = deque(maxlen=QUEUE_EVENTS)
        self._sequence = 0
        self._due_ms: int | None = None

    def fire(self, fired: Fired, now: Now) -> None:
        """Queues an event of the switch's own."""
        subclass = {"Event-Subclass": fired.subclass} if fired.subclass else {}
        core = self._core(fired.name, fired.source, now)
        self._push(Event({**subclass, **core, **fired.headers}, fired.body), now)

    def send(self, event: Event, now: Now) -> None:
        """Queues an event that a client has sent, with the switch's headers behind the client's."""
        sent = {
            name: value
            for name, value in event.headers.items()
            if name not in ("Event-Name", "Event-Subclass")
        }
        headers = {
            **({"Event-Subclass": event.subclass} if event.subclass else {}),
            "Command": f"sendevent {event.name}",
            **sent,
            "Event-UUID": self._names.uuid(),
            **self._core(event.name, _SENT, now),
        }
        self._push(Event(headers, event.body), now)

    def deadline(self) -> int | None:
        """When events are due."""
        return None if self.stands_still else self._due_ms

    def take(self, now: Now) -> list[Event]:
        """What is to be delivered now."""
        if self.stands_still or self._due_ms is None or now.mono_ms < self._due_ms:
            return []
        events = list(self._queue)
        self._queue.clear()
        self._due_ms = None
        return events

    def _push(self, event: Event, now: Now) -> None:
        self._queue.append(event)
        if self._due_ms is None:
            self._due_ms = now.mono_ms + LOOP_MS

    def _core(self, name: str, source: Source, now: Now) -> dict[str, str]:
        self._sequence += 1
        instant = time.gmtime(now.wall_s)
        return {
            "Event-Name": name,
            "Core-UUID": self._identity.core_uuid,
            "FreeSWITCH-Hostname": self._host_name,
            "FreeSWITCH-Switchname": self._identity.switchname,
            "FreeSWITCH-IPv4": "127.0.0.1",
            "FreeSWITCH-IPv6": "::1",
            "Event-Date-Local": time.strftime("%Y-%m-%d %H:%M:%S", instant),
            "Event-Date-GMT": time.strftime("%a, %d %b %Y %H:%M:%S GMT", instant),
            "Event-Date-Timestamp": str(now.wall_us),
            "Event-Calling-File": source.file,
            "Event-Calling-Function": source.function,
            "Event-Calling-Line-Number": str(source.line),
            "Event-Sequence": str(self._sequence),
        }
