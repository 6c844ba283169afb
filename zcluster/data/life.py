"""When this process began, so that its streams are told from those of its earlier lives.

What must hold: an incarnation is larger than all before it on this host, also when the clock was set back.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FILE_NAME = "data-incarnation"


def begin_life(state_dir: Path, wall_ms: int) -> int:
    """Milliseconds of the wall clock, or one more than the last life's; remembered as far as the disk allows."""
    file = state_dir / FILE_NAME
    last = 0
    with suppress(OSError, ValueError):
        last = int(file.read_text("ascii"))
    incarnation = max(wall_ms, last + 1)
    with suppress(OSError):
        state_dir.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.write_text(f"{incarnation}\n", "ascii")
        os.replace(draft, file)
    return incarnation
