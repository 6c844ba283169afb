"""How far the daemon's story was handed on, kept beside its socket for the next life of this process.

What must hold: what an earlier life handed on is not handed on again, but for the last second before a crash; nothing
here is needed for more, so a file that cannot be read or written is as good as none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FILE_NAME = "tools.place"


class Place(NamedTuple):
    """The number of the last record that was handed on, in a life of the daemon."""

    incarnation: int
    number: int


class PlaceFile:
    """The file in `directory`, which a planned restart leaves and a boot does not."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def read(self) -> Place | None:
        """What the last life wrote."""
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(self._path.read_text("ascii"))
            if isinstance(found, list) and [type(number) for number in found] == [int, int]:
                return Place(*found)
        return None

    def write(self, place: Place) -> None:
        """For the next life."""
        draft = self._path.with_suffix(".new")
        with suppress(OSError):
            draft.write_text(json.dumps(place), "ascii")
            os.replace(draft, self._path)
