"""The values of the cluster's TOML file: how each kind is written, and what is refused in which words.

What must hold: a refusal says what is wrong and a way to mend it; a value is taken as it is or not at all, never
converted (a number is not a string, and `10.77.1.5/24` is not a network).
"""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from zcluster.config.configuration import Address, Interface, Network, SocketAddress
from zcluster.config.names import (
    NAME_RULE,
    SESSIONS_PER_SECOND,
    is_event_name,
    is_header_name,
    is_host_name,
    is_interface,
    is_limit_name,
    is_name,
    is_pattern,
    is_plain_text,
)

FAULT_TYPE = "zcluster_fault"
MOST_MILLISECONDS = 3_600_000
MOST_MATCHES = 16
MOST_VALUE_CHARACTERS = 256


def refusal(wrong: str, mend: str) -> PydanticCustomError:
    """What a validator of ours raises: both halves of the message survive pydantic's error list."""
    return PydanticCustomError(FAULT_TYPE, "{wrong}", {"wrong": wrong, "mend": mend})


def _name(text: str) -> str:
    if not is_name(text):
        raise refusal(f"{text!r} cannot be a name", NAME_RULE)
    return text


def _pattern(text: str) -> str:
    if not is_pattern(text):
        raise refusal(
            f"{text!r} is not a pattern for node names", 'write a name, or a pattern such as "pbx-*"'
        )
    return text


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise refusal(f"{value!r} is not a string", f"write it in quotes, for example {example}")
    return value


def _network(value: object) -> Network:
    text = _text(value, '"10.77.1.0/24"')
    try:
        if "/" not in text:
            raise ValueError
        return ip_network(text)
    except ValueError:
        raise refusal(f"{text!r} is not a network", _network_mend(text)) from None


def _network_mend(text: str) -> str:
    try:
        if "/" in text:
            return f'the network of that address is "{ip_network(text, strict=False)}"'
        return f'add the length of its prefix, for example "{_with_prefix(ip_address(text))}"'
    except ValueError:
        return 'write it in CIDR form, for example "10.77.1.0/24" or "fd77:1::/64"'


def _with_prefix(address: Address) -> str:
    """An address with the prefix that its network most likely has."""
    return f"{address}/{24 if address.version == 4 else 64}"


def _address(value: object) -> Address:
    text = _text(value, '"10.77.9.1"')
    try:
        return ip_address(text)
    except ValueError:
        raise refusal(
            f"{text!r} is not an address", 'write an address without a prefix, for example "10.77.9.1"'
        ) from None


def _peer(value: object) -> Address | str:
    """Where a peer is reached without multicast: an address, or a name that the DNS knows."""
    text = _text(value, '"10.77.1.2" or "nodes.example.net"')
    try:
        return ip_address(text)
    except ValueError:
        if is_host_name(text):
            return text.rstrip(".").lower()
    raise refusal(
        f"{text!r} is neither an address nor a DNS name",
        'write an address such as "10.77.1.2", or a name such as "nodes.example.net"; no port, no prefix',
    )


def _multicast(address: Address) -> Address:
    if not address.is_multicast:
        raise refusal(
            f"{address} is not a multicast address",
            "choose one in 239.0.0.0/8 (IPv4, administratively scoped) or ff15::/16 (IPv6, site scope)",
        )
    return address


def _floating(value: object) -> Interface:
    """A floating address with its prefix: a plain unicast host address."""
    text = _text(value, '"10.77.9.101/24"')
    try:
        interface = ip_interface(text)
    except ValueError:
        raise refusal(
            f"{text!r} is not an address with its prefix",
            'write it as on an interface, for example "10.77.9.101/24" or "fd77:9::101/64"',
        ) from None
    if "/" not in text:
        raise refusal(
            f"{text!r} has no prefix",
            f'write it as on an interface, for example "{_with_prefix(interface.ip)}"',
        )
    if problem := _not_floating(interface):
        raise refusal(f"{interface.ip} is {problem}", "name an address that one host can have")
    return interface


def _not_floating(interface: Interface) -> str:
    """Why an address cannot float; empty when it can."""
    address, network = interface.ip, interface.network
    if address.is_multicast:
        return "a multicast address"
    if address.is_loopback or address.is_unspecified:
        return "an address that never leaves a host"
    if address.is_link_local and not isinstance(interface, IPv4Interface):
        return "a link-local address, which the kernel gives out by itself"
    if isinstance(interface, IPv4Interface) and network.prefixlen < 31:
        if address == network.network_address:
            return f"the address of the whole network {network}"
        if address == network.broadcast_address:
            return f"the broadcast address of {network}"
    return ""


def _place(value: object) -> Network | str:
    """Where a group's addresses live: a network, or an interface's name."""
    text = _text(value, '"10.77.9.0/24" or "eth1"')
    if "/" in text or ":" in text:
        return _network(text)
    if not is_interface(text):
        raise refusal(
            f"{text!r} is neither a network nor an interface's name",
            'write the network of a service link, for example "10.77.9.0/24", or a name such as "eth1"',
        )
    return text


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise refusal(f"{text!r} is a relative path", "write it from the root, beginning with '/'")
    return path


def _socket(value: object) -> SocketAddress:
    """An address and a port, as FreeSWITCH's event socket has them; no name, so that no DNS is waited for."""
    text = _text(value, '"127.0.0.1:8021"')
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if is_bracketed else host)
        if not colon or not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
            raise ValueError
        if is_bracketed is (address.version == 4):
            raise ValueError
    except ValueError:
        raise refusal(
            f"{text!r} is not an address with its port", 'write it as "127.0.0.1:8021" or "[::1]:8021"'
        ) from None
    return SocketAddress(address, int(port))


CLUSTER_EVENTS = "zcluster::"


def _event(text: str) -> str:
    if not is_event_name(text):
        raise refusal(
            f"{text!r} is not an event of the switch",
            'write its name such as "HEARTBEAT", or a subclass such as "sofia::gateway_state"',
        )
    if text.startswith(CLUSTER_EVENTS):
        raise refusal(
            f"{text!r} is told by zcluster itself, into the switch of every host at once",
            "name an event that FreeSWITCH makes: this one would give all groups of all hosts away",
        )
    return text


def _limit(text: str) -> str:
    if text != SESSIONS_PER_SECOND and not is_limit_name(text):
        raise refusal(
            f"{text!r} is not what a dialplan limits",
            'write realm and resource as in `limit hash outbound gateway1`: "outbound_gateway1"',
        )
    return text


def _match(value: object) -> tuple[tuple[str, str], ...]:
    """Headers of an event and what they must be, in the order of the file."""
    example = 'write it as match = { Gateway = "trunk1", State = "DOWN" }'
    if not isinstance(value, dict):
        raise refusal(f"{value!r} is not a table of headers", example)
    if len(value) > MOST_MATCHES:
        raise refusal(f"there are {len(value)} headers", f"match {MOST_MATCHES} of them at most")
    for name, text in value.items():
        if not is_header_name(name):
            raise refusal(f"{name!r} cannot be the name of a header", example)
        if not isinstance(text, str) or not is_plain_text(text) or len(text) > MOST_VALUE_CHARACTERS:
            raise refusal(f"{text!r} cannot be the value of the header {name}", example)
    return tuple(value.items())


Name = Annotated[str, AfterValidator(_name)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Milliseconds = Annotated[int, Field(ge=1, le=MOST_MILLISECONDS)]
Port = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[Path, BeforeValidator(lambda value: _absolute(_text(value, '"/etc/zcluster/..."')))]
NetworkText = Annotated[Network, BeforeValidator(_network)]
AddressText = Annotated[Address, BeforeValidator(_address)]
MulticastText = Annotated[Address, BeforeValidator(_address), AfterValidator(_multicast)]
PeerText = Annotated[Address | str, BeforeValidator(_peer)]
FloatingText = Annotated[Interface, BeforeValidator(_floating)]
PlaceText = Annotated[Network | str, BeforeValidator(_place)]
SocketText = Annotated[SocketAddress, BeforeValidator(_socket)]
EventText = Annotated[str, AfterValidator(_event)]
LimitText = Annotated[str, AfterValidator(_limit)]
MatchTable = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_match)]
