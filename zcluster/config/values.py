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

from zcluster.config.configuration import Address, Interface, Network
from zcluster.config.names import NAME_RULE, is_host_name, is_interface, is_name, is_pattern

FAULT_TYPE = "zcluster_fault"
MOST_MILLISECONDS = 3_600_000


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
