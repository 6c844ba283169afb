"""The identifiers that a switch draws: of calls, tags, branches and events.

What must hold: chance is handed in, so that a seed repeats a test.
"""

from __future__ import annotations

import uuid
from random import Random

_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz"
BRANCH_COOKIE = "z9hG4bK"


class Names:
    """Draws from one source of chance."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def uuid(self) -> str:
        """As FreeSWITCH writes them."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def tag(self) -> str:
        """A tag of a dialog, 13 characters, as sofia-sip makes them."""
        return "".join(self._chance.choices(_LETTERS, k=13))

    def branch(self) -> str:
        """A branch of a transaction (RFC 3261, 8.1.1.7)."""
        return BRANCH_COOKIE + self.tag()
