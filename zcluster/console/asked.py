"""Who is asked: the processes of this host, or (`--connect`) those of another one.

What must hold: importing this loads nothing that only the other host needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from zcluster.console.options import DATA_SOCKET_PATH

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
