"""Codes of a node that is there and takes over nothing, and the words of the status that lead to them."""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.codes.entry import Code

_LEFT = "Nobody waits for you while `zcluster status` says that every group is held and another slave stands ready."

CODES = (
    Code(
        "host-not-well",
        ("warning",),
        "this node takes over nothing: gate: Operation not permitted",
        "Something of the host that zcluster needs to hold an address is refused: its packet rules (gate), its sockets "
        "on the service network (neighbours), or the addresses themselves. The node is FAILED: it votes, and holds and "
        "claims nothing until that works again. It is tried anew all the time.",
        (
            _LEFT,
            "`zcluster doctor` on that host names what is missing: privileges, kernel modules, another tool that owns "
            "the packet rules.",
            "`journalctl -u zcluster` has the kernel's words. After the mend it comes back by itself.",
        ),
    ),
    Code(
        "mended",
        ("notice",),
        "what kept this node from taking over is mended after 3 min 5 s",
        "The fault of a node that was FAILED is over. It is a slave again, and stands ready once its copies are "
        "complete.",
    ),
    Code(
        "service-not-well",
        ("warning",),
        "this node takes over nothing: lan: no carrier",
        "The node cannot reach the callers' network: its interface has no carrier, none of the reference addresses "
        "answers, or it hears nobody there while other links carry. The node is FAILED: it votes, and holds and claims "
        "nothing until that is over.",
        (
            _LEFT,
            "On that host: `ip -s link`, `ip address`; if it says DOWN: `ip link set IF up`. Then cable, switch port, "
            "VLAN.",
            "No reference answers: `ping` the `references` of that link from that host and from another one. If nobody "
            "reaches them, the gateway is down, or the file names the wrong ones.",
            "It comes back by itself.",
        ),
    ),
    Code(
        "switch-not-well",
        ("warning",),
        "this node takes over nothing: its switch is not well (event socket closed)",
        "The FreeSWITCH of that host is dead, hangs, is paused, or lacks a profile that a group needs. The node is "
        "FAILED: it votes, and holds and claims nothing until its switch is well again. What it held, it has given "
        "away.",
        (
            _LEFT,
            "event socket closed, takes no connection: `systemctl status freeswitch` on that host, then `systemctl "
            "start freeswitch`. It runs and is refused? `zcluster doctor` there checks the event socket's place and "
            "password.",
            "its event thread is stuck: it hangs; keep `gcore` of its process if you can, then `systemctl restart "
            "freeswitch`.",
            "profile NAME: not running: `fs_cli -x 'sofia status'`, `fs_cli -x 'sofia profile NAME start'`; the log of "
            "FreeSWITCH says why it did not start.",
            "paused: `fs_cli -x 'fsctl resume'`.",
            "It comes back by itself within seconds: `zcluster status` there.",
        ),
    ),
)

# What else such a node is called in the status, and the codes to read. Copies that fill need no mend.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "not-ready": ("switch-not-well", "service-not-well", "host-not-well", "data-ended"),
    "failed": ("switch-not-well", "service-not-well", "host-not-well", "silent"),
    "takes-over-nothing": ("switch-not-well", "service-not-well", "host-not-well"),
}
