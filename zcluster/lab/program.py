"""How the running program is called again from the same directory: what a clone prints must work in the clone.

What must hold: what is named can be typed, also where zcluster is not in PATH, as after `make demo`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "zcluster"


def this_program(called: str | None = None) -> str:
    """The words before `lab up`. `called` is how this process was started, without it sys.argv[0]."""
    path = Path(sys.argv[0] if called is None else called)
    found = shutil.which(NAME)
    if path.name == NAME and path.is_file():
        if found is not None and os.path.samefile(found, path):
            return NAME
        return shlex.quote(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path))
    return NAME if found is not None else f"{shlex.quote(sys.executable)} -m {NAME}"
