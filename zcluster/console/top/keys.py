"""Bytes of a terminal into keys: a letter is itself, the others have names ("up", "pagedown", "enter", "ctrl-c").

What must hold: pure; an unknown sequence is dropped as a whole and never becomes letters; a lone escape is known by
nothing coming after it for ESCAPE_MS. Sources: ECMA-48 (CSI, SS3), xterm's ctlseqs.
"""

from __future__ import annotations

import codecs
import re

ESCAPE_MS = 40
LARGEST_SEQUENCE = 32
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*([@-~])|O([@-~]))")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?$")
_FINALS = {
    b"A": "up",
    b"B": "down",
    b"C": "right",
    b"D": "left",
    b"H": "home",
    b"F": "end",
    b"Z": "backtab",
    b"M": "enter",
}
_TILDES = {b"1": "home", b"7": "home", b"4": "end", b"8": "end", b"5": "pageup", b"6": "pagedown"}
_CONTROLS = {
    0x03: "ctrl-c",
    0x08: "backspace",
    0x09: "tab",
    0x0A: "enter",
    0x0C: "ctrl-l",
    0x0D: "enter",
    0x1B: "escape",
    0x7F: "backspace",
}


class Keys:
    """What was typed and is not a key yet."""

    def __init__(self) -> None:
        self._waiting = b""
        self._waiting_ms = 0
        self._letters = codecs.getincrementaldecoder("utf-8")("ignore")

    def feed(self, data: bytes, now_ms: int) -> list[str]:
        """The keys that are complete now."""
        if not self._waiting:
            self._waiting_ms = now_ms
        data, self._waiting = self._waiting + data, b""
        found: list[str] = []
        while data:
            if data[:1] != b"\x1b":
                found += self._plain(data[:1])
                data = data[1:]
            elif match := _SEQUENCE.match(data):
                found += _named(match)
                data = data[match.end() :]
            elif _UNFINISHED.match(data) and len(data) < LARGEST_SEQUENCE:
                self._waiting, self._waiting_ms = data, now_ms
                break
            else:
                # Escape and a letter together: an escape, then the letter.
                found.append("escape")
                data = data[1:]
        return found

    def deadline(self) -> int | None:
        """When what waits is known to be a lone escape."""
        return self._waiting_ms + ESCAPE_MS if self._waiting else None

    def expire(self, now_ms: int) -> list[str]:
        """The escape that nothing came after."""
        due_ms = self.deadline()
        if due_ms is None or now_ms < due_ms:
            return []
        is_lone, self._waiting = self._waiting == b"\x1b", b""
        return ["escape"] if is_lone else []

    def _plain(self, byte: bytes) -> list[str]:
        if byte[0] in _CONTROLS:
            self._letters.reset()
            return [_CONTROLS[byte[0]]]
        return [letter for letter in self._letters.decode(byte) if letter.isprintable()]


def _named(match: re.Match[bytes]) -> list[str]:
    final = match[1] or match[2]
    if final == b"~":
        name = _TILDES.get(match[0][2:-1].split(b";")[0])
    else:
        name = _FINALS.get(final)
    return [name] if name is not None else []
