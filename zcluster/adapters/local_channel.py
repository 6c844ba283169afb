"""One end of the packet pair between the control process and the data process.

What must hold: nothing here waits. What cannot be sent now waits in a bounded queue; where the newest state is
all that counts, it replaces the one that waits. Packets of one message leave together, with none between them.
"""

from __future__ import annotations

import socket
from collections import Counter, deque
from collections.abc import Sequence

MOST_WAITING = 256


def pair() -> tuple[LocalChannel, socket.socket]:
    """Our end, and the end to hand to a child. Neither is inherited unless it is named."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return LocalChannel(here), there


class LocalChannel:
    """A SOCK_SEQPACKET socket that is never waited for.

    `is_over`: the other side has closed, or is gone, and everything that it said was received.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._leaving: deque[bytes] = deque()
        self._waiting: dict[str, Sequence[bytes]] = {}
        self._unnamed = 0
        self._is_deaf = False
        self.is_over = False
        self.counts: Counter[str] = Counter()

    def fileno(self) -> int:
        """Readable when something came, or the other side is gone."""
        return self._connection.fileno()

    def waits(self) -> bool:
        """Whether something could not be sent yet: call `flush` again."""
        return bool(self._leaving or self._waiting) and not self._is_deaf

    def send(self, packets: Sequence[bytes], state: str = "") -> None:
        """Send a message's packets, now or later. Of the same `state` the newest alone waits."""
        name = state
        if not name:
            self._unnamed += 1
            name = f"#{self._unnamed}"
        self._waiting.pop(name, None)
        if len(self._waiting) >= MOST_WAITING:
            self.counts["unsent"] += 1
            return
        self._waiting[name] = packets
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the other side takes it."""
        while self.waits():
            if not self._leaving:
                self._leaving.extend(self._waiting.pop(next(iter(self._waiting))))
            try:
                self._connection.send(self._leaving[0], socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._is_deaf = True
                return
            self._leaving.popleft()

    def receive(self, largest_bytes: int, most: int) -> list[bytes]:
        """The packets that came, in their order; one longer than `largest_bytes` is cut."""
        found: list[bytes] = []
        while len(found) < most and not self.is_over:
            try:
                packet = self._connection.recv(largest_bytes)
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionResetError:
                continue  # told once, where the other side closed without reading all; its last words follow
            except OSError:
                packet = b""
            if not packet:
                self.is_over = True
                break
            found.append(packet)
        return found

    def close(self) -> None:
        """Give the descriptor back."""
        self.is_over = self._is_deaf = True
        self._connection.close()
