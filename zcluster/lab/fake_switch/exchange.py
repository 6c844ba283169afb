"""The exchange of requests and responses: who waits for what answer, and what was answered.

What must hold: every request but ACK is sent again until it is answered or given up; every request that comes again
gets the same answer again; a final answer to an INVITE is acknowledged as often as it comes. No sockets, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from zcluster.lab.fake_switch.message import Request, Response, write
from zcluster.lab.fake_switch.outputs import Datagram, Now
from zcluster.lab.fake_switch.settings import Place
from zcluster.lab.fake_switch.transactions import Answered, Resendings


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request of ours that is out. `leg`: the call leg it belongs to."""

    leg: str
    profile: str
    peer: Place
    request: Request


@dataclass(frozen=True, slots=True)
class GivenUp:
    """This request got no answer; or (without one) nobody acknowledged our answer on that leg."""

    leg: str
    request: Request | None


class Exchange:
    """All transactions of one switch; what is to be sent gathers in `out`."""

    def __init__(self) -> None:
        self.out: list[Datagram] = []
        self._resendings = Resendings()
        self._answered = Answered()
        self._acknowledged = Answered()
        self._waiting: dict[str, Waiting] = {}

    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        return self._resendings.deadline()

    def advance(self, now: Now) -> list[GivenUp]:
        """Sends again what is due; what is given up."""
        again, lost = self._resendings.advance(now.mono_ms)
        self.out += again
        ended = []
        for key in lost:
            waiting = self._waiting.pop(key, None)
            ended.append(GivenUp(waiting.leg, waiting.request) if waiting else GivenUp(key, None))
        return ended

    def send(self, waiting: Waiting, now: Now) -> None:
        """Sends a request and waits for its answer."""
        datagram = Datagram(waiting.profile, waiting.peer, write(waiting.request))
        self.out.append(datagram)
        key = _key(waiting.request.branch, waiting.request.method)
        self._waiting[key] = waiting
        self._resendings.add(key, datagram, now.mono_ms, waiting.request.method == "INVITE")

    def undeliverable(self, message: Request | Response) -> GivenUp | None:
        """The kernel refused to send this: its transaction ends at once, and nothing of it is sent later.

        As sofia-sip does it: behind a closed gate a BYE is not kept for when the gate opens.
        """
        if isinstance(message, Response):
            return None
        key = _key(message.branch, message.method)
        self._resendings.remove(key)
        waiting = self._waiting.pop(key, None)
        return GivenUp(waiting.leg, waiting.request) if waiting else None

    def answered_by(self, response: Response) -> Waiting | None:
        """The request that this answers, None for none; a final answer ends its wait.

        A provisional answer to an INVITE ends the sending again, as any does.
        """
        branch, method = response.branch, response.cseq[1]
        key = _key(branch, method)
        waiting = self._waiting.get(key)
        if waiting is None:
            if response.status >= 200 and (again := self._acknowledged.get(branch, method)):
                self.out.append(again)
            return None
        if response.status >= 200 or method == "INVITE":
            self._resendings.remove(key)
        if response.status >= 200:
            del self._waiting[key]
        return waiting

    def acknowledge(self, waiting: Waiting, peer: Place, ack: Request) -> None:
        """Sends the ACK of an INVITE's final answer, and again whenever that comes again."""
        datagram = Datagram(waiting.profile, peer, write(ack))
        self.out.append(datagram)
        self._acknowledged.keep(waiting.request.branch, "INVITE", datagram)

    def respond(self, profile: str, peer: Place, request: Request, response: Response) -> Datagram:
        """Answers a request, now and whenever it comes again."""
        datagram = Datagram(profile, peer, write(response))
        self.out.append(datagram)
        self._answered.keep(request.branch, request.method, datagram)
        return datagram

    def answers_again(self, request: Request) -> bool:
        """Whether the request came before; then its answer has been sent again."""
        again = self._answered.get(request.branch, request.method)
        if again is not None:
            self.out.append(again)
        return again is not None

    def repeat_until_acknowledged(self, leg: str, datagram: Datagram, now: Now) -> None:
        """A 2xx to an INVITE is sent again until the leg's ACK comes."""
        self._resendings.add(leg, datagram, now.mono_ms, is_invite=False)

    def acknowledged(self, leg: str) -> None:
        """The ACK has come."""
        self._resendings.remove(leg)


def _key(branch: str, method: str) -> str:
    # A CANCEL has the branch of its INVITE.
    return f"{branch} {method}"
