"""The rules of the gate: what is looked at in which packet, and what must be true for it to pass.

What must hold: a packet that speaks for a managed address, in or out, by IP, ARP or neighbour discovery,
passes only if `pointed` names a slot for the address and `armed` still holds (address, slot). Everything
else passes untouched, so a node that holds nothing can still probe (ARP from 0.0.0.0, solicitation from ::).

Every table has its own copy of the three sets, since a set cannot be shared between tables:
`managed` (the addresses), `pointed` (address -> slot) and `armed` (address, slot; with a timeout).

Sources: RFC 826 and RFC 4861 for the offsets; DESIGN 4.3 for why output and targets are looked at as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zcluster.adapters import netlink, nftables
from zcluster.adapters.nftables import (
    FIRST_REGISTER,
    LINK_HEADER,
    META_L4PROTO,
    META_MARK,
    META_NFPROTO,
    META_PROTOCOL,
    NETWORK_HEADER,
    TRANSPORT_HEADER,
    equals,
    load,
    load_meta,
    look_up,
    set_mark,
    verdict,
)

FAMILIES = (nftables.INET, nftables.ARP, nftables.NETDEV)
COLLECT_MS = 1000  # how often the kernel frees elements that ran out
ELEMENTS_PER_MESSAGE = 512  # a nested attribute ends at 64 KiB, an IPv6 element takes 52 bytes
SLOT_KEY = (nftables.TYPE_MARK, 4)

_BEFORE_OTHERS = -300  # before connection tracking: what is dropped leaves no entry behind
_INET_INPUT, _INET_OUTPUT = 1, 3
_ARP_INPUT, _ARP_OUTPUT = 0, 1
_NETDEV_EGRESS = 1
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = b"\x3a", b"\x87", b"\x88"


@dataclass(frozen=True, slots=True)
class Selector:
    """Where one kind of packet carries the address it speaks for.

    Each of `conditions` is a row of expressions that picks the kind; one of them is enough. The address is
    `version` 4 or 6, at `offset` of `base`.
    """

    chain: str
    name: str
    version: int
    conditions: tuple[tuple[bytes, ...], ...]
    base: int
    offset: int

    def load(self) -> bytes:
        """The expression that brings the address into the first registers."""
        return load(self.base, self.offset, address_bytes(self.version))


def address_bytes(version: int) -> int:
    """The length of an address."""
    return 4 if version == 4 else 16


def versions(family: int) -> tuple[int, ...]:
    """The IP versions for which a table of this family keeps sets."""
    return (4,) if family == nftables.ARP else (4, 6)


def _is_protocol(key: int, value: bytes) -> tuple[bytes, ...]:
    return (load_meta(key), equals(value))


def _either(ether_type: bytes, *more: bytes) -> tuple[tuple[bytes, ...], ...]:
    """What a frame is, by its own header and by what its sender's socket claims: a packet socket may claim
    anything, and an interface without link-layer headers has only the claim."""
    own = (load(LINK_HEADER, 12, 2), equals(ether_type), *more)
    return (own, (*_is_protocol(META_PROTOCOL, ether_type), *more))


def _neighbour(kind: bytes) -> tuple[bytes, ...]:
    """Found by the IP stack, whatever extension headers there are."""
    return (load_meta(META_L4PROTO), equals(_ICMPV6), load(TRANSPORT_HEADER, 0, 1), equals(kind))


_V4 = _is_protocol(META_NFPROTO, b"\x02")
_V6 = _is_protocol(META_NFPROTO, b"\x0a")
_ETHER_ARP = _either(b"\x08\x06")
_ETHER_V4 = _either(b"\x08\x00")
_ETHER_V6 = _either(b"\x86\xdd")
_PLAIN_ADVERTISEMENT = (load(NETWORK_HEADER, 6, 1), equals(_ICMPV6), load(NETWORK_HEADER, 40, 1))
_ETHER_ADVERTISEMENT = _either(b"\x86\xdd", *_PLAIN_ADVERTISEMENT, equals(_ADVERTISEMENT))

SELECTORS = {
    nftables.INET: (
        Selector("input", "v4_destination", 4, (_V4,), NETWORK_HEADER, 16),
        Selector("input", "v6_destination", 6, (_V6,), NETWORK_HEADER, 24),
        Selector("input", "solicited", 6, (_V6 + _neighbour(_SOLICITATION),), TRANSPORT_HEADER, 8),
        Selector("output", "v4_source", 4, (_V4,), NETWORK_HEADER, 12),
        Selector("output", "v6_source", 6, (_V6,), NETWORK_HEADER, 8),
        Selector("output", "advertised", 6, (_V6 + _neighbour(_ADVERTISEMENT),), TRANSPORT_HEADER, 8),
    ),
    nftables.ARP: (
        Selector("input", "arp_target", 4, ((),), NETWORK_HEADER, 24),
        Selector("output", "arp_sender", 4, ((),), NETWORK_HEADER, 14),
    ),
    nftables.NETDEV: (
        Selector("egress", "arp_sender", 4, _ETHER_ARP, NETWORK_HEADER, 14),
        Selector("egress", "v4_source", 4, _ETHER_V4, NETWORK_HEADER, 12),
        Selector("egress", "v6_source", 6, _ETHER_V6, NETWORK_HEADER, 8),
        Selector("egress", "advertised", 6, _ETHER_ADVERTISEMENT, NETWORK_HEADER, 48),
    ),
}

_SLOT_REGISTER = FIRST_REGISTER + 4  # behind the four that an IPv6 address fills
_SAVED_REGISTER = FIRST_REGISTER + 5

# Needless for the kernel, needed by operators: `nft list ruleset` (1.0.6; netlink_delinearize.c, "consumed > 0")
# aborts on a look-up whose key comes straight out of a map. So the slot goes through the packet's mark, which
# has its old value again before anything can end the rule.
_THROUGH_THE_MARK = (
    load_meta(META_MARK, _SAVED_REGISTER),
    set_mark(_SLOT_REGISTER),
    load_meta(META_MARK, _SLOT_REGISTER),
    set_mark(_SAVED_REGISTER),
)

# An announcement has sender = target. It must reach the neighbour table of a node whose own gate is closed,
# or that node keeps sending to the old holder. The answer to a request is still stopped on its way out.
_ANNOUNCEMENT = (load(NETWORK_HEADER, 14, 4), look_up("managed4"), verdict(nftables.RETURN))


def ruleset(
    table: str, family: int, managed: dict[int, list[bytes]], interfaces: Sequence[str], flags: int = 0
) -> list[bytes]:
    """The messages that put one closed table in the place of whatever stands under its name.

    `managed` holds packed addresses by IP version; `interfaces` is used by the netdev family alone.
    `flags`: the table's; a dormant one stands at no hook and filters nothing.
    """
    messages = [
        nftables.table(nftables.NEW_TABLE, family, table),
        nftables.table(nftables.DELETE_TABLE, family, table),
        nftables.table(nftables.NEW_TABLE, family, table, "zcluster: who may use a floating address", flags),
    ]
    armed = nftables.SET_HAS_TIMEOUT
    messages.append(nftables.named_set(family, table, "armed", SLOT_KEY, armed, collect_ms=COLLECT_MS))
    for version in versions(family):
        messages += _sets(table, family, version, managed[version])
    messages += _base_chains(table, family, interfaces)
    if family == nftables.ARP:
        messages.append(nftables.rule(family, table, "input", _ANNOUNCEMENT))
    for selector in SELECTORS[family]:
        messages += _selected(table, family, selector)
    return messages


def _sets(table: str, family: int, version: int, managed: list[bytes]) -> list[bytes]:
    length = address_bytes(version)
    address_type = nftables.TYPE_IPV4 if version == 4 else nftables.TYPE_IPV6
    key = (address_type, length)
    messages = [
        nftables.named_set(family, table, f"managed{version}", key),
        nftables.named_set(family, table, f"pointed{version}", key, data=SLOT_KEY),
    ]
    for start in range(0, len(managed), ELEMENTS_PER_MESSAGE):
        listed = b"".join(map(nftables.element, managed[start : start + ELEMENTS_PER_MESSAGE]))
        name = f"managed{version}"
        messages.append(
            nftables.elements(nftables.NEW_ELEMENT, netlink.NLM_F_CREATE, family, table, name, listed)
        )
    return messages


def _base_chains(table: str, family: int, interfaces: Sequence[str]) -> list[bytes]:
    if family == nftables.NETDEV:
        return [nftables.base_chain(family, table, "egress", _NETDEV_EGRESS, _BEFORE_OTHERS, interfaces)]
    hooks = (_ARP_INPUT, _ARP_OUTPUT) if family == nftables.ARP else (_INET_INPUT, _INET_OUTPUT)
    return [
        nftables.base_chain(family, table, name, hook, _BEFORE_OTHERS)
        for name, hook in zip(("input", "output"), hooks, strict=True)
    ]


def _selected(table: str, family: int, selector: Selector) -> list[bytes]:
    """Managed addresses go through a chain of their own: back if held and unexpired, else dropped."""
    version = selector.version
    return [
        nftables.chain(family, table, selector.name),
        nftables.rule(
            family,
            table,
            selector.name,
            (
                selector.load(),
                look_up(f"pointed{version}", into=_SLOT_REGISTER),
                *_THROUGH_THE_MARK,
                look_up("armed", _SLOT_REGISTER),
                verdict(nftables.RETURN),
            ),
        ),
        nftables.rule(family, table, selector.name, (verdict(nftables.DROP),)),
        *(
            nftables.rule(
                family,
                table,
                selector.chain,
                (
                    *conditions,
                    selector.load(),
                    look_up(f"managed{version}"),
                    verdict(nftables.JUMP, selector.name),
                ),
            )
            for conditions in selector.conditions
        ),
    ]
