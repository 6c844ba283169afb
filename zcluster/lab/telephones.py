"""The telephones: `sipp` as callers and as the carrier, in the client's host.

What must hold: calls are counted by what the telephones themselves say and by what went over the wire, never by what
a switch says. A call is recovered when both its sides were invited again and its BYE was answered on both. A call of
a master that was not hit is undisturbed when neither side was invited again, nor hung up on, before its own end.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from math import inf
from pathlib import Path

from zcluster.errors import LabError
from zcluster.lab.host import Host, Program
from zcluster.lab.sip_capture import Watch

CALLER_PORT, CARRIER_PORT = 5071, 5080
CARRIER_NUMBER = "9000"
CALLS_IN_SECOND = 25
SIP_PORT = 5060
# How long a caller waits for a re-INVITE before it hangs up, beyond the time that placing all calls takes; how much
# longer for the first one, since the fault comes only when all calls stand, late on a busy machine; and how much
# longer where the calls are to meet the fault again, when all is well once more.
PATIENCE_MS = 8000
FIRST_MS = 8000
AGAIN_MS = 45_000
ENDING_S = 5.0
_LISTENING_LIMIT_S = 10.0
_FIRST_MARK, _MARK = "15000", "16000"
_PLAY_MARK = "<!-- audio -->"
_FIRST_RTP_PORT, _RTP_PORTS = 30_000, 2000
# A second of PCMU at 8000 samples: a square wave, loud enough to be no silence.
_TONE = (b"\x20" * 10 + b"\xa0" * 10) * 400
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class CallsWanted:
    """What is to stand when the fault comes. `calls`: through the group that is hit; `others`: through the others.

    `is_again`: the same calls meet the fault a second time, at their new master. `has_audio`: both sides of each
    call send audio, to a port of its own.
    """

    calls: int = 0
    others: int = 0
    is_again: bool = False
    has_audio: bool = False


@dataclass(frozen=True, slots=True)
class CallCount:
    """What became of the calls of a trial. Times in ms after the fault; None where nobody was invited again.

    `others`: calls of masters that were not hit; None where none were wanted.
    """

    calls: int
    recovered: int
    first_reinvite_ms: float | None
    last_reinvite_ms: float | None
    others: int | None = None
    others_disturbed: int | None = None

    def facts(self) -> dict[str, object]:
        """For the JSON line."""
        named: dict[str, object] = {
            "calls": self.calls,
            "recovered": self.recovered,
            "first_reinvite_ms": self.first_reinvite_ms,
            "last_reinvite_ms": self.last_reinvite_ms,
        }
        if self.others is not None:
            named |= {"others": self.others, "others_disturbed": self.others_disturbed}
        return named


@dataclass(frozen=True, slots=True)
class Tally:
    """What one sipp says at its end."""

    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tallies:
    """Of all: by the floating address that was called, and the carrier's."""

    callers: Mapping[str, Tally]
    carrier: Tally


@dataclass(slots=True)
class Telephones:
    """The callers and the carrier of one trial. `wanted`: how many calls go to each floating address.

    `host`, `address`: theirs. `directory`: where scenarios and statistics go.
    """

    host: Host
    directory: Path
    address: str
    wanted: Mapping[str, int]
    patience_ms: int = PATIENCE_MS
    has_audio: bool = False
    _programs: list[Program] = field(default_factory=list)

    @property
    def placing_s(self) -> float:
        """How long it takes until the last call has been placed."""
        return max(self.wanted.values()) / CALLS_IN_SECOND

    @property
    def longest_s(self) -> float:
        """How long a call may last that is invited again once, from the placing of the first."""
        return 2 * (self.placing_s + self.patience_ms / 1000) + FIRST_MS / 1000 + ENDING_S

    def begin(self) -> None:
        """Starts the carrier, then the callers. Raises LabError without sipp."""
        self.directory.mkdir(exist_ok=True)
        # Before the first one starts: the next would take the file away from under it.
        for scenario in ("callee.xml", "caller.xml"):
            self._write_scenario(scenario)
        self._start("carrier", "callee.xml", CARRIER_PORT, sum(self.wanted.values()))
        self._wait_for_the_carrier()
        for target, calls in self.wanted.items():
            dialled = (f"{target}:{SIP_PORT}", "-s", CARRIER_NUMBER, "-r", str(CALLS_IN_SECOND))
            self._start(f"callers-{target}", "caller.xml", self.port(target), calls, *dialled)

    def port(self, target: str) -> int:
        """Whence that floating address is called."""
        return CALLER_PORT + list(self.wanted).index(target)

    def has_ended(self) -> bool:
        """Whether all calls are over, or all telephones gone."""
        return not any(program.is_running() for program in self._programs)

    def silence(self) -> None:
        """Ends what still rings."""
        for program in self._programs:
            if program.is_running():
                program.signal(signal.SIGKILL)
            program.wait(ENDING_S)

    def end(self) -> Tallies:
        """Ends what still rings; what the callers and the carrier counted. Raises LabError where they did not."""
        self.silence()
        callers = {target: self._tally(f"callers-{target}") for target in self.wanted}
        return Tallies(callers, self._tally("carrier"))

    def _start(self, name: str, scenario: str, port: int, calls: int, *words: str) -> None:
        sipp = shutil.which("sipp")
        if sipp is None:
            raise LabError("calls need `sipp`: apt-get install sip-tester")
        command = [
            *(sipp, "-sf", str(self.directory / scenario), *words),
            *("-i", self.address, "-p", str(port), "-m", str(calls), "-l", str(calls)),
            *("-nostdin", "-trace_stat", "-fd", "1", "-stf", str(self._statistics(name))),
        ]
        if self.has_audio:
            # Each sipp has ports of its own: all are in one host.
            command += ["-mp", str(_FIRST_RTP_PORT + _RTP_PORTS * len(self._programs))]
        self._statistics(name).unlink(missing_ok=True)
        environment = {**os.environ, "TERM": "dumb"}
        self._programs.append(self.host.start(name, command, self.directory / f"{name}.log", environment))

    def _wait_for_the_carrier(self) -> None:
        """Until it listens: the kernel would refuse the first call, and the switch give it up at once."""
        carrier = self._programs[-1]
        sockets = Path(f"/proc/{carrier.process}/net/udp")
        until = time.monotonic() + _LISTENING_LIMIT_S
        with suppress(OSError):
            while carrier.is_running() and f":{CARRIER_PORT:04X} " not in sockets.read_text():
                if time.monotonic() > until:
                    raise LabError(f"the carrier does not listen within {_LISTENING_LIMIT_S:g} s")
                time.sleep(0.02)

    def _write_scenario(self, name: str) -> None:
        patience_ms = self.patience_ms + round(1000 * self.placing_s)
        text = (files("zcluster.lab") / "scenarios" / name).read_text()
        text = text.replace(_FIRST_MARK, str(patience_ms + FIRST_MS)).replace(_MARK, str(patience_ms))
        (self.directory / name).write_text(self._with_audio(text) if self.has_audio else text)

    def _with_audio(self, text: str) -> str:
        """The scenario with a tone from both sides, over and over, while the call lasts."""
        sound = self.directory / "tone.ulaw"
        sound.write_bytes(_TONE)
        play = f'<nop><action><exec rtp_stream="{sound},-1,0"/></action></nop>'
        return text.replace("[media_port]", "[rtpstream_audio_port]").replace(_PLAY_MARK, play)

    def _tally(self, name: str) -> Tally:
        try:
            return read_tally(self._statistics(name).read_text())
        except OSError as problem:
            raise LabError(f"the {name} left no statistics: {problem}") from problem

    def _statistics(self, name: str) -> Path:
        return self.directory / f"{name}.csv"


def read_tally(text: str) -> Tally:
    """The last line of sipp's statistics. Raises LabError where there is none."""
    lines = list(csv.DictReader(text.splitlines(), delimiter=";"))
    try:
        return Tally(int(lines[-1]["SuccessfulCall(C)"]), int(lines[-1]["FailedCall(C)"]))
    except (IndexError, KeyError, ValueError, TypeError) as problem:
        raise LabError(f"sipp's statistics cannot be read: {problem}") from problem


def count_calls(calls: int, watch: Watch, target: str, caller_port: int, callers: Tally | None) -> CallCount:
    """What became of the calls through `target`. `callers` None: they have not hung up yet."""
    sides = ((target, caller_port), (target, CARRIER_PORT))
    reinvites = [watch.reinvites(side) for side in sides]
    times = [when_ns - watch.since_ns for side in reinvites for when_ns in side]
    ended = [] if callers is None else [callers.succeeded, watch.count_parted(sides[1])]
    return CallCount(
        calls=calls,
        recovered=min(*map(len, reinvites), *ended),
        first_reinvite_ms=round(min(times) / _NS_PER_MS, 1) if times else None,
        last_reinvite_ms=round(max(times) / _NS_PER_MS, 1) if times else None,
    )


def count_disturbed(watch: Watch, calls: int, target: str, caller_port: int, callers: Tally | None) -> int:
    """How many of the calls through `target`, which was not hit, noticed something."""
    caller_side, carrier_side = (target, caller_port), (target, CARRIER_PORT)
    at_callers, at_carrier = watch.standing(caller_side), watch.standing(carrier_side)
    hung_up = [watch.ended[call] for call in at_callers if call in watch.ended]
    end_ns = min((when_ns for when_ns, is_to_caller in hung_up if not is_to_caller), default=inf)
    failed = 0 if callers is None else calls - callers.succeeded
    return max(
        failed,
        sum(call in watch.reinvited or watch.ended.get(call, (0, False))[1] for call in at_callers),
        sum(call in watch.reinvited or watch.ended.get(call, (inf, True))[0] < end_ns for call in at_carrier),
    )


def spread(calls: int, targets: Sequence[str]) -> dict[str, int]:
    """Calls over targets, as evenly as can be; none for a target that gets no call."""
    shares = {target: calls // len(targets) + (n < calls % len(targets)) for n, target in enumerate(targets)}
    return {target: share for target, share in shares.items() if share}
