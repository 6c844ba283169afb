"""What the control process and its data process tell each other, as packets of a SOCK_SEQPACKET pair.

The control process starts the other as

    python -m zcluster.data --fd N --config FILE --node NAME --run-dir DIR

with its end of the pair as descriptor N. To it go `Peers`, `Groups` (each the whole state, at each change) and
`Stop`; from it come `Health`, `Completeness`, `Told`, `Figures` and `SwitchIdentity`. `Figures` come at least every
FIGURES_MS, as the sign that it still turns.

A message is a MessagePack array of its kind and its fields:

    0 peers         [[node, incarnation, [[link, address], ...]], ...], [[group, node], ...]
    1 groups        [[group, counter, is_open], ...]
    2 stop
    16 health       subject, problem
    17 completeness [[node, percent], ...], is_ready, reason
    18 told         level, code, text, facts
    19 figures      {name: number}
    20 identity     build, switchname

It travels in one packet or more: the first byte of each is 1 while more follow, 0 for the last.

What must hold: whatever `packets` makes, `PacketReader` reads; it raises nothing but BadMessage, whatever comes.
Each side trusts the other with nothing: everything is bounded, and texts are printable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

import msgpack

from zcluster.control.units import GroupName, LinkName, NodeName
from zcluster.errors import BadMessage
from zcluster.wire import bounds

# Far below net.core.wmem_default (212,992 bytes), which a packet must fit with its overhead.
LARGEST_PACKET_BYTES = 48 * 1024
LARGEST_MESSAGE_BYTES = 1024 * 1024
FIGURES_MS = 1000

MOST_LINKS = 16
MOST_FIGURES = 256
MOST_FACTS = 32
MOST_FACT_ITEMS = 32
LONGEST_NAME, LONGEST_PROBLEM, LONGEST_TEXT, LONGEST_IDENTITY = 64, 200, 1000, 255
LEVELS = ("info", "notice", "warning", "alarm")
_LAST, _MORE = b"\0", b"\1"
_INT64_END = 2**63

Fact = str | int | float | bool | None | tuple["Fact", ...]


class PeerPlace(NamedTuple):
    """A node that lives: the start that is meant, and its own address on each link it was heard on."""

    node: NodeName
    incarnation: int
    addresses: tuple[tuple[LinkName, str], ...]


class OwnGroup(NamedTuple):
    """A group that this node is the master of. `is_open`: its addresses are here and answer."""

    group: GroupName
    counter: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Peers:
    """All nodes that live now, without this one, and every holder that is known, this node included."""

    peers: tuple[PeerPlace, ...] = ()
    holders: tuple[tuple[GroupName, NodeName], ...] = ()


@dataclass(frozen=True, slots=True)
class Groups:
    """All groups that are ours: one that is not among them any more is lost."""

    own: tuple[OwnGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """End in good order."""


@dataclass(frozen=True, slots=True)
class Health:
    """Why the switch cannot carry traffic, under one subject; "" when that is over. A holder releases at once."""

    subject: str
    problem: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of each node's records is here, in percent, and whether that is enough to take over from others.

    `reason` says what is missing; "" when `is_ready`.
    """

    percents: tuple[tuple[NodeName, int], ...]
    is_ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Something an operator should be able to read later; `level` is one of LEVELS."""

    level: str
    code: str
    text: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counters and measures of the data process, all of them."""

    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SwitchIdentity:
    """What the switch said at its opening: the answer to `api version`, and its own name; "" where it would not."""

    build: str
    switchname: str


ToData = Peers | Groups | Stop
ToControl = Health | Completeness | Told | Figures | SwitchIdentity
Message = ToData | ToControl


def packets(message: Message) -> tuple[bytes, ...]:
    """The packets of a message, to be sent in their order and with nothing between them.

    Texts are made printable and cut, facts and figures of more than their bounds are left out.
    """
    payload: bytes = msgpack.packb(_fields(message))
    assert len(payload) <= LARGEST_MESSAGE_BYTES, "the bounds of the fields leave no larger message"
    step = LARGEST_PACKET_BYTES - 1
    pieces = [payload[start : start + step] for start in range(0, len(payload), step)]
    return (*(_MORE + piece for piece in pieces[:-1]), _LAST + pieces[-1])


class PacketReader:
    """Puts the packets of one sender together again."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def read(self, packet: bytes) -> Message | None:
        """The message that this packet completes, None while more follow. Raises BadMessage and forgets it."""
        mark, piece = packet[:1], packet[1:]
        self._pieces.append(piece)
        self._size += len(piece)
        if (
            mark not in (_LAST, _MORE)
            or self._size > LARGEST_MESSAGE_BYTES
            or len(packet) > LARGEST_PACKET_BYTES
        ):
            self._forget()
            raise BadMessage("local link: not a packet, or too many of them")
        if mark == _MORE:
            return None
        payload = b"".join(self._pieces)
        self._forget()
        return _message(payload)

    def _forget(self) -> None:
        self._pieces = []
        self._size = 0


# ---- out


def _fields(message: Message) -> tuple[object, ...]:
    match message:
        case Peers(peers, holders):
            return (0, peers, holders)
        case Groups(own):
            return (1, own)
        case Stop():
            return (2,)
        case Health(subject, problem):
            return (16, _printable(subject, LONGEST_NAME), _printable(problem, LONGEST_PROBLEM))
        case Completeness(percents, is_ready, reason):
            return (17, percents, is_ready, _printable(reason, LONGEST_PROBLEM))
        case Told(level, code, text, facts):
            kept = list(facts.items())[:MOST_FACTS]
            plain = {_printable(name, LONGEST_NAME): _plain(value) for name, value in kept}
            return (18, level, _printable(code, LONGEST_NAME), _printable(text, LONGEST_TEXT), plain)
        case Figures(numbers):
            kept_numbers = list(numbers.items())[:MOST_FIGURES]
            return (19, {_printable(name, LONGEST_NAME): _int64(number) for name, number in kept_numbers})
        case SwitchIdentity(build, switchname):
            return (20, _printable(build, LONGEST_IDENTITY), _printable(switchname, LONGEST_IDENTITY))


def _printable(text: str, limit: int) -> str:
    cut = text[:limit]
    return cut if cut.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in cut)


def _plain(value: object, depth: int = 0) -> Fact:
    """What MessagePack and a terminal can carry of a fact; other things by their text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return _int64(value)
    if isinstance(value, list | tuple) and depth == 0:
        return tuple(_plain(item, depth + 1) for item in value[:MOST_FACT_ITEMS])
    return _printable(str(value), LONGEST_PROBLEM)


def _int64(number: int) -> int:
    return max(-_INT64_END, min(number, _INT64_END - 1))


# ---- in


def _message(payload: bytes) -> Message:
    try:
        fields = msgpack.unpackb(payload, strict_map_key=True, max_map_len=MOST_FIGURES, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as problem:
        raise BadMessage(f"local link: not MessagePack ({type(problem).__name__})") from problem
    if type(fields) is not list or not fields:
        raise BadMessage("local link: not an array of its fields")
    kind, rest = fields[0], fields[1:]
    match kind:
        case 0:
            peers, holders = bounds.row(rest, "peers", 2)
            return Peers(_peers(peers), _holders(holders))
        case 1:
            return Groups(_own(bounds.row(rest, "groups", 1)[0]))
        case 2:
            return Stop()
        case 16:
            subject, problem_text = bounds.row(rest, "health", 2)
            return Health(_word(subject, "subject"), bounds.text(problem_text, "problem", LONGEST_PROBLEM))
        case 17:
            percents, is_ready, reason = bounds.row(rest, "completeness", 3)
            return Completeness(
                _percents(percents),
                bounds.flag(is_ready, "ready"),
                bounds.text(reason, "reason", LONGEST_PROBLEM),
            )
        case 18:
            return _told(bounds.row(rest, "told", 4))
        case 19:
            return Figures(_numbers(bounds.row(rest, "figures", 1)[0]))
        case 20:
            build, switchname = bounds.row(rest, "identity", 2)
            return SwitchIdentity(
                bounds.text(build, "build", LONGEST_IDENTITY),
                bounds.text(switchname, "switchname", LONGEST_IDENTITY),
            )
        case _:
            raise BadMessage("local link: of an unknown kind", "kind")


def _peers(value: object) -> tuple[PeerPlace, ...]:
    rows = [bounds.row(each, "peer", 3) for each in bounds.items(value, "peers", bounds.MAX_NODES)]
    return tuple(
        PeerPlace(
            bounds.name(node, "peer"), bounds.incarnation(incarnation, "incarnation"), _addresses(addresses)
        )
        for node, incarnation, addresses in rows
    )


def _addresses(value: object) -> tuple[tuple[LinkName, str], ...]:
    rows = [bounds.row(each, "address", 2) for each in bounds.items(value, "addresses", MOST_LINKS)]
    return tuple((bounds.name(link, "link"), _address(address)) for link, address in rows)


def _address(value: object) -> str:
    if type(value) is str and len(value) <= LONGEST_NAME:
        try:
            ip_address(value)
            return value
        except ValueError:
            pass
    raise BadMessage("address: not an IP address")


def _holders(value: object) -> tuple[tuple[GroupName, NodeName], ...]:
    rows = [bounds.row(each, "holder", 2) for each in bounds.items(value, "holders", bounds.MAX_GROUPS)]
    return tuple((bounds.name(group, "group"), bounds.name(node, "holder")) for group, node in rows)


def _own(value: object) -> tuple[OwnGroup, ...]:
    rows = [bounds.row(each, "group", 3) for each in bounds.items(value, "groups", bounds.MAX_GROUPS)]
    return tuple(
        OwnGroup(
            bounds.name(group, "group"), bounds.counter(counter, "counter"), bounds.flag(is_open, "open")
        )
        for group, counter, is_open in rows
    )


def _percents(value: object) -> tuple[tuple[NodeName, int], ...]:
    rows = [bounds.row(each, "percent", 2) for each in bounds.items(value, "percents", bounds.MAX_NODES)]
    return tuple((bounds.name(node, "node"), _percent(percent)) for node, percent in rows)


def _percent(value: object) -> int:
    if type(value) is int and 0 <= value <= 100:
        return value
    raise BadMessage("percent: not a number of 0 to 100")


def _told(fields: Sequence[object]) -> Told:
    level, code, text, facts = fields
    if level not in LEVELS:
        raise BadMessage("level: of an unknown kind")
    if type(facts) is not dict or len(facts) > MOST_FACTS:
        raise BadMessage(f"facts: not a map of at most {MOST_FACTS}")
    return Told(
        str(level),
        _word(code, "code"),
        bounds.text(text, "text", LONGEST_TEXT),
        {bounds.text(name, "fact", LONGEST_NAME): _fact(fact) for name, fact in facts.items()},
    )


def _fact(value: object, depth: int = 0) -> Fact:
    if value is None or isinstance(value, bool | int | float):
        return value
    if type(value) is list and depth == 0:
        return tuple(_fact(item, 1) for item in bounds.items(value, "fact", MOST_FACT_ITEMS))
    return bounds.text(value, "fact", LONGEST_PROBLEM)


def _numbers(value: object) -> dict[str, int]:
    if type(value) is not dict:
        raise BadMessage("figures: not a map")
    for name, number in value.items():
        _word(name, "figure")
        if type(number) is not int:
            raise BadMessage("figure: not a number")
    return value


def _word(value: object, what: str) -> str:
    if found := bounds.text(value, what, LONGEST_NAME):
        return found
    raise BadMessage(f"{what}: is empty")
