"""What a tired person meant by one word too many, said with the refusal.

What must hold: a command line that is right is read as ever.
"""

from __future__ import annotations

import re
from typing import Any

import click

from zcluster.console.words import printable

_EXTRA = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)", re.DOTALL)


class Hinted(click.Command):
    """A command with a `hint` for words too many: `{extra}` is the last of them, other names are its parameters."""

    def __init__(self, *args: Any, hint: str = "", **named: Any) -> None:
        super().__init__(*args, **named)
        self._hint = hint

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does. Raises UsageError with the hint in the place of click's words."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            found = _EXTRA.fullmatch(error.message)
            if found is None:
                raise
            extra = printable(found["words"].split(" ")[-1])[:64]
            words = {name: printable(str(value)) for name, value in ctx.params.items()}
            raise click.UsageError(self._hint.format(**{**words, "extra": extra}), ctx) from error
