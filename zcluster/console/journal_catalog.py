"""Recipes for `journalctl -x`: `python -m zcluster.console.journal_catalog > packaging/systemd/zcluster.catalog`.

What must hold: one entry for each code, under the MESSAGE_ID of its log entries; no line begins with "--", which would
begin another entry.

Source: systemd, docs/CATALOG.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from zcluster.codes.catalogue import CATALOGUE
from zcluster.codes.entry import Code, message_id
from zcluster.console.words import WIDTH

HEAD = """\
# What zcluster's codes mean, for `journalctl -x`. Made from zcluster/codes/ by `make codes`.
"""


def document() -> str:
    """The whole file."""
    return "\n".join([HEAD, *(line for code in CATALOGUE.values() for line in _entry(code))])


def _entry(code: Code) -> Iterator[str]:
    yield f"-- {message_id(code.name)}"
    yield f"Subject: {code.name} on @ZCLUSTER_NODE@ (@ZCLUSTER_LEVEL@)"
    yield "Defined-By: zcluster"
    yield f"Documentation: zcluster explain {code.name}"
    yield ""
    yield from _wrapped(code.means)
    for number, step in enumerate(code.mend, 1):
        yield ""
        yield from _wrapped(f"{number}. {step}", "   ")
    yield ""


def _wrapped(text: str, indent: str = " ") -> list[str]:
    # "@" would be taken for the beginning of a field's name.
    plain = text.replace("@", "(at)")
    return wrap(plain, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(document(), end="")
