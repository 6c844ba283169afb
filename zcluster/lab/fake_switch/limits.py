"""Limits as mod_hash counts them: locally, plus what its remote says of the others.

What must hold: usage + increment + usage of the remote above the maximum refuses; a call counts once for a key; a
remote that is gone counts nothing (it fails open); an empty answer changes nothing. Source: mod_hash.c, 130-225
and 806-905.
"""

from __future__ import annotations

import re

REALM = "laboratory"
BACKEND = "hash"
_LINE = re.compile(r"L/([^/\n]+)/(\d{1,10})/(\d{1,10})/(\d{1,10})/(\d{1,12})")


class Limits:
    """The counts of one switch."""

    def __init__(self) -> None:
        self._usage: dict[str, set[str]] = {}
        self._remote: dict[str, int] = {}

    def usage(self, key: str) -> int:
        """How many calls are counted here."""
        return len(self._usage.get(key, ()))

    def take(self, key: str, maximum: int, uuid: str) -> bool:
        """Counts the call, unless the maximum forbids it. A call that is counted already is let through."""
        holders = self._usage.setdefault(key, set())
        increment = 0 if uuid in holders else 1
        if len(holders) + increment + self._remote.get(key, 0) > maximum:
            return False
        holders.add(uuid)
        return True

    def release(self, uuid: str) -> None:
        """The call has ended."""
        for key in [key for key, holders in self._usage.items() if uuid in holders]:
            self._usage[key].discard(uuid)
            if not self._usage[key]:
                del self._usage[key]

    def dump(self) -> str:
        """As `hash_dump limit` prints it; "" when nothing is counted."""
        return "".join(f"L/{key}/{len(holders)}/0/0/0\n" for key, holders in self._usage.items() if holders)

    def hear_remote(self, body: str) -> None:
        """What the remote's `hash_dump limit` said; keys that it no longer names count nothing."""
        if body:
            self._remote = {found[1]: int(found[2]) for found in _LINE.finditer(body)}

    def lose_remote(self) -> None:
        """The remote is gone."""
        self._remote = {}
