"""One piece of a report: what was found, or why it could not be had.

What must hold: a piece that fails costs no other piece; what is missing is said with its reason, never left out
in silence; every piece is bounded.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zcluster.errors import ZclusterError

LARGEST_TEXT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of the archive. `path` is below the archive's own folder; `about` is one line for the README.

    `content` is None where it could not be had, and `reason` says why. `is_text`: may be cleaned of secrets;
    what is not text was looked through where it was read.
    """

    path: str
    about: str
    content: bytes | None
    reason: str = ""
    is_text: bool = True


def piece(path: str, about: str, make: Callable[[], str | bytes]) -> Piece:
    """What `make` returns; its failure is a missing piece."""
    try:
        made = make()
    except (ZclusterError, OSError) as problem:
        return missing(path, about, _words(problem))
    except Exception:
        # A defect of ours in one part, at night, must not cost the evidence of the others; the trace is evidence too.
        return Piece(
            f"{path}.defect.txt", f"in the place of {path}: {about}", traceback.format_exc().encode()
        )
    return text(path, about, made)


def text(path: str, about: str, content: str | bytes) -> Piece:
    """A text, cut at its beginning where it is too long: the end is newer."""
    whole = content.encode() if isinstance(content, str) else content
    if len(whole) > LARGEST_TEXT_BYTES:
        left_out = len(whole) - LARGEST_TEXT_BYTES
        whole = f"(the first {left_out} bytes are left out)\n".encode() + whole[left_out:]
    return Piece(path, about, whole)


def missing(path: str, about: str, reason: str) -> Piece:
    """Not to be had."""
    return Piece(path, about, None, reason)


def lines(each: Iterable[str]) -> str:
    """The lines as one text."""
    return "".join(f"{line}\n" for line in each)


def _words(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror}"
    return str(problem)
