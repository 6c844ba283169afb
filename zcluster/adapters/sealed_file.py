"""A text that a child shall read as it is now, whatever becomes of the file that it came from.

What must hold: nobody can change it, the child as little as we; it is in memory alone and goes with its last reader.

Sources: memfd_create(2), fcntl(2) on seals; a kernel before 6.3 does not know MFD_NOEXEC_SEAL.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from zcluster.errors import KernelRefused

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_NOEXEC_SEAL = 8  # linux/memfd.h
_FLAGS = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING


class SealedFile:
    """`content` for good. A child that is given `fileno()` reads it by `path`."""

    def __init__(self, name: str, content: bytes) -> None:
        """Raises KernelRefused. `name` is for people who look at /proc."""
        try:
            self._descriptor = _memory(name)
            with os.fdopen(os.dup(self._descriptor), "wb") as file:
                file.write(content)
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except OSError as problem:
            raise KernelRefused(f"{name} cannot be kept in memory: {problem.strerror}") from problem

    def fileno(self) -> int:
        """To be handed to the child under the same number."""
        return self._descriptor

    @property
    def path(self) -> Path:
        """Where the child opens it, from its beginning each time."""
        return Path(f"/proc/self/fd/{self._descriptor}")

    def close(self) -> None:
        """Give our own descriptor back."""
        os.close(self._descriptor)


def _memory(name: str) -> int:
    try:
        return os.memfd_create(name, _FLAGS | _MFD_NOEXEC_SEAL)
    except OSError as problem:
        if problem.errno != errno.EINVAL:
            raise
        return os.memfd_create(name, _FLAGS)
