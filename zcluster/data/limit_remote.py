"""What our switch's mod_hash polls: the other nodes' sessions, told as another FreeSWITCH would tell them.

What must hold: it answers one question and no other; an answer is never empty, because an empty one leaves mod_hash
with what it had. The connection is only closed when mod_hash closes it or breaks the protocol: an end of ours makes
it forget what the others use until it has connected and asked again, two intervals later.

Its configuration on the switch (autoload_configs/hash.conf.xml), without a user name:

    <remote name="zcluster" host="127.0.0.1" port="8022" password="..." interval="250"/>

Source: limit_remote_thread in mod_hash.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking

QUESTION = "hash_dump limit"
REFUSAL = "-ERR only hash_dump limit is answered here\n"


class LimitRemote:
    """Listens on a loopback address. `answer` gives the text; a turn asks it once at most, however many poll."""

    def __init__(self, port: int, password: str, answer: Callable[[], str], host: str = "127.0.0.1") -> None:
        """`port` 0 takes a free one. Raises KernelRefused when it cannot listen there."""
        self.counts: Counter[str] = Counter()
        self._answer = answer
        self._server = EslServer(host, port, password)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    @property
    def clients(self) -> int:
        """How many are connected; without one, the limits of this switch are its own alone."""
        return len(self._server.clients)

    def fileno(self) -> int:
        """A descriptor that is readable whenever `receive` has something to do."""
        return self._server.fileno()

    def deadline(self) -> int | None:
        """When `receive` must be called even if nothing is readable."""
        return self._server.deadline()

    def receive(self, now_ms: int) -> None:
        """Answers what was asked."""
        text = ""
        asked = self._server.receive(now_ms)
        while asked:
            question = asked.pop(0)
            if _is_question(question):
                text = text or self._answer()
                assert text, "an empty answer would leave mod_hash with what it had"
                self.counts["answered"] += 1
                asked += self._server.answer(question.client, text)
            else:
                self.counts["refused"] += 1
                asked += self._refuse(question)

    def close(self) -> None:
        """Closes everything."""
        self._server.close()

    def _refuse(self, question: Asking) -> list[Asking]:
        if isinstance(question, ApiAsked) and not question.job:
            return self._server.answer(question.client, REFUSAL)
        return []


def _is_question(question: Asking) -> bool:
    return (
        isinstance(question, ApiAsked) and not question.job and question.command.split() == QUESTION.split()
    )
