"""The report as one file: a .tar.gz with a README that says what is in it, what is not and why.

What must hold: nobody but its owner can read it; it appears whole or not at all; what a name of the network
could do as a path was taken from it before.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from zcluster.console.report_parts.evidence import Piece
from zcluster.errors import StateFileError

README = "README.txt"


def write(path: Path, folder: str, readme: str, pieces: Iterable[Piece], at_s: int) -> int:
    """Write everything that is there below `folder`; the size in bytes. StateFileError when it cannot be."""
    partial = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
                _add(archive, f"{folder}/{README}", readme.encode(), at_s)
                for each in pieces:
                    if each.content is not None:
                        _add(archive, f"{folder}/{each.path}", each.content, at_s)
            os.link(partial, path)  # a file that is there already is never replaced
        finally:
            with suppress(OSError):
                partial.unlink()
        return path.stat().st_size
    except FileExistsError:
        raise StateFileError(f"{path}: there is a file already; give another name with --out") from None
    except OSError as error:
        raise StateFileError(f"{path}: {error.strerror}; give another place with --out") from error


def _add(archive: tarfile.TarFile, name: str, content: bytes, at_s: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(content), at_s, 0o600
    archive.addfile(entry, io.BytesIO(content))


def table_of_contents(pieces: Sequence[Piece]) -> list[str]:
    """Each file with one line about it."""
    there = [each for each in pieces if each.content is not None]
    width = max((len(each.path) for each in there), default=0)
    return [f"  {each.path:<{width}}  {each.about}" for each in there]


def gaps(pieces: Sequence[Piece]) -> list[str]:
    """What could not be had, each with its reason."""
    return [f"  {each.path}: {' '.join(each.reason.split())}" for each in pieces if each.content is None]
