"""What may be asked over the control socket, and the answers.

    {"ask": "ping"}                            -> {"ok": true, "node", "version"}
    {"ask": "status"}                          -> the status document (`zcluster.supervisor.status`)
    {"ask": "why", "group": "" or a name}      -> {"schema": "zcluster.why/1", "ok": true, "records": [...]}
    {"ask": "move", "group": ..., "to": ""}    -> {"ok": true or false, "text"}, when the core has answered
    {"ask": "pin", "group": ..., "to": ...}    -> the same; "to" of "" ends the pin
    {"ask": "roster", "verb": "add" | "remove" | "force", "names": [...]}    -> the same
    {"ask": "freeze", "reason": ..., "who": ..., "for_ms": 0 or more}    -> the same
    {"ask": "thaw", "who": ...}                -> the same
    {"ask": "follow", "from": ...}             -> a line, and then each record of the story (`.following`)
    {"ask": "restart"}                         -> the same as a move, and then the daemon ends for its next life

What must hold: a question is untrusted and changes nothing by itself: a wish is an event for the core. Every
question gets one answer; a wish that the core does not answer in time is answered so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.control.actions import AnswerWish
from zcluster.control.events import (
    Event,
    FreezeAsked,
    MoveAsked,
    PinAsked,
    RestartAsked,
    RosterAsked,
    ThawAsked,
)
from zcluster.control.frozen import LONGEST_MS, reason_fault
from zcluster.supervisor.chronicle import wall_ms
from zcluster.supervisor.following import Following
from zcluster.supervisor.story import Story

ANSWER_LIMIT_MS = 3000
# A change of the document is given ten seconds by the council; its own answer comes before this one.
AGREEMENT_LIMIT_MS = 12_000
LARGEST_NAMES = 64
LARGEST_NAME_CHARACTERS = 63
ROSTER_VERBS = ("add", "remove", "force")
WHY_SCHEMA = "zcluster.why/1"


class Questions:
    """Reads the control socket and answers. It is a chore of the loop: wishes without answer time out."""

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
        self.following = Following(socket, story, node, incarnation, clock)
        self._socket = socket
        self._story = story
        self._status = status
        self._node = node
        self._version = version
        self._prefix = f"{node[:32]}-{incarnation:x}-"
        self._clock = clock
        self._asked = 0
        self._wishes: dict[str, tuple[int, int]] = {}

    def receive(self) -> list[Event]:
        """Answer what waits; wishes become events."""
        events: list[Event] = []
        for request in self._socket.receive():
            answer = self._answer(request, events)
            if answer is not None:
                self._socket.answer(request.client, answer)
        self.following.resume()
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
            case "follow":
                return self.following.follow(request)
            case "move":
                group, target = body.get("group"), body.get("to") or ""
                if not isinstance(group, str) or not isinstance(target, str):
                    return _refusal('a move names a group, and "to" a node or nothing')
                events.append(MoveAsked(self._wish(request, ANSWER_LIMIT_MS), group, target))
                return None
            case "pin":
                group, target = body.get("group"), body.get("to")
                if not isinstance(group, str) or not isinstance(target, str):
                    return _refusal('a pin names a group, and "to" a node, or "" to end it')
                events.append(PinAsked(self._wish(request, AGREEMENT_LIMIT_MS), group, target))
                return None
            case "roster":
                verb, names = body.get("verb"), _names(body.get("names"))
                if not isinstance(verb, str) or verb not in ROSTER_VERBS or not names:
                    return _refusal('a roster wish has a "verb" (add, remove or force) and "names" of nodes')
                events.append(RosterAsked(self._wish(request, AGREEMENT_LIMIT_MS), verb, names))
                return None
            case "freeze":
                reason, who, for_ms = body.get("reason"), body.get("who"), body.get("for_ms", 0)
                if not isinstance(reason, str) or not isinstance(who, str):
                    return _refusal('a freeze has a "reason" and a "who"')
                if type(for_ms) is not int or not 0 <= for_ms <= LONGEST_MS:
                    return _refusal(
                        '"for_ms" is a number of milliseconds, at most thirty days, or 0 for no end'
                    )
                if fault := reason_fault(reason):
                    return _refusal(fault)
                now_ms = wall_ms()
                identity = self._wish(request, AGREEMENT_LIMIT_MS)
                events.append(FreezeAsked(identity, who, reason, now_ms, now_ms + for_ms if for_ms else 0))
                return None
            case "thaw":
                who = body.get("who")
                if not isinstance(who, str):
                    return _refusal('a thaw has a "who"')
                events.append(ThawAsked(self._wish(request, AGREEMENT_LIMIT_MS), who))
                return None
            case "restart":
                events.append(RestartAsked(self._wish(request, ANSWER_LIMIT_MS)))
                return None
        return _refusal("ask for ping, status, why, follow, move, pin, roster, freeze, thaw or restart")

    def _wish(self, request: Request, limit_ms: int) -> str:
        """Remember who asked; the identity under which the core will answer."""
        self._asked += 1
        identity = f"{self._prefix}{self._asked}"
        self._wishes[identity] = (request.client, self._clock() + limit_ms)
        return identity

    def answer_wish(self, answer: AnswerWish) -> None:
        """The core's word on a wish."""
        asked = self._wishes.pop(answer.identity, None)
        if asked is not None:
            self._socket.answer(asked[0], {"ok": answer.is_accepted, "text": answer.text})

    def deadline(self) -> int | None:
        """When the first wish must be answered."""
        return min((limit_ms for _, limit_ms in self._wishes.values()), default=None)

    def run(self, now_ms: int) -> Sequence[Event]:
        """Answer the wishes that the core has not."""
        for identity, (client, limit_ms) in list(self._wishes.items()):
            if limit_ms <= now_ms:
                del self._wishes[identity]
                self._socket.answer(
                    client, _refusal("the daemon did not decide in time; see zcluster status")
                )
        return ()


def _names(value: object) -> tuple[str, ...]:
    """The names of nodes in a request; none when it holds anything else."""
    if not isinstance(value, list) or len(value) > LARGEST_NAMES:
        return ()
    if any(not isinstance(name, str) or not 0 < len(name) <= LARGEST_NAME_CHARACTERS for name in value):
        return ()
    return tuple(dict.fromkeys(value))


def _refusal(text: str) -> Mapping[str, object]:
    return {"ok": False, "error": text}
