"""A data process without a file: `python lone_process.py FD DIRECTORY`. No switch answers it, and it has no link."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from socket import socket

from zcluster.adapters.bus import BusKeys
from zcluster.adapters.local_channel import LocalChannel
from zcluster.adapters.orphan import end_with_the_other_side
from zcluster.data.assembly import Plan
from zcluster.data.process import run_on
from zcluster.switch.wishes import Login
from zcluster.telephony.settings import TelephonySettings
from zcluster.wire.keys import derive

if __name__ == "__main__":
    descriptor, where = int(sys.argv[1]), Path(sys.argv[2])
    end_with_the_other_side(descriptor)
    keys = derive(b"k" * 32)
    plan = Plan(
        settings=TelephonySettings("n1", ()),
        incarnation=time.time_ns() // 1_000_000,
        version="test",
        switch_address="127.0.0.1",
        switch_port=9,
        login=Login("ClueCon"),
        core_db=where / "core.db",
        limits_port=0,
        run_dir=where,
        links=(),
        keys=BusKeys(keys.server, keys.client),
    )
    with ExitStack() as stack:
        run_on(plan, LocalChannel(socket(fileno=descriptor)), stack)
