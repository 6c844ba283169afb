"""The asking side of the control socket for a loop that must not wait: one question, and the lines that come of it.

What must hold: nothing here waits; what is read in one turn and what is kept of an unfinished line is bounded; the
end of the connection is told once everything that came before it was handed over.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

from zcluster.adapters.control_socket import LARGEST_ANSWER_BYTES, mend
from zcluster.errors import ControlSocketError

PIECE_BYTES = 1 << 16
PIECES_A_TURN = 16

Line = Mapping[str, object]


class ControlClient:
    """One connection to the daemon behind `path`, on which `body` was asked. `problem`: why it is over, or ""."""

    def __init__(self, path: Path, body: Mapping[str, object]) -> None:
        """Raises ControlSocketError with the mend when nobody listens there."""
        self.problem = ""
        self._path = path
        self._unfinished = bytearray()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._connection.connect(str(path))
            # A question is far shorter than what the kernel takes at once from a connection that is new.
            self._connection.sendall(json.dumps(body).encode("utf-8") + b"\n")
        except OSError as error:
            self._connection.close()
            raise ControlSocketError(mend(path, error)) from error

    def fileno(self) -> int:
        """Readable when something came, or the other side is gone."""
        return self._connection.fileno()

    def lines(self) -> list[Line]:
        """The lines that are complete now, in their order; `problem` says when there will be no more."""
        found: list[Line] = []
        for _ in range(PIECES_A_TURN):
            if self.problem:
                break
            try:
                piece = self._connection.recv(PIECE_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self.problem = mend(self._path, error)
                break
            if not piece:
                self.problem = f"{self._path}: the daemon closed the connection"
                break
            self._take(piece, found)
        return found

    def _take(self, piece: bytes, found: list[Line]) -> None:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            line = bytes(self._unfinished) + end
            self._unfinished.clear()
            try:
                body = json.loads(line)
            except (ValueError, RecursionError):
                body = None
            if not isinstance(body, dict):
                self.problem = f"{self._path}: what came is no JSON object"
                return
            found.append(body)
        self._unfinished += rest
        if len(self._unfinished) > LARGEST_ANSWER_BYTES:
            self.problem = f"{self._path}: a line longer than {LARGEST_ANSWER_BYTES} bytes"

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
