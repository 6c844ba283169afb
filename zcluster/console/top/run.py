"""`zcluster top`: the loop around documents, keys and the terminal; and one frame for scripts.

What must hold: one thread, which sleeps until something happens or the next frame is due; no more frames a second than
asked for, whatever comes; a frame that shows nothing new writes nothing.
"""

from __future__ import annotations

import codecs
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from zcluster.console.top.documents import Documents
from zcluster.console.top.events import Answered, Source
from zcluster.console.top.frame import Moment, frame
from zcluster.console.top.keys import Keys
from zcluster.console.top.model import NOTICE_MS, press
from zcluster.console.top.paint import Colours, Painter, coloured, plain
from zcluster.console.top.reading import clean
from zcluster.console.top.state import Move, Notice, Quit, Size, ViewState
from zcluster.console.top.terminal import CLEAR, ENDING, Terminal
from zcluster.console.verdict import ExitStatus

EXIT_QUIT = 0
SIGNAL_STATUS = 128
ONCE_LIMIT_MS = 3000
STORY_PATIENCE_MS = 300
ONCE_SIZE = (80, 24)


def monotonic_ms() -> int:
    """Milliseconds of the monotonic clock."""
    return time.monotonic_ns() // 1_000_000


def local_clock(at_ms: int) -> str:
    """HH:MM:SS.mmm of this host's time zone."""
    seconds, milliseconds = divmod(at_ms, 1000)
    try:
        told = time.strftime("%H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "??:??:??.???"  # no calendar knows this time
    return f"{told}.{milliseconds:03d}"


def moment() -> Moment:
    """Now."""
    return Moment(monotonic_ms(), time.time_ns() // 1_000_000, local_clock)


def colours() -> Colours:
    """What the terminal can and its owner wants (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in ("", "dumb", "vt100", "vt220"):
        return Colours.NONE
    return Colours.SIXTEEN


def is_live_possible() -> bool:
    """Whether there is a terminal at both ends that can be painted on."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


class Top:
    """A running top. `frame_ms`: at most one frame in so long."""

    def __init__(self, source: Source, terminal: Terminal, painter: Painter, frame_ms: int) -> None:
        self._source = source
        self._terminal = terminal
        self._painter = painter
        self._frame_ms = frame_ms
        self._documents = Documents()
        self._state = ViewState()
        self._keys = Keys()
        self._next_ms = 0
        self._size = terminal.size()

    def run(self) -> int:
        """Until somebody ends it; the exit status."""
        while True:
            self._wait()
            ended = self._take_signals()
            if ended is not None:
                return EXIT_QUIT if ended == signal.SIGINT else SIGNAL_STATUS + ended
            now_ms = monotonic_ms()
            for event in self._source.turn(now_ms):
                if isinstance(event, Answered):
                    notice = Notice(clean(event.text), event.is_accepted, now_ms + NOTICE_MS)
                    self._state = replace(self._state, notice=notice)
                    self._next_ms = now_ms
                was_old = self._documents.is_old
                self._documents = self._documents.take(event, now_ms)
                if self._documents.is_old is not was_old:
                    self._next_ms = now_ms  # said at once
            if self._take_keys(now_ms):
                return EXIT_QUIT
            if now_ms >= self._next_ms:
                self._draw(now_ms)

    def _wait(self) -> None:
        dues = [self._next_ms, self._source.deadline()]
        escape_ms = self._keys.deadline()
        dues += [escape_ms] if escape_ms is not None else []
        wait_s = max(0, min(dues) - monotonic_ms()) / 1000
        descriptors = [*self._terminal.filenos(), *self._source.filenos()]
        self._readable, _, _ = select.select(descriptors, [], [], wait_s)

    def _take_signals(self) -> int | None:
        """The number of a signal that ends us."""
        for number in self._terminal.signals() if self._terminal.filenos()[1] in self._readable else ():
            if number in ENDING:
                return number
            if number == signal.SIGTSTP:
                self._terminal.stop()
                self._anew()
            elif number == signal.SIGCONT:
                # Stopped by a signal that nobody can notice, and perhaps with another's settings by now.
                self._terminal.take()
                self._anew()
            elif number == signal.SIGWINCH:
                self._anew()
        return None

    def _anew(self) -> None:
        """Nothing is known of the screen."""
        self._size = self._terminal.size()
        self._terminal.write(CLEAR)
        self._painter.forget()
        self._next_ms = 0

    def _take_keys(self, now_ms: int) -> bool:
        """What was typed; whether it ends us."""
        keys = self._keys.expire(now_ms)
        if self._terminal.filenos()[0] in self._readable:
            typed = self._terminal.read()
            if not typed:
                return True  # the terminal is gone
            keys += self._keys.feed(typed, now_ms)
        for key in keys:
            self._next_ms = now_ms
            if key == "ctrl-l":
                self._anew()
                continue
            at = Moment(now_ms, time.time_ns() // 1_000_000, local_clock)
            self._state, commands = press(
                self._state, key, self._documents, self._size, at, self._source.refusal
            )
            for command in commands:
                match command:
                    case Quit():
                        return True
                    case Move(group, target):
                        self._source.move(group, target, now_ms)
        return False

    def _draw(self, now_ms: int) -> None:
        self._next_ms = now_ms + self._frame_ms
        at = Moment(now_ms, time.time_ns() // 1_000_000, local_clock)
        self._terminal.write(self._painter.paint(frame(self._documents, self._state, self._size, at)))


def live(source: Source, frame_ms: int) -> int:
    """Show it until a key ends it; the exit status."""
    encoding = sys.stdout.encoding or "ascii"
    painter = Painter(colours(), codecs.lookup(encoding).name)
    try:
        with Terminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
            return Top(source, terminal, painter, frame_ms).run()
    finally:
        source.close()


def once(source: Source, width: int | None, height: int | None, write: Callable[[str], None]) -> int:
    """One frame as it is now; the exit status is that of `zcluster status`."""
    documents, is_story_there = Documents(), False
    limit_ms, patience_ms = monotonic_ms() + ONCE_LIMIT_MS, 0
    try:
        while (now_ms := monotonic_ms()) < limit_ms and not documents.trouble:
            for event in source.turn(now_ms):
                documents = documents.take(event, now_ms)
            is_story_there = bool(documents.story)
            if documents.picture is not None:
                patience_ms = patience_ms or now_ms + STORY_PATIENCE_MS
                if now_ms >= patience_ms or (is_story_there and documents.streams is not None):
                    break
            wait_ms = max(0, min(source.deadline(), limit_ms) - now_ms)
            select.select(list(source.filenos()), [], [], min(wait_ms, 50) / 1000)
    finally:
        source.close()
    picture = documents.picture
    if picture is None:
        print(f"zcluster: {documents.trouble or 'no status came in time'}", file=sys.stderr)
        return ExitStatus.NOT_REACHABLE
    found = shutil.get_terminal_size(ONCE_SIZE)
    is_terminal = sys.stdout.isatty()
    size = Size(width or found.columns, height or (found.lines if is_terminal else ONCE_SIZE[1]))
    lines = frame(documents, ViewState(is_interactive=False), size, moment())
    tint = colours() if is_terminal else Colours.NONE
    write(plain(lines) if tint is Colours.NONE else coloured(lines, tint))
    return picture.trouble
