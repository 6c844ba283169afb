"""All codes by their names, and the nearest to a word that is none.

What must hold: every code that the source tells is here, and none that nothing tells (tests/console/test_codes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from zcluster.codes import calls, host, membership, ownership, unfit
from zcluster.codes.entry import Code

CATALOGUE: Mapping[str, Code] = {
    code.name: code
    for code in sorted(
        (*ownership.CODES, *membership.CODES, *host.CODES, *unfit.CODES, *calls.CODES),
        key=lambda code: code.name,
    )
}

SHOWN_NEAREST = 3


def called(word: str) -> list[Code]:
    """The code of that name, or those that a word of the status leads to; none for anything else."""
    wanted = "-".join(word.lower().replace("_", " ").split())
    names = unfit.ALIASES.get(wanted, (word.lower(),))
    return [CATALOGUE[name] for name in names if name in CATALOGUE]


def nearest(word: str) -> list[str]:
    """Names that look like the word, the most alike first; then those that have a part of it."""
    wanted = word.lower().strip()[:64]
    found = get_close_matches(wanted, CATALOGUE, SHOWN_NEAREST, 0.6)
    parts = [part for part in wanted.replace("_", "-").split("-") if len(part) > 2]
    found += [name for name in CATALOGUE if name not in found and any(part in name for part in parts)]
    return found[:SHOWN_NEAREST]
