"""The telephones: `sipp` as callers and as the carrier, in the client's host.

What must hold: calls are counted by what the telephones themselves say and by what went over the wire, never by what
a switch says. A call is recovered when both its sides were invited again and its BYE was answered on both.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from zcluster.errors import LabError
from zcluster.lab.host import Host, Program
from zcluster.lab.sip_capture import Watch

CALLER_PORT, CARRIER_PORT = 5071, 5080
CARRIER_NUMBER = "9000"
CALLS_IN_SECOND = 25
SIP_PORT = 5060
# How long a caller waits for a re-INVITE before it hangs up, beyond the time that placing all calls takes.
PATIENCE_MS = 8000
ENDING_S = 5.0
_MARK = "15000"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class CallCount:
    """What became of the calls of a trial. Times in ms after the fault; None where nobody was invited again."""

    calls: int
    recovered: int
    first_reinvite_ms: float | None
    last_reinvite_ms: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What one sipp says at its end."""

    succeeded: int
    failed: int


class Telephones:
    """The callers and the carrier of one trial."""

    def __init__(self, host: Host, directory: Path, address: str, calls: int) -> None:
        """`address`: the host's own; `directory`: where scenarios and statistics go. Raises LabError without sipp."""
        found = shutil.which("sipp")
        if found is None:
            raise LabError("calls need `sipp`: apt-get install sip-tester")
        self._sipp = found
        self._host = host
        self._directory = directory
        self._address = address
        self._calls = calls
        self._programs: list[Program] = []

    @property
    def placing_s(self) -> float:
        """How long it takes until the last call has been placed."""
        return self._calls / CALLS_IN_SECOND

    @property
    def longest_s(self) -> float:
        """How long a call may last that is invited again once, from the placing of the first."""
        return 2 * (self.placing_s + PATIENCE_MS / 1000) + ENDING_S

    def begin(self, target: str) -> None:
        """Starts the carrier, then the callers, who call `target`, a floating address."""
        self._directory.mkdir(exist_ok=True)
        self._start("carrier", "callee.xml", CARRIER_PORT)
        self._start(
            "callers",
            "caller.xml",
            CALLER_PORT,
            f"{target}:{SIP_PORT}",
            "-s",
            CARRIER_NUMBER,
            "-r",
            str(CALLS_IN_SECOND),
        )

    def has_ended(self) -> bool:
        """Whether all calls are over, or all telephones gone."""
        return not any(program.is_running() for program in self._programs)

    def end(self) -> tuple[Tally, Tally]:
        """Ends what still rings, and what the callers and the carrier counted."""
        for program in self._programs:
            if program.is_running():
                program.signal(signal.SIGKILL)
            program.wait(ENDING_S)
        return self._tally("callers"), self._tally("carrier")

    def _start(self, name: str, scenario: str, port: int, *words: str) -> None:
        patience_ms = PATIENCE_MS + round(1000 * self.placing_s)
        text = (files("zcluster.lab") / "scenarios" / scenario).read_text()
        file = self._directory / scenario
        file.write_text(text.replace(_MARK, str(patience_ms)))
        command = [
            *(self._sipp, "-sf", str(file), *words),
            *("-i", self._address, "-p", str(port), "-m", str(self._calls), "-l", str(self._calls)),
            *("-nostdin", "-trace_stat", "-fd", "1", "-stf", str(self._statistics(name))),
        ]
        self._statistics(name).unlink(missing_ok=True)
        environment = {**os.environ, "TERM": "dumb"}
        self._programs.append(self._host.start(name, command, self._directory / f"{name}.log", environment))

    def _tally(self, name: str) -> Tally:
        try:
            return read_tally(self._statistics(name).read_text())
        except OSError as problem:
            raise LabError(f"the {name} left no statistics: {problem}") from problem

    def _statistics(self, name: str) -> Path:
        return self._directory / f"{name}.csv"


def read_tally(text: str) -> Tally:
    """The last line of sipp's statistics. Raises LabError where there is none."""
    lines = list(csv.DictReader(text.splitlines(), delimiter=";"))
    try:
        return Tally(int(lines[-1]["SuccessfulCall(C)"]), int(lines[-1]["FailedCall(C)"]))
    except (IndexError, KeyError, ValueError, TypeError) as problem:
        raise LabError(f"sipp's statistics cannot be read: {problem}") from problem


def count_calls(calls: int, watch: Watch, callers: Tally, carrier: Tally) -> CallCount:
    """What became of them."""
    reinvites = (watch.reinvites(CALLER_PORT), watch.reinvites(CARRIER_PORT))
    times = [when_ns - watch.since_ns for side in reinvites for when_ns in side]
    return CallCount(
        calls=calls,
        recovered=min(callers.succeeded, carrier.succeeded, *map(len, reinvites)),
        first_reinvite_ms=round(min(times) / _NS_PER_MS, 1) if times else None,
        last_reinvite_ms=round(max(times) / _NS_PER_MS, 1) if times else None,
    )
