"""One daemon a host: the lock file in the run directory.

What must hold: two daemons never run with one run directory, also when the first was killed a moment ago: the
kernel holds the lock exactly as long as the process lives.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from zcluster.errors import StateFileError

FILE_NAME = "zcluster.lock"


def take_lock(run_dir: Path) -> IO[str]:
    """Take the lock and keep the returned file open while running. Raises StateFileError."""
    path = run_dir / FILE_NAME
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise StateFileError(f"{path}: {error.strerror}; run as root, or name another run-dir") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read(20).strip() or "unknown"
        file.close()
        raise StateFileError(
            f"{path}: zcluster runs here already (process {owner}); stop that one first"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
