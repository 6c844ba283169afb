"""The end of a child of the daemon when that is gone, whatever it is doing just then.

What must hold: `LIMIT_S` after the other end has closed the kernel ends this process, in a loop that hangs, in a
starting or an ending that takes long, and in code that does not give the interpreter back. The service manager waits
for it before the next daemon starts, and SIGTERM it ignores (the data process, the tools process).

Source: setitimer(2); a signal whose action is the default one needs no interpreter to be carried out.
"""

from __future__ import annotations

import os
import select
import signal
import threading

LIMIT_S = 1.5


def end_with_the_other_side(descriptor: int, limit_s: float = LIMIT_S) -> None:
    """Watch the socket `descriptor` for its other end, from now on. Call it early, and once."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # One of our own: the number of one that was closed would soon be another's.
    watched = os.dup(descriptor)
    threading.Thread(target=_watch, args=(watched, limit_s), name="orphan", daemon=True).start()


def _watch(descriptor: int, limit_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # POLLHUP is always told
    while not poll.poll():
        pass
    signal.setitimer(signal.ITIMER_REAL, limit_s)
