"""docs/codes.md, made from the catalogue: `python -m zcluster.console.codes_page > docs/codes.md` (make codes)."""

from __future__ import annotations

from collections.abc import Iterator

from zcluster.codes.catalogue import CATALOGUE
from zcluster.codes.entry import Code
from zcluster.console.explain import where

HEAD = """\
# Codes

What is told in a cluster bears a code: in the log, in `zcluster watch`, in `zcluster why --json`, on the bus for tools,
in the events of the switch. Warnings of `zcluster status` bear one too. A code once published keeps its meaning.
`zcluster explain CODE` prints the same on the host, without a network.

Levels: `info` (for the story), `notice` (something changed as it should), `warning` (look at it by day), `alarm` (look
at it now).

This page is made from `zcluster/codes/`; `make codes` writes it.
"""


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for code in CATALOGUE.values() for line in _section(code))])


def _section(code: Code) -> Iterator[str]:
    yield f"## {code.name}"
    yield ""
    yield f"*{where(code)}*"
    yield ""
    yield f"    {code.seen}"
    yield ""
    yield code.means
    yield ""
    for number, step in enumerate(code.mend, 1):
        yield f"{number}. {step}"
    if code.mend:
        yield ""


if __name__ == "__main__":
    print(document(), end="")
