"""Does a telephone behind NAT, which registered long ago and has been silent since, still ring after a takeover?

    python -m bench.pinhole --freeswitch-prefix DIR [--before-s 3600] [--after-s 300] [--pinhole-s 30]

Three hosts with a real FreeSWITCH, and a router of its own between the telephone and the service network: nftables
masquerades, and the kernel's connection tracking forgets a UDP flow after --pinhole-s (nf_conntrack_udp_timeout). The
telephone registers once for two hours and sends nothing by itself afterwards, so the switch's own OPTIONS alone keep
the hole open. After --before-s the holder loses power; --after-s later the telephone is called through the new one.

Before all that the hole is tried without a switch: an answer after two thirds of --pinhole-s must come in, one after
four thirds must not. Needs root, nft and an hour. One JSON line. Exit 0 only if the telephone rang and was answered.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from pyroute2 import IPRoute

from zcluster.errors import BadMessage, LabError
from zcluster.lab.fake_switch.message import Request, Response, parse, write
from zcluster.lab.host import Host, Program, Storage
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, Laboratory
from zcluster.lab.plan import LENGTH_V4, HostPlan, Network, SwitchKind, make_plan
from zcluster.lab.switch_configuration import DOMAIN
from zcluster.lab.switches import check_prefix
from zcluster.lab.telephones import SIP_PORT
from zcluster.lab.world import run_in_world

ROUTER, TELEPHONE = HostPlan("router", 240), HostPlan("telephone", 241)
INSIDE, OUTSIDE_LEG = "inside", "svc"
ROUTER_ADDRESS, TELEPHONE_ADDRESS = "192.168.77.1", "192.168.77.2"
NUMBER = "1000"
CALLER_PORT, ECHO_PORT = 5099, 7007
REGISTERED_S = 7200
TAKEOVER_LIMIT_S = 15.0
RING_LIMIT_S = 10.0
AGAIN_S = 0.5
SAY_EVERY_S = 300.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    before_s: float
    after_s: float
    pinhole_s: int


# -- the router and the telephone, each in a host of its own


def make_router(lab: Laboratory, pinhole_s: int) -> tuple[Host, Host]:
    """The router on the service network, and the telephone's host behind it."""
    router = Host(ROUTER, _storage(lab, ROUTER))
    lab.switchboard.connect(ROUTER, router.process)
    router.configure()
    telephone = Host(TELEPHONE, _storage(lab, TELEPHONE))
    with IPRoute() as netlink:
        netlink.link(
            "add",
            ifname=INSIDE,
            kind="veth",
            net_ns_pid=router.process,
            peer={"ifname": INSIDE, "net_ns_pid": telephone.process},
        )
    _done(router.fork("address", partial(_address, ROUTER_ADDRESS, None)))
    _done(telephone.fork("address", partial(_address, TELEPHONE_ADDRESS, ROUTER_ADDRESS)))
    _done(router.fork("masquerade", partial(_masquerade, pinhole_s)))
    return router, telephone


def _storage(lab: Laboratory, plan: HostPlan) -> Storage:
    return Storage(lab.directory / "run" / plan.name, lab.directory / "state" / plan.name)


def _done(program: Program) -> None:
    if program.wait(10.0) != 0:
        raise LabError(f"{program.name} failed (the reason stands above)")


def _address(address: str, gateway: str | None) -> None:
    with IPRoute() as netlink:
        for name in ("lo", INSIDE):
            netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
        index = netlink.link_lookup(ifname=INSIDE)[0]
        netlink.addr("add", index=index, address=address, prefixlen=LENGTH_V4)
        if gateway is not None:
            netlink.route("add", dst="default", gateway=gateway)


def _masquerade(pinhole_s: int) -> None:
    nft = shutil.which("nft")
    if nft is None:
        raise LabError("a router needs `nft`: apt-get install nftables")
    rules = f"""\
table ip nat {{
    chain out {{
        type nat hook postrouting priority srcnat;
        oifname "{OUTSIDE_LEG}" masquerade
    }}
}}
"""
    subprocess.run([nft, "-f", "-"], input=rules.encode(), check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
        Path("/proc/sys/net/netfilter", name).write_text(str(pinhole_s))


def be_telephone(registrar: str, log: Path) -> None:
    """Register once, then answer whatever comes, for ever; a line of JSON in `log` for each event."""
    with closing(_socket(TELEPHONE_ADDRESS, SIP_PORT)) as wire, log.open("a", buffering=1) as out:

        def note(word: str) -> None:
            out.write(json.dumps({"at": time.time(), "word": word}) + "\n")

        wire.settimeout(AGAIN_S)
        while (answer := _ask(wire, _register(registrar), registrar)) is None:
            continue
        note(f"registered {answer.status}")
        wire.settimeout(None)
        while True:
            data, source = wire.recvfrom(65536)
            with suppress(BadMessage):
                message = parse(data)
                if isinstance(message, Request):
                    note(message.method)
                    for reply in _replies(message):
                        wire.sendto(reply, source)


def _register(registrar: str) -> Request:
    here = f"{TELEPHONE_ADDRESS}:{SIP_PORT}"
    headers = {
        "Via": f"SIP/2.0/UDP {here};branch=z9hG4bK-pinhole-1;rport",
        "From": f"<sip:{NUMBER}@{DOMAIN}>;tag=telephone",
        "To": f"<sip:{NUMBER}@{DOMAIN}>",
        "Call-ID": "pinhole-registration",
        "CSeq": "1 REGISTER",
        "Contact": f"<sip:{NUMBER}@{here}>",
        "Expires": str(REGISTERED_S),
        "Max-Forwards": "70",
    }
    return Request(tuple(headers.items()), "", "REGISTER", f"sip:{registrar}:{SIP_PORT}")


def _replies(asked: Request) -> list[bytes]:
    if asked.method == "ACK":
        return []
    to = asked.get("To") if "tag=" in asked.get("To") else f"{asked.get('To')};tag=telephone"
    same = tuple(pair for name in ("Via", "Record-Route", "From") for pair in asked.all(name))
    headers = (*same, ("To", to), ("Call-ID", asked.call_id), ("CSeq", asked.get("CSeq")))
    if asked.method != "INVITE":
        return [write(Response(headers, "", 200, "OK"))]
    headers = (*headers, ("Contact", f"<sip:{NUMBER}@{TELEPHONE_ADDRESS}:{SIP_PORT}>"))
    ringing, answered = Response(headers, "", 180, "Ringing"), _sdp(TELEPHONE_ADDRESS)
    return [
        write(ringing),
        write(Response((*headers, ("Content-Type", "application/sdp")), answered, 200, "OK")),
    ]


# -- who calls it


def ring(target: str, caller: str, name: str, said: Path) -> None:
    """Call the telephone through the floating address `target`, hang up when it has answered; say how it went."""
    with closing(_socket(caller, CALLER_PORT)) as wire:
        wire.settimeout(AGAIN_S)
        answer = _ask(wire, _call(target, caller, name, "INVITE", ""), target, RING_LIMIT_S)
        status = 0 if answer is None else answer.status
        if answer is not None and status == 200:
            to = answer.get("To")
            wire.sendto(write(_call(target, caller, name, "ACK", to)), (target, SIP_PORT))
            time.sleep(1.0)
            goodbye = _ask(wire, _call(target, caller, name, "BYE", to), target, RING_LIMIT_S)
            status = 0 if goodbye is None else goodbye.status
    said.write_text(str(status))


def _call(target: str, caller: str, name: str, method: str, to: str) -> Request:
    here = f"{caller}:{CALLER_PORT}"
    body = _sdp(caller) if method == "INVITE" else ""
    headers = {
        "Via": f"SIP/2.0/UDP {here};branch=z9hG4bK-{name}-{method}",
        "From": f"<sip:caller@{here}>;tag={name}",
        "To": to or f"<sip:{NUMBER}@{target}>",
        "Call-ID": f"pinhole-{name}",
        "CSeq": f"{2 if method == 'BYE' else 1} {method}",
        "Contact": f"<sip:caller@{here}>",
        "Max-Forwards": "70",
        **({"Content-Type": "application/sdp"} if body else {}),
    }
    return Request(tuple(headers.items()), body, method, f"sip:{NUMBER}@{target}:{SIP_PORT}")


def _ask(wire: socket.socket, asked: Request, target: str, limit_s: float = AGAIN_S) -> Response | None:
    """The final answer, None if there was none; sent again while nothing comes."""
    until = time.monotonic() + limit_s
    is_heard = False
    while time.monotonic() < until:
        if not is_heard:
            wire.sendto(write(asked), (target, SIP_PORT))
        with suppress(TimeoutError, BadMessage):
            message = parse(wire.recv(65536))
            if isinstance(message, Response) and message.cseq == asked.cseq:
                is_heard = True
                if message.status >= 200:
                    return message
    return None


def _socket(address: str, port: int) -> socket.socket:
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((address, port))
    return wire


def _sdp(address: str) -> str:
    return (
        f"v=0\r\no=u 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        "m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )


# -- the hole itself


def try_hole(lab: Laboratory, telephone: Host, pinhole_s: int) -> bool:
    """Whether the hole lets in what comes before its end, and nothing afterwards."""
    client = lab.plan.client
    address = client.address(Network.SERVICE)
    waits = (pinhole_s * 2 / 3, pinhole_s * 4 / 3)
    lab.hosts[client.name].fork("echo", partial(_echo_late, address, waits))
    lab.wait(1.0)
    found = [
        telephone.fork(f"knock-{number}", partial(_knock, address, number, wait_s + 3.0))
        for number, wait_s in enumerate(waits)
    ]
    lab.wait(max(waits) + 5.0)
    heard = [program.wait(10.0) == 0 for program in found]
    return heard == [True, False]


def _echo_late(address: str, waits: Sequence[float]) -> None:
    due = []
    with closing(_socket(address, ECHO_PORT)) as wire:
        for _ in waits:
            data, source = wire.recvfrom(64)
            due.append((time.monotonic() + waits[int(data)], source))
        for when, source in sorted(due):
            time.sleep(max(when - time.monotonic(), 0.0))
            wire.sendto(b"late", source)


def _knock(address: str, number: int, limit_s: float) -> None:
    """Ends well only when an answer comes."""
    with closing(_socket(TELEPHONE_ADDRESS, 0)) as wire:
        wire.settimeout(limit_s)
        wire.sendto(str(number).encode(), (address, ECHO_PORT))
        try:
            wire.recv(64)
        except TimeoutError:
            os._exit(1)


# -- the whole


def play(lab: Laboratory, asked: Asked) -> dict[str, object]:
    """What became of it."""
    group, client = lab.plan.groups[0], lab.plan.client
    log = lab.directory / "telephone.jsonl"
    _, telephone = make_router(lab, asked.pinhole_s)
    is_hole = try_hole(lab, telephone, asked.pinhole_s)
    _say(f"the hole is as it should be: {is_hole}")
    telephone.fork("telephone", partial(be_telephone, group.address_v4, log))
    lab.wait_for(lambda: _words(log, "registered 200") != [], 30.0, "the telephone is registered")

    def rings(name: str) -> bool:
        said = lab.directory / f"ring-{name}"
        caller = client.address(Network.SERVICE)
        program = lab.hosts[client.name].fork(name, partial(ring, group.address_v4, caller, name, said))
        lab.wait_for(lambda: not program.is_running(), 3 * RING_LIMIT_S, "the call ended")
        status = said.read_text()
        _say(f"call {name}: {status}")
        return status == "200"

    lab.wait(3.0)
    rang_first = rings("first")
    _wait(lab, log, asked.before_s)
    holder, failed_at = lab.ownership(group.name).holder, time.time()
    lab.cut_off(holder)

    def is_taken_over() -> bool:
        seen = lab.observer.latest(group.address_v4)
        return seen is not None and seen.host != holder and lab.probes.is_answering(group.address_v4, 100)

    lab.wait_for(is_taken_over, TAKEOVER_LIMIT_S, "the address answered by another")
    _say(f"{holder} lost power, {lab.ownership(group.name).holder} has the address")
    _wait(lab, log, asked.after_s)
    rang_last = rings("last")
    pings = _words(log, "OPTIONS")
    across = [after - before for before, after in pairwise(pings) if before <= failed_at < after]
    gaps = [after - before for before, after in pairwise(pings)]
    return {
        "hole_closes": is_hole,
        "registered_s": round(time.time() - _words(log, "registered 200")[0]),
        "rang_before": rang_first,
        "rang_after": rang_last,
        "pings": len(pings),
        "longest_gap_s": round(max(gaps, default=0.0), 1),
        "gap_across_takeover_s": round(across[0], 1) if across else None,
        "registers": len(_words(log, "registered 200")),
    }


def _wait(lab: Laboratory, log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        lab.observer.start_over()
        lab.wait(min(left, SAY_EVERY_S))
        pings = _words(log, "OPTIONS")
        last = f"the last {time.time() - pings[-1]:.0f} s ago" if pings else "none"
        _say(f"{len(pings)} pings, {last}")


def _words(log: Path, word: str) -> list[float]:
    """When it was written down."""
    with suppress(OSError):
        records = [json.loads(line) for line in log.read_text().splitlines()]
        return [float(each["at"]) for each in records if each["word"] == word]
    return []


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _work(asked: Asked, prefix: Path, directory: Path) -> int:
    lab = Laboratory(directory, make_plan(3, 1, "standard", SwitchKind.FREESWITCH, prefix))
    try:
        lab.build()
        lab.wait_until_well(2 * FOUNDING_LIMIT_S)
        facts = play(lab, asked)
        print(json.dumps(facts), flush=True)
        return 0 if facts["hole_closes"] and facts["rang_before"] and facts["rang_after"] else 1
    except LabError:
        print(lab.log_tails(), file=sys.stderr, flush=True)
        raise
    finally:
        lab.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--freeswitch-prefix", type=Path, dest="prefix", required=True)
    parser.add_argument("--before-s", type=float, default=3600.0)
    parser.add_argument("--after-s", type=float, default=300.0)
    parser.add_argument("--pinhole-s", type=int, default=30)
    words = parser.parse_args()
    asked = Asked(words.before_s, words.after_s, words.pinhole_s)
    work: Callable[[Path], int] = partial(_work, asked, check_prefix(words.prefix))
    return run_in_world(work)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
