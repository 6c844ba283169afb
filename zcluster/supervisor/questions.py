"""What may be asked over the control socket, and the answers.

    {"ask": "ping"}                            -> {"ok": true, "node", "version"}
    {"ask": "status"}                          -> the status document (`zcluster.supervisor.status`)
    {"ask": "why", "group": "" or a name}      -> {"schema": "zcluster.why/1", "ok": true, "records": [...]}
    {"ask": "move", "group": ..., "to": ""}    -> {"ok": true or false, "text"}, when the core has answered

What must hold: a question is untrusted and changes nothing by itself: a move is an event for the core. Every
question gets one answer; a move that the core does not answer in time is answered so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.control.actions import AnswerMove
from zcluster.control.events import Event, MoveAsked
from zcluster.supervisor.story import Story

ANSWER_LIMIT_MS = 3000
WHY_SCHEMA = "zcluster.why/1"


class Questions:
    """Reads the control socket and answers. It is a chore of the loop: moves without answer time out."""

    def __init__(
        self,
        socket: ControlSocket,
        story: Story,
        status: Callable[[], Mapping[str, object]],
        node: str,
        incarnation: int,
        version: str,
        clock: Callable[[], int],
    ) -> None:
        self._socket = socket
        self._story = story
        self._status = status
        self._node = node
        self._version = version
        self._prefix = f"{node[:32]}-{incarnation:x}-"
        self._clock = clock
        self._asked = 0
        self._moves: dict[str, tuple[int, int]] = {}

    def receive(self) -> list[Event]:
        """Answer what waits; moves become events."""
        events: list[Event] = []
        for request in self._socket.receive():
            answer = self._answer(request, events)
            if answer is not None:
                self._socket.answer(request.client, answer)
        return events

    def _answer(self, request: Request, events: list[Event]) -> Mapping[str, object] | None:
        body = request.body
        match body.get("ask"):
            case "ping":
                return {"ok": True, "node": self._node, "version": self._version}
            case "status":
                return self._status()
            case "why":
                group = body.get("group") or ""
                if not isinstance(group, str):
                    return _refusal("group is the name of a group, or nothing")
                records = [record.plain() for record in self._story.about(group)]
                return {"schema": WHY_SCHEMA, "ok": True, "node": self._node, "records": records}
            case "move":
                return self._move(request, events)
        return _refusal("ask for ping, status, why or move")

    def _move(self, request: Request, events: list[Event]) -> Mapping[str, object] | None:
        group, target = request.body.get("group"), request.body.get("to") or ""
        if not isinstance(group, str) or not isinstance(target, str):
            return _refusal('a move names a group, and "to" a node or nothing')
        self._asked += 1
        identity = f"{self._prefix}{self._asked}"
        self._moves[identity] = (request.client, self._clock() + ANSWER_LIMIT_MS)
        events.append(MoveAsked(identity, group, target))
        return None

    def answer_move(self, answer: AnswerMove) -> None:
        """The core's word on a move."""
        asked = self._moves.pop(answer.identity, None)
        if asked is not None:
            self._socket.answer(asked[0], {"ok": answer.is_accepted, "text": answer.text})

    def deadline(self) -> int | None:
        """When the oldest move must be answered."""
        return min((limit_ms for _, limit_ms in self._moves.values()), default=None)

    def run(self, now_ms: int) -> Sequence[Event]:
        """Answer the moves that the core has not."""
        for identity, (client, limit_ms) in list(self._moves.items()):
            if limit_ms <= now_ms:
                del self._moves[identity]
                self._socket.answer(
                    client, _refusal("the daemon did not decide in time; see zcluster status")
                )
        return ()


def _refusal(text: str) -> Mapping[str, object]:
    return {"ok": False, "error": text}
