"""One code and its recipe: what a person at night finds under the word that a line of the log begins with.

What must hold: a code once published keeps its meaning; a recipe names commands that exist, and begins with what
costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

# Of zcluster's codes in systemd's journal (RFC 9562, version 5); it never changes.
_NAMESPACE = UUID("8d5f8a0e-6f0b-5c8e-9d43-0a7c1e4f2b36")


@dataclass(frozen=True, slots=True)
class Code:
    """`levels` it is told with; `seen`: how it shows; `means`; `mend`: steps, none where nothing is to be done.

    `in_status`: it is not only (or not at all) told, but a warning of the status document. `in_story`: it is told.
    """

    name: str
    levels: tuple[str, ...]
    seen: str
    means: str
    mend: tuple[str, ...] = ()
    in_status: bool = False
    in_story: bool = True


def message_id(code: str) -> str:
    """The MESSAGE_ID of that code in systemd's journal: 32 hexadecimal digits, the same for ever."""
    return uuid5(_NAMESPACE, code).hex
