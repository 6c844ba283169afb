"""The laboratory's three networks: bridges in its own namespace, and a cable from each to each host.

What must hold: a fault on a cable is one kernel call, so that the moment of the fault is sharp. No packet
leaves the laboratory's namespace: nothing here is connected to any interface of the machine.

The bridges neither learn multicast membership nor speak a spanning tree: a port forwards the moment it is up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pyroute2 import IPRoute

from zcluster.errors import LabError
from zcluster.lab.bridge_ports import PortState, set_multicast_flood, set_port_states
from zcluster.lab.namespaces import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount
from zcluster.lab.plan import LENGTH_V4, LENGTH_V6, HostPlan, Network

_NO_DUPLICATE_DETECTION = 0x02  # IFA_F_NODAD


class Switchboard:
    """The bridges and cables, driven from the laboratory's own network namespace. One owner, one thread."""

    def __init__(self) -> None:
        self._netlink = IPRoute()
        self._bridges: dict[Network, int] = {}
        self._ports: dict[str, int] = {}

    def close(self) -> None:
        """Let go of the netlink socket; the bridges go with their namespace."""
        self._netlink.close()

    def build_bridges(self) -> None:
        """Make the three bridges. Raises LabError where the kernel has no bridge or refuses."""
        silence_kernel_addresses()
        with _told("make the bridges"):
            self._up(self._index("lo"))
            for network in Network:
                self._netlink.link(
                    "add",
                    ifname=network.bridge,
                    kind="bridge",
                    br_forward_delay=0,
                    br_stp_state=0,
                    br_mcast_snooping=0,
                )
                self._bridges[network] = self._index(network.bridge)
                self._up(self._bridges[network])

    def connect(self, host: HostPlan, process: int) -> None:
        """Lay a cable from each bridge to the host whose namespace `process` is in; all up on this side."""
        with _told(f"lay the cables of {host.name}"):
            for network in Network:
                port = network.port(host.name)
                self._netlink.link(
                    "add",
                    ifname=port,
                    kind="veth",
                    peer={"ifname": network.value, "net_ns_pid": process},
                )
                self._ports[port] = self._index(port)
                self._netlink.link("set", index=self._ports[port], master=self._bridges[network], state="up")

    def unplug(self, host: str, *networks: Network) -> None:
        """Cut the cables: the host sees its carrier go."""
        for network in networks:
            self._netlink.link("set", index=self._port(host, network), state="down")

    def plug(self, host: str, *networks: Network) -> None:
        """Mend cables that `unplug` cut."""
        for network in networks:
            self._up(self._port(host, network))

    def mute(self, host: str, *networks: Network) -> None:
        """Drop everything both ways at the bridge's port: the host still sees its carrier."""
        self._set_port_states(host, networks, PortState.DISABLED)

    def unmute(self, host: str, *networks: Network) -> None:
        """Forward again on ports that `mute` closed."""
        self._set_port_states(host, networks, PortState.FORWARDING)

    def flood_multicast(self, is_on: bool) -> None:
        """Let every port of every bridge pass multicast frames on, or none."""
        with _told("change how multicast is flooded"):
            set_multicast_flood(list(self._ports.values()), is_on)

    def forget(self, host: str) -> None:
        """Take the host's cables away, its own ends included (its namespace may be held by no process)."""
        for network in Network:
            index = self._ports.pop(network.port(host), None)
            if index is not None:
                self._netlink.link("del", index=index)

    def _set_port_states(self, host: str, networks: tuple[Network, ...], state: PortState) -> None:
        with _told(f"set the ports of {host}"):
            set_port_states([self._port(host, network) for network in networks], state)

    def _port(self, host: str, network: Network) -> int:
        return self._ports[network.port(host)]

    def _index(self, name: str) -> int:
        found = self._netlink.link_lookup(ifname=name)
        if not found:
            raise LabError(f"interface {name} was made and is not there")
        return int(found[0])

    def _up(self, index: int) -> None:
        self._netlink.link("set", index=index, state="up")


def configure_host_interfaces(host: HostPlan) -> None:
    """Address and raise the interfaces of the host in whose namespace the caller is.

    Raises:
        LabError: the kernel refused.
    """
    with _told(f"configure {host.name}"), IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
        for network in Network:
            index = netlink.link_lookup(ifname=network.value)[0]
            netlink.link("set", index=index, state="up")
            netlink.addr(
                "add",
                index=index,
                address=host.address(network),
                prefixlen=LENGTH_V4,
                broadcast=host.address(network).rsplit(".", 1)[0] + ".255",
            )
            if network is Network.SERVICE:
                netlink.addr(
                    "add",
                    index=index,
                    address=host.service_address_v6,
                    prefixlen=LENGTH_V6,
                    flags=_NO_DUPLICATE_DETECTION,
                )


def silence_kernel_addresses() -> None:
    """Keep IPv6 of the bridges and their ports quiet: they only carry frames.

    Where /proc is read only they chat a little, which disturbs nobody.
    """
    _set("ipv6/conf/default/disable_ipv6", "1")


def prepare_host_kernel() -> None:
    """Let the link-local addresses of a host's interfaces work at once, without duplicate detection.

    For a process that is alone in its new namespaces: /sys is laid anew, to show the host's own interfaces.
    """
    with contextlib.suppress(OSError):
        mount("sysfs", Path("/sys"), "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _set("ipv6/conf/default/accept_dad", "0")
    _set("ipv6/conf/all/accept_dad", "0")


def allow_foreign_addresses() -> None:
    """Let programs of this host bind addresses that are not here, as a switch does with every floating one."""
    _set("ipv4/ip_nonlocal_bind", "1")
    _set("ipv6/ip_nonlocal_bind", "1")


def _set(name: str, value: str) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/sys/net", name).write_text(value)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn a refusal of the kernel into one readable line (pyroute2's errors are OSErrors or its own)."""
    try:
        yield
    except LabError:
        raise
    except Exception as error:
        raise LabError(f"the kernel refused to {what}: {error}") from error
