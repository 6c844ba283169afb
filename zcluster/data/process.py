"""The data process: `python -m zcluster.data --fd N --config FILE --node NAME --run-dir DIR`.

Started by the control process, with one end of a packet pair as descriptor N (`wire/local_link.py`). What must
hold: it ends when the other end closes (within `orphan.LIMIT_S`, whatever it does) or says so, and at nothing else, for
a signal to the whole service would otherwise take it before calls and records are handed over; it is an ordinary
process, whatever its parent is; its heap of records is nothing that the collector has to walk.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from zcluster.adapters.addresses import Addresses
from zcluster.adapters.bus import BusKeys
from zcluster.adapters.journal import Record
from zcluster.adapters.local_channel import LocalChannel
from zcluster.adapters.log import defect, open_log
from zcluster.adapters.orphan import end_with_the_other_side
from zcluster.adapters.realtime import quiet_collector
from zcluster.adapters.stream_sockets import LinkAddress
from zcluster.config.configuration import Configuration
from zcluster.config.identity import LocalAddress, identify
from zcluster.config.keyfile import load_service_key
from zcluster.config.load import load
from zcluster.config.passwordfile import load_password
from zcluster.data.assembly import DataProcess, Plan
from zcluster.data.life import begin_life
from zcluster.data.telephony_settings import telephony_settings_of
from zcluster.errors import ZclusterError
from zcluster.switch.wishes import Login
from zcluster.wire.keys import derive

EXIT_WELL = 0
EXIT_REFUSED = 1
EXIT_DEFECT = 70  # EX_SOFTWARE of sysexits.h
# Records are bytes in dictionaries of bytes, which the collector does not track. What it does track is short-lived.
COLLECTOR_THRESHOLDS = (50_000, 20, 100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the control process ends it; the exit status."""
    wanted = _parsed(arguments)
    _be_ordinary()
    end_with_the_other_side(wanted.fd)
    channel = LocalChannel(socket.socket(fileno=wanted.fd))
    log_format = "auto"
    try:
        configuration = load(wanted.config)
        log_format = configuration.log_format
        with ExitStack() as stack:
            run_on(plan_of(configuration, wanted.node, wanted.run_dir), channel, stack)
    except ZclusterError as error:
        _complain(log_format, wanted.node, f"the data process cannot run: {error}", {})
        return EXIT_REFUSED
    except Exception as error:
        # A defect. The control process starts us again.
        text = f"the data process ends by a defect: {type(error).__name__}: {error}"
        _complain(log_format, wanted.node, text, defect(error))
        return EXIT_DEFECT
    return EXIT_WELL


def _complain(log_format: str, node: str, text: str, facts: Mapping[str, object]) -> None:
    """The last word of this process, in the log; in the story is the control process's own."""
    with suppress(OSError, ValueError):
        log = open_log(log_format, sys.stderr, os.environ)
        log.write(Record(time.time_ns() // 1_000_000, node, "alarm", "data-failed", text, facts))


def run_on(plan: Plan, channel: LocalChannel, stack: ExitStack) -> None:
    """Put the process together and run it to its end."""
    process = DataProcess(plan, channel, stack)
    quiet_collector(is_collecting=True)
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    process.begin()
    process.loop.run()


def plan_of(configuration: Configuration, node: str, run_dir: Path) -> Plan:
    """What the file says, on this host. Raises ZclusterError."""
    switch = configuration.switch
    assert switch is not None, "without [switch] there is no data process"
    keys = derive(load_service_key(configuration.key_file))
    return Plan(
        settings=telephony_settings_of(configuration, node),
        incarnation=begin_life(configuration.state_dir, time.time_ns() // 1_000_000),
        version=_version(),
        switch_address=str(switch.event_socket.address),
        switch_port=switch.event_socket.port,
        login=Login(load_password(switch.password_file)),
        core_db=switch.core_db,
        limits_port=switch.limits_port,
        run_dir=run_dir,
        links=_own_links(configuration, node),
        keys=BusKeys(keys.server, keys.client),
        bystanders=(*configuration.witnesses, *configuration.never_master),
    )


def _own_links(configuration: Configuration, node: str) -> tuple[LinkAddress, ...]:
    """The links for streams: the cluster's own first, those that carry traffic after them."""
    addresses = Addresses()
    try:
        present = [LocalAddress(one.interface, one.address) for one in addresses.present() if not one.is_ours]
    finally:
        addresses.close()
    identity = identify(configuration, socket.gethostname(), present, node_name=node)
    services = {link.name for link in configuration.service_links}
    ordered = sorted(identity.links, key=lambda local: local.link.name in services)
    return tuple(LinkAddress(one.link.name, str(one.address), one.link.data_port) for one in ordered)


def _be_ordinary() -> None:
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="zcluster.data", description="Started by `zcluster run` alone.")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    return parser.parse_args(arguments)


def _version() -> str:
    try:
        return version("zcluster")
    except PackageNotFoundError:
        return "unknown"
