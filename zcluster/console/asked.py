"""Who is asked: the processes of this host, or (`--connect`) those of another one.

What must hold: importing this loads nothing that only the other host needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from zcluster.console.options import DATA_SOCKET_PATH
from zcluster.errors import ControlSocketError, ZclusterError

EXIT_REFUSED = 1
EXIT_NOT_REACHABLE = 3

NO_WISHES = "another host is only read by --connect: log in to a host of the cluster to change anything"


class Sockets(NamedTuple):
    """Where a command asks: the control process, and the data process."""

    control: Path
    data: Path


@contextmanager
def sockets(
    connect: str | None, key: Path, control: Path, data: Path = DATA_SOCKET_PATH
) -> Iterator[Sockets]:
    """Those of this host, or the likes of them of host `connect`, while the context lasts. Raises ZclusterError."""
    if connect is None:
        yield Sockets(control, data)
        return
    from zcluster.console.remote import sockets_at

    with sockets_at(connect, key) as found:
        yield found


def exit_status(error: ZclusterError) -> int:
    """What a command ends with that raised it."""
    return EXIT_NOT_REACHABLE if isinstance(error, ControlSocketError) else EXIT_REFUSED


@contextmanager
def refusals(schema: str, as_json: bool) -> Iterator[None]:
    """With `as_json` an error of ours within ends the program, with JSON; else it passes (`zcluster.cli.main`)."""
    try:
        yield
    except ZclusterError as error:
        if not as_json:
            raise
        print(json.dumps({"schema": schema, "ok": False, "error": str(error)}))
        sys.exit(exit_status(error))
