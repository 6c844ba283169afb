"""nf_tables over raw netlink: the few messages and expressions that our packet filters need.

What must hold: a transaction is applied whole or not at all, and only upon the generation of the ruleset
that the caller names; any change by another tool in between is refused with ERESTART. Neither the `nft`
program nor its library is needed.

Sources: linux/netfilter/nf_tables.h, net/netfilter/nfnetlink.c (batches), nf_tables_api.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Sequence

from zcluster.adapters import netlink
from zcluster.adapters.netlink import attribute, nested, text

INET = 1
IPV4 = 2
ARP = 3
NETDEV = 5
IPV6 = 10

NEW_TABLE, GET_TABLE, DELETE_TABLE = 0, 1, 2
NEW_CHAIN, GET_CHAIN = 3, 4
NEW_RULE, GET_RULE = 6, 7
NEW_SET, GET_SET = 9, 10
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = 12, 13, 14
GET_GENERATION = 16

TABLE_IS_DORMANT = 0x1
SET_IS_MAP = 0x8
SET_HAS_TIMEOUT = 0x10
SET_HAS_CONCATENATION = 0x80

LINK_HEADER = 0
NETWORK_HEADER = 1
TRANSPORT_HEADER = 2
META_PROTOCOL = 1
META_MARK = 3
META_NFPROTO = 15
META_L4PROTO = 16
FIRST_REGISTER = 8  # NFT_REG32_00; each register holds four bytes
DROP = 0
JUMP = -3
RETURN = -5

# nft's own type numbers, so that `nft list ruleset` shows our sets readably (nftables: include/datatype.h)
TYPE_IPV4, TYPE_IPV6, TYPE_MARK, TYPE_BITS = 7, 8, 19, 6

CONFIRMING = 2  # the sequence of the last message of a batch, the one that the kernel confirms

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 16, 17
_BATCH = struct.pack(">BBH", 0, 0, 10)
_END = netlink.message(_BATCH_END, 0, _BATCH, 3)
_BIG = struct.Struct(">I")


def number(kind: int, value: int) -> bytes:
    """A 32-bit attribute in network order, as nf_tables wants all its numbers."""
    return attribute(kind, _BIG.pack(value & 0xFFFFFFFF))


def request(kind: int, flags: int, family: int, *inner: bytes, sequence: int = 1) -> bytes:
    """One message to the nf_tables subsystem."""
    body = struct.pack("=BBH", family, 0, 0) + b"".join(inner)
    return netlink.message(_SUBSYSTEM | kind, flags, body, sequence)


def batch_begin(generation: int) -> bytes:
    """The opening of a transaction that shall apply to this generation of the ruleset only (0: to any)."""
    return netlink.message(_BATCH_BEGIN, 0, _BATCH + (number(1, generation) if generation else b""), 0)


def batch_body(messages: Sequence[bytes]) -> bytes:
    """The messages of one transaction and its end; the last message asks for the kernel's confirmation."""
    last = bytearray(messages[-1])
    length, kind, flags, _sequence, port = netlink.HEADER.unpack_from(last)
    netlink.HEADER.pack_into(last, 0, length, kind, flags | netlink.NLM_F_ACK, CONFIRMING, port)
    return b"".join(messages[:-1]) + bytes(last) + _END


def table(kind: int, family: int, name: str, comment: str = "", flags: int = 0) -> bytes:
    """Create (`NEW_TABLE`) or delete (`DELETE_TABLE`) a table."""
    inner = [text(1, name)]
    if flags:
        inner.append(number(2, flags))
    if comment:
        inner.append(attribute(6, bytes((0, len(comment) + 1)) + comment.encode() + b"\0"))
    return request(kind, netlink.NLM_F_CREATE if kind == NEW_TABLE else 0, family, *inner)


def chain(family: int, table_name: str, name: str) -> bytes:
    """A chain that others jump to."""
    return request(NEW_CHAIN, netlink.NLM_F_CREATE, family, text(1, table_name), text(3, name))


def base_chain(
    family: int, table_name: str, name: str, hook: int, priority: int, interfaces: Sequence[str] = ()
) -> bytes:
    """A chain at a netfilter hook, policy accept; `netdev` chains name the interfaces they stand on."""
    place = [number(1, hook), number(2, priority)]
    if interfaces:
        place.append(nested(4, *(text(1, interface) for interface in interfaces)))
    inner = (text(1, table_name), text(3, name), nested(4, *place), number(5, 1), text(7, "filter"))
    return request(NEW_CHAIN, netlink.NLM_F_CREATE, family, *inner)


def named_set(
    family: int,
    table_name: str,
    name: str,
    key: tuple[int, int],
    flags: int = 0,
    data: tuple[int, int] | None = None,
    fields: Sequence[int] = (),
    collect_ms: int = 0,
) -> bytes:
    """A set, or with `data` a map. `key` and `data` are (nft's type number, length in bytes).

    `fields`: the lengths of a concatenated key's parts; `collect_ms`: how often what ran out is freed.
    """
    inner = [text(1, table_name), text(2, name), number(3, flags | (SET_IS_MAP if data else 0))]
    inner += [number(4, key[0]), number(5, key[1])]
    if fields:
        listed = (nested(1, number(1, length)) for length in fields)
        inner.append(nested(9, nested(2, *listed)))
    if data:
        inner += [number(6, data[0]), number(7, data[1])]
    inner.append(number(10, 1))
    if collect_ms:
        inner.append(number(12, collect_ms))
    return request(NEW_SET, netlink.NLM_F_CREATE, family, *inner)


def rule(family: int, table_name: str, chain_name: str, expressions: Iterable[bytes]) -> bytes:
    """A rule at the end of a chain."""
    flags = netlink.NLM_F_CREATE | netlink.NLM_F_APPEND
    inner = (text(1, table_name), text(2, chain_name), nested(4, *expressions))
    return request(NEW_RULE, flags, family, *inner)


def elements(kind: int, flags: int, family: int, table_name: str, set_name: str, listed: bytes) -> bytes:
    """Add or delete elements; `listed` is made of `element` and must stay below 64 KiB."""
    return request(kind, flags, family, text(1, table_name), text(2, set_name), nested(3, listed))


def element(key: bytes, data: bytes = b"", timeout_ms: int = 0) -> bytes:
    """One element of a set or map. The kernel rounds the timeout down to its tick."""
    inner = [nested(1, attribute(1, key))]
    if data:
        inner.append(nested(2, attribute(1, data)))
    if timeout_ms:
        inner.append(attribute(4, struct.pack(">Q", timeout_ms)))
    return nested(1, *inner)


def load(base: int, offset: int, length: int, register: int = FIRST_REGISTER) -> bytes:
    """Expression: bytes of the packet into registers."""
    return _expression("payload", number(1, register), number(2, base), number(3, offset), number(4, length))


def load_meta(key: int, register: int = FIRST_REGISTER) -> bytes:
    """Expression: a property of the packet into a register."""
    return _expression("meta", number(1, register), number(2, key))


def equals(value: bytes, register: int = FIRST_REGISTER) -> bytes:
    """Expression: go on only if the register holds this value."""
    return _expression("cmp", number(1, register), number(2, 0), nested(3, attribute(1, value)))


def look_up(set_name: str, register: int = FIRST_REGISTER, into: int = 0) -> bytes:
    """Expression: go on only if the set has the registers' value; a map's data goes `into` a register."""
    inner = [text(1, set_name), number(2, register)]
    if into:
        inner.append(number(3, into))
    return _expression("lookup", *inner)


def set_mark(register: int) -> bytes:
    """Expression: a register into the packet's mark."""
    return _expression("meta", number(2, META_MARK), number(3, register))


def verdict(code: int, chain_name: str = "") -> bytes:
    """Expression: drop, return, or jump to a chain."""
    inner = [number(1, code)]
    if chain_name:
        inner.append(text(2, chain_name))
    return _expression("immediate", number(1, 0), nested(2, nested(2, *inner)))


def _expression(name: str, *inner: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *inner))


class Nftables:
    """A socket to nf_tables in the network namespace in which it was made."""

    def __init__(self) -> None:
        self._netlink = netlink.Netlink(netlink.NETLINK_NETFILTER)

    def close(self) -> None:
        """Give the socket back; the rules stay."""
        self._netlink.close()

    def commit(self, action: str, body: bytes, generation: int = 0) -> None:
        """One transaction made by `batch_body`, applied and confirmed, or `netlink.Refused`."""
        self._netlink.transact(action, batch_begin(generation) + body, CONFIRMING)

    def generation(self) -> int:
        """The number that every change of the ruleset, by anybody, moves on."""
        action = "asking for the packet filter's generation"
        (record,) = self._netlink.dump(action, _SUBSYSTEM | GET_GENERATION, bytes(4), flags=0)
        return int(_BIG.unpack(netlink.attributes(record[4:])[1])[0])

    def listing(self, kind: int, family: int, table_name: str) -> list[bytes]:
        """The attributes of every table, chain, rule or set (by `kind`) of one table; none if it is gone."""
        action = f"listing table {table_name}"
        named = b"" if kind == GET_TABLE else text(1, table_name)
        body = struct.pack("=BBH", family, 0, 0) + named
        records = self._dump(action, kind, body)
        wanted = table_name.encode() + b"\0"
        return [record[4:] for record in records if netlink.attributes(record[4:]).get(1) == wanted]

    def listed_elements(self, family: int, table_name: str, set_name: str) -> list[bytes]:
        """The attributes of every element of one set or map, expired ones left out by the kernel."""
        action = f"listing set {set_name} of table {table_name}"
        body = struct.pack("=BBH", family, 0, 0) + text(1, table_name) + text(2, set_name)
        found: list[bytes] = []
        for record in self._dump(action, GET_ELEMENT, body):
            listed = netlink.attributes(record[4:]).get(3, b"")
            found.extend(value for _kind, value in netlink.each_attribute(listed))
        return found

    def _dump(self, action: str, kind: int, body: bytes) -> list[bytes]:
        try:
            return self._netlink.dump(action, _SUBSYSTEM | kind, body)
        except netlink.Refused as refusal:
            if refusal.number == errno.ENOENT:
                return []
            raise
