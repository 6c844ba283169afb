"""One code and its recipe: what a person at night finds under the word that a line of the log begins with.

What must hold: a code once published keeps its meaning; a recipe names commands that exist, and begins with what
costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


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
