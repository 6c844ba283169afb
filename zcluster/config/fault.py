"""One thing that is wrong or dangerous in the cluster's file: where, what, and a way to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` is the key's path (`("group", 1, "addresses", 0)`), empty for the file itself.

    `line` and `column` count from 1; 0 means that it is not known.
    """

    path: KeyPath
    wrong: str
    mend: str = ""
    line: int = 0
    column: int = 0

    @property
    def key(self) -> str:
        """The path as it is spoken: `group[1].addresses[0]`."""
        return spoken_path(self.path)

    def text(self, file_name: str) -> str:
        """One or two lines: `file:12: key: what is wrong`, and the mend below it."""
        return self._said(file_name, "\n    ")

    def line_of(self, file_name: str) -> str:
        """The same as one line."""
        return self._said(file_name, "; ")

    def _said(self, file_name: str, before_mend: str) -> str:
        place = ":".join([file_name, *(str(number) for number in (self.line, self.column) if number)])
        where = f"{place}: {self.key}: " if self.path else f"{place}: "
        return f"{where}{self.wrong}" + (f"{before_mend}mend: {self.mend}" if self.mend else "")


def spoken_path(path: Sequence[str | int]) -> str:
    """`("group", 1, "addresses", 0)` becomes `group[1].addresses[0]`."""
    spoken = ""
    for part in path:
        if isinstance(part, int):
            spoken += f"[{part}]"
        else:
            spoken += f".{part}" if spoken else part
    return spoken
