"""The bus for tools: what happens, published as it comes, and a snapshot or what was missed, on a question.

    zc1.event.<node>        each record once, of the node where it happened
    zc1.status.<node>       the newest status of this node's daemon, about once a second and after changes
    zc1.heartbeat.<node>    once a second, with the newest number: who misses the last event learns it from here

The pattern is Clone of the ZeroMQ Guide, chapter 5: PUB for what is new, a ROUTER beside it for what came before.

What must hold: readers change nothing, for only questions are known (`bus_questions`); a subscriber that lags loses
messages and learns which by their numbers; an address that is not there yet is tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zcluster.adapters.journal import Record
from zcluster.adapters.tools_bus import Asked, ToolsBus
from zcluster.config.configuration import Configuration
from zcluster.config.keyfile import load_service_key
from zcluster.errors import BadMessage, IdentityError, KernelRefused
from zcluster.tools.bus_answers import event_body, heartbeat_body, refusal_body, status_body, story_body
from zcluster.tools.bus_passing import Passing
from zcluster.tools.bus_questions import Passed, Refused, Since, Snapshot, read_question
from zcluster.tools.feed import LOST_CODE
from zcluster.tools.listening import Endpoint, endpoint_of
from zcluster.tools.outlet import StatusDocument
from zcluster.tools.own_log import OwnLog
from zcluster.tools.ring import Ring
from zcluster.wire.keys import derive, observing, reader_pair

EVENT_TOPIC = b"zc1.event."
STATUS_TOPIC = b"zc1.status."
HEARTBEAT_TOPIC = b"zc1.heartbeat."
HEARTBEAT_MS = 1000
OPEN_MS = 2000
QUESTIONS_A_TURN = 16
LAST_WORDS_MS = 100


class BusOutlet:
    """Publishes from `node`, and listens in `places`; `find` says where that is, as `endpoint_of` does. `complain`
    hears why it does not.
    """

    def __init__(
        self,
        node: str,
        ring: Ring,
        bus: ToolsBus,
        passing: Passing,
        places: Sequence[str],
        find: Callable[[str], Endpoint],
        complain: Callable[[str], None],
    ) -> None:
        self._node = node
        self._ring = ring
        self._bus = bus
        self._passing = passing
        self._find = find
        self._complain = complain
        self._unopened = list(places)
        self._told: set[str] = set()
        self._open_ms = 0
        self._heartbeat_ms = 0
        self._sequence = 0
        self._status: StatusDocument | None = None
        self._reason = "the daemon has not answered yet"
        self._has_more = False
        self._counts: Counter[str] = Counter()

    # ---- what is told

    def record(self, record: Record) -> None:
        """Publish what the ring took in last. That the daemon lost some, subscribers see by the numbers."""
        entry = self._ring.last()
        if entry is None or (not record.number and record.code == LOST_CODE):
            return
        self._bus.publish(EVENT_TOPIC + entry.node.encode("utf-8", "replace"), event_body(self._ring, entry))
        self._counts["events"] += 1

    def status(self, document: StatusDocument) -> None:
        """Publish it."""
        self._status, self._reason = document, ""
        self._sequence += 1
        body = status_body(self._ring, self._sequence, document)
        self._bus.publish(STATUS_TOPIC + self._node.encode("utf-8"), body)

    def unreachable(self, reason: str) -> None:
        """The last status may be wrong now: it is given out no more."""
        self._status, self._reason = None, reason
        self._heartbeat_ms = 0

    # ---- the part of the loop

    def filenos(self) -> tuple[int, ...]:
        """Newcomers, questions, and the answers of this host's processes."""
        return (*self._bus.filenos(), *self._passing.filenos())

    def deadline(self) -> int | None:
        """More questions, a heartbeat, an address to try again, an answer to give up."""
        if self._has_more:
            return 0
        dues = [self._heartbeat_ms, self._passing.deadline(), self._open_ms if self._unopened else None]
        return min(due for due in dues if due is not None)

    def turn(self, now_ms: int) -> None:
        """Listen, say that we live, answer."""
        if self._unopened and now_ms >= self._open_ms:
            self._open_ms = now_ms + OPEN_MS
            self._open()
        asked = self._bus.questions(QUESTIONS_A_TURN)
        self._has_more = len(asked) == QUESTIONS_A_TURN
        for question in asked:
            self._answer(question, now_ms)
        for envelope, body in self._passing.turn(now_ms):
            self._bus.answer(envelope, body)
        if now_ms >= self._heartbeat_ms:
            self._heartbeat_ms = now_ms + HEARTBEAT_MS
            body = heartbeat_body(self._ring, self._node, self._reason)
            self._bus.publish(HEARTBEAT_TOPIC + self._node.encode("utf-8"), body)

    def counts(self) -> Mapping[str, int]:
        """Numbers of the sockets and of what was asked."""
        return {**self._counts, **self._bus.counts, **self._passing.counts}

    def close(self) -> None:
        """What was published last may still leave."""
        self._passing.close()
        self._bus.close(LAST_WORDS_MS)

    # ---- inside

    def _open(self) -> None:
        for place in tuple(self._unopened):
            try:
                self._bus.open(*self._find(place))
            except (IdentityError, KernelRefused) as problem:
                self._counts["unopened"] += 1
                if place not in self._told:
                    self._told.add(place)
                    self._complain(f"no bus on {place} yet: {problem}")
            else:
                self._unopened.remove(place)

    def _answer(self, asked: Asked, now_ms: int) -> None:
        self._counts["questions"] += 1
        try:
            question = read_question(asked.body)
        except BadMessage as problem:
            self._counts["questions_bad"] += 1
            self._bus.answer(asked, refusal_body(None, str(problem)))
            return
        match question:
            case Refused():
                self._counts["questions_bad"] += 1
                self._bus.answer(asked, refusal_body(question.identity, question.text))
            case Passed():
                refusal = self._passing.ask(asked, question, now_ms)
                if refusal:
                    self._bus.answer(asked, refusal_body(question.identity, refusal))
            case Snapshot() if self._status is None:
                self._bus.answer(asked, refusal_body(question.identity, self._reason))
            case Snapshot():
                begin = self._ring.before_first
                self._bus.answer(asked, story_body(question.identity, self._ring, begin, self._status))
            case Since():
                is_same = question.incarnation == self._ring.incarnation
                begin = question.number if is_same else self._ring.before_first
                self._bus.answer(asked, story_body(question.identity, self._ring, begin))


def bus_outlet(configuration: Configuration, node: str, run_dir: Path, ring: Ring, log: OwnLog) -> BusOutlet:
    """The bus where the file has it. Raises KeyFileError."""
    tools, secret = configuration.tools, load_service_key(configuration.key_file)
    used = observing(secret) if configuration.is_observing else secret
    readers = [reader_pair(used, name).public for name in tools.readers]
    return BusOutlet(
        node,
        ring,
        ToolsBus(derive(used).server, readers),
        Passing(run_dir),
        tools.listen,
        lambda place: endpoint_of(configuration, place, tools.port),
        lambda text: log.write("warning", "tools-not-listening", text),
    )
