"""Who may connect to the bus: libzmq asks here by the ZAP protocol (ZeroMQ RFC 27).

What must hold: a connection is admitted only with one of the public keys handed in. The questions are
answered by the loop that drains the bus, without a thread; until it does, a newcomer waits.
"""

from __future__ import annotations

from collections.abc import Collection

import zmq
from zmq.utils import z85

ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"
DOMAIN = b"zcluster"
QUESTION_FRAMES = 7
QUESTIONS_A_DRAIN = 64


# As plain numbers: combining with an enumeration's member costs as much as the question itself.
_READABLE = int(zmq.POLLIN)


def is_readable(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message waits: cheaper than the exception of receiving from an empty socket."""
    return bool(int(socket.get(zmq.EVENTS)) & _READABLE)


class Admission:
    """Answers the ZAP questions of one context. Make it before the first socket that needs it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], admitted: Collection[bytes]) -> None:
        """`admitted`: public keys in Z85."""
        self._admitted = frozenset(z85.decode(key) for key in admitted)
        self.refused = 0
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)

    def answer(self) -> None:
        """Answers what waits, at most QUESTIONS_A_DRAIN."""
        for _ in range(QUESTIONS_A_DRAIN):
            if not is_readable(self.socket):
                return
            self.socket.send_multipart(self._answer(self.socket.recv_multipart()))

    def _answer(self, question: list[bytes]) -> list[bytes]:
        request = question[1] if len(question) > 1 else b""
        if self._is_admitted(question):
            return [VERSION, request, b"200", b"OK", b"", b""]
        self.refused += 1
        return [VERSION, request, b"400", b"not a key of this cluster", b"", b""]

    def _is_admitted(self, question: list[bytes]) -> bool:
        if len(question) != QUESTION_FRAMES:
            return False
        version, _request, domain, _address, _identity, mechanism, key = question
        return (version, domain, mechanism) == (VERSION, DOMAIN, b"CURVE") and key in self._admitted

    def close(self) -> None:
        """Ends answering: nobody new is admitted."""
        self.socket.close()
