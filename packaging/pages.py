#!/usr/bin/env python3
"""What a package ships that is made from the program itself: man pages and completions.

    python packaging/pages.py FOLDER [DATE]

writes FOLDER/man/zcluster.1, FOLDER/man/zcluster.toml.5 and FOLDER/completion/{bash,zsh,fish}. Run it with an
interpreter that has zcluster installed.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from pathlib import Path

from click.shell_completion import get_completion_class

from zcluster.cli import commands
from zcluster.config.reference import sections
from zcluster.console.manual import command_page, file_page

SHELLS = ("bash", "zsh", "fish")


def main() -> None:
    """Write them all."""
    folder = Path(sys.argv[1])
    date = sys.argv[2] if len(sys.argv) > 2 else time.strftime("%Y-%m-%d")
    (folder / "man").mkdir(parents=True, exist_ok=True)
    (folder / "completion").mkdir(exist_ok=True)
    number = version("zcluster")
    (folder / "man" / "zcluster.1").write_text(command_page(commands, number, date))
    (folder / "man" / "zcluster.toml.5").write_text(file_page(sections(), number, date))
    for shell in SHELLS:
        kind = get_completion_class(shell)
        assert kind is not None, f"click knows no {shell}"
        (folder / "completion" / shell).write_text(
            kind(commands, {}, "zcluster", "_ZCLUSTER_COMPLETE").source()
        )


if __name__ == "__main__":
    main()
