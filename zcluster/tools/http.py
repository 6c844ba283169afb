"""The HTTP endpoint: `/metrics` for Prometheus, and what load balancers ask.

    /metrics        the metrics (`zcluster.tools.metrics`)
    /healthz        200 while the local daemon answers, else 503
    /readyz         200 while this node may serve, else 503
    /master/GROUP   200 while this node holds GROUP and its gate is open, else 503; 404 for a group that is not there

What must hold: nothing can be changed here; each answer is made from what is known at that moment, at once. Whoever
reaches the address may read: it is off, on loopback, or on a link of the cluster's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from zcluster.adapters.journal import Record
from zcluster.config.configuration import Configuration
from zcluster.tools.health import Verdict, alive, master, ready
from zcluster.tools.http_connections import HttpConnections
from zcluster.tools.http_request import Answer, Request
from zcluster.tools.latest import Latest
from zcluster.tools.listening import Endpoint, endpoint_of
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.metrics import MetricsText
from zcluster.tools.metrics_story import StoryLedger
from zcluster.tools.outlet import StatusDocument
from zcluster.tools.own_log import OwnLog

MASTER = "/master/"
PATHS = ("/metrics", "/healthz", "/readyz", "/master/GROUP")
JSON_TYPE = "application/json"


class HttpOutlet:
    """`find`: where to listen. `figures`: numbers of the whole tools process. `complain` hears why it does not."""

    def __init__(
        self,
        node: str,
        find: Callable[[], Sequence[Endpoint]],
        figures: Callable[[], Mapping[str, int]],
        complain: Callable[[str], None],
        clock: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._latest = Latest(clock)
        self._story = StoryLedger(node)
        self._metrics = MetricsText(self._latest, self._story, figures, clock)
        self._connections = HttpConnections(find, self._answer, clock)
        self._complain = complain
        self._complained: frozenset[str] = frozenset()
        self._complain_anew()

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where it listens now."""
        return self._connections.endpoints

    def filenos(self) -> tuple[int, ...]:
        """One descriptor for all connections."""
        return (self._connections.fileno(),)

    def deadline(self) -> int | None:
        """When a connection has had its time, or an address is tried again."""
        return self._connections.deadline()

    def turn(self, now_ms: int) -> None:
        """Answer who asks."""
        self._connections.turn(now_ms)
        self._complain_anew()

    def record(self, record: Record) -> None:
        """Count it."""
        self._story.add(record)

    def status(self, document: StatusDocument) -> None:
        """What is answered from now on."""
        self._latest.take(document)

    def unreachable(self, reason: str) -> None:
        """From now on nothing is known."""
        self._latest.lose(reason)

    def counts(self) -> Mapping[str, int]:
        """How many asked, were refused, were too slow or had to make room; texts of metrics made."""
        listening = len(self._connections.endpoints)
        return {**self._connections.counts, "texts_made": self._metrics.made, "listening": listening}

    def close(self) -> None:
        """Stop listening."""
        self._connections.close()

    def _complain_anew(self) -> None:
        problems = self._connections.problems
        for problem in sorted(problems - self._complained):
            self._complain(problem)
        self._complained = problems

    def _answer(self, request: Request) -> Answer:
        picture, reason = self._latest.picture(), self._latest.reason()
        match request.path:
            case "/metrics":
                text, content_type = self._metrics.text(request.accept)
                return Answer(200, text, content_type)
            case "/healthz":
                return _told(alive(picture, reason), request)
            case "/readyz":
                return _told(ready(picture, reason), request)
            case path if path.startswith(MASTER) and len(path) > len(MASTER):
                return _told(master(picture, reason, path.removeprefix(MASTER)), request)
        return _told(Verdict(404, f"ask for {', '.join(PATHS)}"), request)


def http_outlet(
    configuration: Configuration, node: str, figures: Callable[[], Mapping[str, int]], log: OwnLog
) -> HttpOutlet:
    """The endpoint where the file has it; what keeps it from listening is a line of the log."""
    tools = configuration.tools

    def find() -> Sequence[Endpoint]:
        return (endpoint_of(configuration, tools.metrics, tools.metrics_port),)

    def complain(text: str) -> None:
        log.write("warning", "tools-not-listening", f"metrics: {text}")

    return HttpOutlet(node, find, figures, complain)


def _told(verdict: Verdict, request: Request) -> Answer:
    """One line, or JSON for who asks for it."""
    if JSON_TYPE in request.accept.lower():
        return Answer(verdict.status, json.dumps(verdict.plain()).encode() + b"\n", JSON_TYPE)
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in verdict.text)
    return Answer(verdict.status, f"{line}\n".encode("utf-8", "replace"))
