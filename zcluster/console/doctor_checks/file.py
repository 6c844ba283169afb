"""The cluster's file, and this host's place in it: what the other checks start from.

What must hold: `zcluster check` says everything about the file; here it is only said whether there is more to read
there.
"""

from __future__ import annotations

import socket
from pathlib import Path

from zcluster.adapters.addresses import Addresses
from zcluster.config.check import warnings
from zcluster.config.configuration import Configuration
from zcluster.config.host import HostFacts
from zcluster.config.identity import Identity, LocalAddress, identify
from zcluster.config.load import Reading
from zcluster.console.doctor_checks.finding import Finding, error, good, warning
from zcluster.console.words import counted
from zcluster.errors import IdentityError, KernelRefused


def findings(path: Path, reading: Reading, facts: HostFacts | None) -> list[Finding]:
    """Whether the file can be used."""
    mend = f"zcluster check {path}"
    if reading.configuration is None and not path.exists():
        elsewhere = "if the daemon runs with another file, name that one with --config; else: "
        words = f"there is no file {path}; only the host was looked at"
        return [error("file", words, elsewhere + reading.faults[0].mend)]
    if reading.configuration is None or facts is None:
        words = f"{path} cannot be used: {counted(len(reading.faults), 'error')}; only the host was looked at"
        return [error("file", words, mend)]
    dangers = sum(1 for _ in warnings(reading.configuration, facts))
    if dangers:
        return [warning("file", f"{path} can be used, with {counted(dangers, 'warning')}", mend)]
    return [good("file", f"{path} can be used")]


def identity_of(configuration: Configuration, node_name: str | None) -> Identity | Finding:
    """Which node this is, or why it is none."""
    try:
        addresses = Addresses()
        try:
            present = addresses.present()
        finally:
            addresses.close()
        own = [LocalAddress(one.interface, one.address) for one in present if not one.is_ours]
        return identify(configuration, socket.gethostname(), own, node_name=node_name)
    except (IdentityError, KernelRefused) as problem:
        words = str(problem).replace(":\n", ": ", 1).replace("\n", "; ")
        return error(
            "node", words, "give this host an address in every network of the file, or mend the file"
        )
