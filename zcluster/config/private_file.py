"""Read and write secrets in files that only their owner can use.

What must hold: what was judged is what is read; no message quotes any of the content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from zcluster.errors import KeyFileError

OTHERS_MASK = 0o077
LARGEST_BYTES = 4096


class Secret(NamedTuple):
    """How a kind of secret is spoken of: "the <name>", what to do where there is none, and where it was exposed."""

    name: str
    missing_mend: str
    exposed_mend: str


def read_private(path: Path, secret: Secret, others_mask: int = OTHERS_MASK) -> bytes:
    """The content of a plain file that only its owner can use; KeyFileError, with a mend, for any other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyFileError(f"{path}: there is no {secret.name}; {secret.missing_mend}") from None
    except OSError as error:
        raise KeyFileError(f"{path}: the {secret.name} cannot be read: {error.strerror}") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyFileError(
                f"{path}: the {secret.name} must be a plain file; name one in the cluster's file"
            )
        mode = stat.S_IMODE(facts.st_mode)
        if mode & others_mask:
            raise KeyFileError(
                f"{path}: others than its owner can use this {secret.name} (mode {mode:04o}); mend with "
                f"`chmod 600 {path}`, {secret.exposed_mend}"
            )
        return os.read(descriptor, LARGEST_BYTES)
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Create the file for its owner alone, and put it on the disk before it counts. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
