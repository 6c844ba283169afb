"""How many examples of a property are looked at: all of them, or in `make check` a fifth."""

from __future__ import annotations

import os

IS_QUICK = "ZCLUSTER_QUICK" in os.environ
DEFAULT = 100


def examples(many: int) -> int:
    """`many`, or its fifth where it should be quick."""
    return max(5, many // 5) if IS_QUICK else many
