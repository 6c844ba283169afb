"""What the kernel adapters cost: the gate's calls, how exactly it ends a lease, addresses, and pyroute2 beside.

    python -m bench.kernel [--seconds 10] [--daemons 3]

Needs root, or `unshare -Urn` before it. Each daemon is a process in a network namespace of its own, on its
loopback interface, under SCHED_RR where it may; all times are wall-clock microseconds of one call with the
kernel's confirmation in it.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from zcluster.adapters.addresses import Addresses
from zcluster.adapters.gate import Gate
from zcluster.adapters.realtime import prepare, tick_ms

Address = IPv4Address | IPv6Address
Samples = dict[str, list[float]]

CLONE_NEWNET = 0x40000000
RATE_PER_S = 50
SET_FLAGS = 0x8914
IS_UP = 0x1


def own_network() -> None:
    """A network namespace for this process, with its loopback interface up."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise SystemExit(f"a network namespace was refused: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", IS_UP))


def timed(samples: list[float], act: Callable[[], object]) -> None:
    """Run once and note the microseconds."""
    start = time.perf_counter()
    act()
    samples.append((time.perf_counter() - start) * 1e6)


def renewals(addresses: tuple[Address, ...], seconds: float) -> Samples:
    """Arm before each beat and point after it, at the pace of a master; close and open now and then."""
    gate = Gate()
    found: Samples = {name: [] for name in ("install", "arm", "point", "close", "is_intact")}
    for _count in range(5):
        timed(found["install"], lambda: gate.install(addresses, ["lo"]))
    for slot in range(1, int(seconds * RATE_PER_S) + 1):
        timed(found["arm"], lambda slot=slot: gate.arm(slot, addresses, 140))  # type: ignore[misc]
        time.sleep(0.5 / RATE_PER_S)
        timed(found["point"], lambda slot=slot: gate.point(addresses, slot))  # type: ignore[misc]
        if slot % 10 == 0:
            timed(found["close"], lambda: gate.close(addresses))
            timed(found["is_intact"], gate.is_intact)
        time.sleep(0.5 / RATE_PER_S)
    gate.shut()
    return found


def expiry(lease_ms: int, times: int) -> Samples:
    """How long after arming the last packet passes, in µs, with a sender that tries every 50 µs."""
    address = ip_address("10.77.0.9")
    gate, addresses = Gate(), Addresses()
    gate.install([address], ["lo"])
    addresses.add("lo", address, valid_s=600)
    speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    speaker.bind((str(address), 5060))
    found: list[float] = []
    for slot in range(1, times + 1):
        time.sleep(0.0007 * slot % 0.004)
        armed = time.perf_counter()
        gate.arm(slot, [address], lease_ms)
        gate.point([address], slot)
        passed = armed
        while (began := time.perf_counter()) < armed + lease_ms / 1000 + 0.02:
            try:
                speaker.sendto(b"audio", (str(address), 9))
                passed = began
            except PermissionError:
                pass
            time.sleep(0.00005)
        found.append((passed - armed) * 1e6)
    speaker.close()
    return {f"lease {lease_ms} ms ends after": found}


def address_calls(times: int) -> Samples:
    """Add, renew and remove, IPv4 and IPv6."""
    addresses = Addresses()
    found: Samples = {}
    for address in (ip_address("10.77.0.9"), ip_address("fd77::9")):
        names = [f"address {act} v{address.version}" for act in ("add", "renew", "remove")]
        for name in names:
            found[name] = []
        for _count in range(times):
            timed(found[names[0]], lambda address=address: addresses.add("lo", address))  # type: ignore[misc]
            timed(found[names[1]], lambda address=address: addresses.add("lo", address))  # type: ignore[misc]
            timed(found[names[2]], lambda address=address: addresses.remove("lo", address))  # type: ignore[misc]
            time.sleep(0.002)
    return found


def by_pyroute2(times: int) -> Samples:
    """The same address call through pyroute2, for comparison; nothing if it is not installed."""
    try:
        from pyroute2 import IPRoute
    except ImportError:
        return {}
    found: list[float] = []
    with IPRoute() as route:
        index = socket.if_nametoindex("lo")
        for _count in range(times):
            timed(found, lambda: route.addr("add", index=index, address="10.77.0.9", prefixlen=32))
            route.addr("del", index=index, address="10.77.0.9", prefixlen=32)
    return {"pyroute2 address add v4": found}


def imports() -> None:
    """Start-up time and memory of a process that imports one or the other."""
    for name in ("zcluster.adapters.netlink", "zcluster.adapters.gate", "pyroute2"):
        script = (
            "import socket, ipaddress, struct, time; "
            "pages = lambda: int(open('/proc/self/statm').read().split()[1]); "
            "before = pages(); start = time.perf_counter(); "
            f"import {name}; spent = time.perf_counter() - start; "
            "print(f'{spent * 1000:.0f} ms, {(pages() - before) * 4096 / 2**20:.1f} MiB')"
        )
        for _warm in range(2):
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        print(f"import {name:28s} {done.stdout.strip() or 'not installed'}")


def report(samples: Samples) -> None:
    """Median, 99th of a hundred, worst."""
    for name, values in samples.items():
        ordered = sorted(values)
        middle, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
        numbers = f"median {middle:9.1f}  p99 {late:9.1f}  worst {ordered[-1]:9.1f}  least {ordered[0]:9.1f}"
        print(f"{name:32s} {numbers}  n {len(ordered)}")


def daemon(results: multiprocessing.SimpleQueue[Samples], count: int, seconds: float) -> None:
    """One master with `count` addresses of each kind, renewing in its own namespace."""
    own_network()
    prepare()
    addresses = tuple(ip_address(f"10.77.1.{number}") for number in range(1, count + 1))
    addresses += tuple(ip_address(f"fd77::1:{number:x}") for number in range(1, count + 1))
    results.put(renewals(addresses, seconds))


def main() -> None:
    """Everything, one after another; the daemons at the same time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--daemons", type=int, default=3)
    asked = parser.parse_args()
    print(f"kernel {os.uname().release}, tick {tick_ms():.2f} ms, {os.cpu_count()} processors")
    imports()
    results: multiprocessing.SimpleQueue[Samples] = multiprocessing.SimpleQueue()
    for count in (1, 8):
        print(
            f"-- {asked.daemons} daemons, {RATE_PER_S} renewals/s each, {count} IPv4 and {count} IPv6 addresses"
        )
        arguments = (results, count, asked.seconds)
        children = [multiprocessing.Process(target=daemon, args=arguments) for _each in range(asked.daemons)]
        for child in children:
            child.start()
        together: Samples = {}
        for _child in children:
            for name, values in results.get().items():
                together.setdefault(name, []).extend(values)
        for child in children:
            child.join()
        report(together)
    own_network()
    print("-- alone")
    report(address_calls(300))
    report(by_pyroute2(300))
    prepare()
    for lease_ms in (76, 140):
        report(expiry(lease_ms, 60))


if __name__ == "__main__":
    main()
