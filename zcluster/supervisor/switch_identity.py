"""What a beat says of the switch beside a node: a mark of its build, and its name, both short.

What must hold: two builds have one mark only if `api version` says the same of both, but for a chance of one in four
thousand millions; a mark begins with the version's own number, for people. Pure.
"""

from __future__ import annotations

import hashlib
import re

from zcluster.wire.bounds import MAX_BUILD_CHARACTERS, MAX_TOKEN_CHARACTERS

DIGEST_CHARACTERS = 8
_find_version = re.compile(r"[0-9][0-9A-Za-z.-]*").search


def build_mark(text: str) -> str:
    """The answer to `api version` in short, such as "1.11.3-dev:5f0c82d1"; "" for ""."""
    if not text:
        return ""
    found = _find_version(text)
    number = found[0][: MAX_BUILD_CHARACTERS - DIGEST_CHARACTERS - 1] if found else ""
    return f"{number}:{_digest(text)}"


def short_name(name: str) -> str:
    """A switchname that fits a beat: one that is too long ends in a digest of all of it."""
    if len(name) <= MAX_TOKEN_CHARACTERS:
        return name
    return f"{name[: MAX_TOKEN_CHARACTERS - DIGEST_CHARACTERS - 1]}~{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:DIGEST_CHARACTERS]
