"""Faults of networks as they are, and of what else shares a host: none of them may move anything by itself.

What must hold: as in faults.py. What a fault should have been told about is looked up in the daemons' logs, from
where each stood when the fault began.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from random import Random

from zcluster.adapters import nftables
from zcluster.lab.faults import Fault, KillHost
from zcluster.lab.host import Program
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import CLIENT, Network

_FLUSH = nftables.batch_body([nftables.request(nftables.DELETE_TABLE, 0, 0)])  # as `nft flush ruleset` does
_ETHERNET_ARP = 0x0806
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_READY_WITHIN_S = 5.0
_TELL_PROXY = " proxy: "


class NoMulticast(Fault):
    """Switches that lose multicast after a while: IGMP snooping without a querier."""

    name = "no-multicast"
    story = "all bridges drop every multicast frame for 3 s; peers that were heard are spoken to directly"
    moves = False
    hold_s = 3.0

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        self.hit = tuple(lab.powered)

    def inject(self) -> None:
        """Let no port flood multicast."""
        self.lab.switchboard.flood_multicast(False)

    def heal(self) -> None:
        """Let them again."""
        self.lab.switchboard.flood_multicast(True)


class FlushRules(Fault):
    """Another tool replaces the whole packet filter, ours included."""

    name = "flush-rules"
    story = "another tool flushes the holder's whole ruleset, as `nft flush ruleset` does"
    moves = False
    hold_s = 1.0

    def inject(self) -> None:
        """Delete every table of the holder's network namespace."""
        self.lab.hosts[self.holder].fork("flush", _flush).wait(_READY_WITHIN_S)

    def heal(self) -> None:
        """The daemon mends it."""

    def complaints(self) -> list[str]:
        """The rules must stand again."""
        check = self.lab.hosts[self.holder].fork("look", _look_for_rules)
        return [] if check.wait(_READY_WITHIN_S) == 0 else [f"the rules of {self.holder} do not stand again"]


class ProxyArp(KillHost):
    """A router on the service network answers for every address, while the holder dies."""

    name = "proxy-arp"
    story = "a router answers every probe for whatever address, and the holder loses power"

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        self._proxy: Program | None = None

    def inject(self) -> None:
        """Start the answering, then kill."""
        ready_read, ready_write = os.pipe()
        self._proxy = self.lab.hosts[CLIENT].fork("proxy", lambda: _answer_every_probe(ready_write))
        os.close(ready_write)
        os.read(ready_read, 1)
        os.close(ready_read)
        super().inject()

    def heal(self) -> None:
        """End the answering, and let the host return."""
        assert self._proxy is not None
        self._proxy.signal(signal.SIGKILL)
        self._proxy.wait(_READY_WITHIN_S)
        super().heal()

    def complaints(self) -> list[str]:
        """Each daemon warns at most once in its life, the new holder's at least once."""
        times = {node: self.lab.log_of(node).read_text().count(_TELL_PROXY) for node in self.lab.powered}
        lives = {node: self.lab.log_of(node).read_text().count(" started: ") for node in self.lab.powered}
        found = [
            f"{node} warned {times[node]} times of one proxy" for node in times if times[node] > lives[node]
        ]
        if not any(times.values()):
            found.append("nobody noticed the proxy")
        return found


def _flush() -> None:
    nftables.Nftables().commit("flushing the ruleset", _FLUSH)


def _look_for_rules() -> None:
    nft = nftables.Nftables()
    for family in (nftables.INET, nftables.ARP, nftables.NETDEV):
        if not nft.listing(nftables.GET_TABLE, family, "zcluster"):
            raise AssertionError(f"family {family} has no table zcluster")


def _answer_every_probe(ready: int) -> None:
    """In the client's namespace: say of every address that is probed for (RFC 5227) that it is here.

    Ordinary questions are left alone, for what is sent here would have to be forwarded.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERNET_ARP)) as wire:
        wire.bind((Network.SERVICE.value, _ETHERNET_ARP))
        mac = wire.getsockname()[4]
        os.write(ready, b"r")
        while True:
            frame = wire.recv(128)
            if len(frame) < 14 + _ARP.size:
                continue
            *_kind, code, asker, sender, _target_mac, target = _ARP.unpack_from(frame, 14)
            if code == 1 and sender == bytes(4):
                answer = _ARP.pack(1, 0x0800, 6, 4, 2, mac, target, asker, bytes(4))
                wire.send(asker + mac + _ETHERNET_ARP.to_bytes(2, "big") + answer)
