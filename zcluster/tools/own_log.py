"""What this process says of itself: lines of the daemon's log, as `[log] format` of the file has them.

What must hold: it is in the log alone, since nothing goes from here into the story; a log that nobody reads costs no
more than `zcluster.adapters.log` waits, and never ends this process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from zcluster.adapters.journal import Record
from zcluster.adapters.log import Log, open_log

NOTHING: Mapping[str, object] = {}


class OwnLog:
    """The log of the tools process of `node`; `log` is where its lines go."""

    def __init__(self, log: Log, node: str) -> None:
        self._log = log
        self._node = node

    def write(self, level: str, code: str, text: str, facts: Mapping[str, object] = NOTHING) -> None:
        """One line. `code`: see `zcluster.codes`."""
        with suppress(OSError, ValueError):
            self._log.write(Record(time.time_ns() // 1_000_000, self._node, level, code, text, facts))


def own_log(log_format: str, node: str) -> OwnLog:
    """On standard error, in that format."""
    return OwnLog(open_log(log_format, sys.stderr, os.environ), node)
