"""What a tired person meant by a word too many or too few, said with the refusal.

What must hold: a command line that is right is read as ever.
"""

from __future__ import annotations

import re
from typing import Any

import click

from zcluster.console.words import printable

_EXTRA = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)", re.DOTALL)


class Hinted(click.Command):
    """A command with hints for words too many and too few.

    In `hint` `{extra}` is the last word too many, other names are the command's parameters. `example` is a whole
    command line that is right.
    """

    def __init__(self, *args: Any, hint: str = "", example: str = "", **named: Any) -> None:
        super().__init__(*args, **named)
        self._hint = hint
        self._example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does. Raises UsageError with the hint in the place of click's words."""
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter as error:
            if not self._example:
                raise
            raise click.UsageError(f"{error.format_message()} For example: {self._example}", ctx) from error
        except click.UsageError as error:
            found = _EXTRA.fullmatch(error.message)
            if found is None or not self._hint:
                raise
            extra = printable(found["words"].split(" ")[-1])[:64]
            words = {name: printable(str(value)) for name, value in ctx.params.items()}
            raise click.UsageError(self._hint.format(**{**words, "extra": extra}), ctx) from error
