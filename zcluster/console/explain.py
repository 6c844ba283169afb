"""`zcluster explain [CODE]`: what a code of the story, the log or the status means, and what to do.

What must hold: it asks nobody, so it works on a dead host too; a recipe is readable at 80 columns.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from textwrap import wrap

import click

from zcluster.codes.catalogue import CATALOGUE, called, nearest
from zcluster.codes.entry import Code, message_id
from zcluster.console.words import WIDTH, listed, paragraph, printable, table

SCHEMA = "zcluster.codes/1"
LABEL_WIDTH = 10


def run(word: str, as_json: bool) -> int:
    """Print the recipe of a code, those that a word of the status leads to, or the list for ""; 0, or 1 where there is
    none.
    """
    wanted = word.strip()
    codes = called(wanted) if wanted else list(CATALOGUE.values())
    if not codes:
        _refuse(word, as_json)
        return 1
    if as_json:
        print(json.dumps({"schema": SCHEMA, "ok": True, "codes": [plain(code) for code in codes]}))
    else:
        print("\n".join(pages(word, codes) if wanted else overview(codes)))
    return 0


def _refuse(word: str, as_json: bool) -> None:
    names = nearest(word)
    hint = f"; do you mean {listed(names)}?" if names else "."
    text = (
        f"no code is called {printable(word)[:64]!r}{hint} `zcluster explain` lists all of them; of a group "
        "`zcluster why GROUP` tells."
    )
    if as_json:
        print(json.dumps({"schema": SCHEMA, "ok": False, "error": text, "nearest": names}))
    else:
        click.echo("\n".join(paragraph(f"zcluster: {text}")), err=True)


def plain(code: Code) -> dict[str, object]:
    """As JSON-ready values."""
    fields = asdict(code)
    return {"code": fields.pop("name"), **fields, "message_id": message_id(code.name)}


def pages(word: str, codes: list[Code]) -> list[str]:
    """The recipe, or the several that the word leads to, with what they have in common first."""
    if len(codes) == 1:
        return page(codes[0])
    lines = paragraph(
        f"{printable(word)[:64]}: one of these; `zcluster status` says which under CONDITION. A node that is just "
        "starting, may not vote yet or fills its copies gets ready by itself."
    )
    for code in codes:
        lines += ["", *page(code)]
    return lines


def page(code: Code) -> list[str]:
    """One recipe."""
    lines = [f"{code.name}  ({where(code)})", ""]
    lines += _labelled("You see", code.seen)
    lines += ["", *_labelled("It means", code.means), ""]
    if not code.mend:
        return [*lines, *_labelled("Do", "Nothing. It is told so that the story is whole.")]
    for number, step in enumerate(code.mend, 1):
        label = "Do" if number == 1 else ""
        text = f"{number}. {step}" if len(code.mend) > 1 else step
        lines += _labelled(label, text, 3 if len(code.mend) > 1 else 0)
    return lines


def where(code: Code) -> str:
    """ "alarm or warning; in the story and in zcluster status"."""
    places = [*(["the story"] if code.in_story else []), *(["zcluster status"] if code.in_status else [])]
    return f"{' or '.join(code.levels)}; in {' and '.join(places)}"


def overview(codes: list[Code]) -> list[str]:
    """A line or two for each."""
    rows = [(code.name, f"{_first_sentence(code.means)} ({', '.join(code.levels)})") for code in codes]
    lines = ["What to do about one of them: zcluster explain CODE", ""]
    return lines + table(("CODE", "MEANS (LEVEL)"), rows)


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".") + "."


def _labelled(label: str, text: str, hanging: int = 0) -> list[str]:
    """The text beside its label; later lines stand under it, `hanging` further in."""
    room = WIDTH - LABEL_WIDTH
    parts = wrap(
        text, room, subsequent_indent=" " * hanging, break_long_words=False, break_on_hyphens=False
    ) or [""]
    return [f"{label if at == 0 else '':<{LABEL_WIDTH}}{part}".rstrip() for at, part in enumerate(parts)]
