"""A registration as the cluster keeps it: one record for an address of record at a profile, with its bindings.

What must hold: a record has everything that is needed to put its bindings into another switch, in few bytes, and
times in it are of the wall, so that every reader reckons alike. A binding is known by its Call-ID, as
sip_registrations is. `expires_ms` is when the owner's switch drops the row: what was granted and the minute after.
Source: sip_registrations (sofia_glue.c:2437) and the insert of sofia_reg.c:2009.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from zcluster.control.units import GroupName, NodeName
from zcluster.errors import BadMessage
from zcluster.streams.limits import MAX_KEY_BYTES
from zcluster.streams.units import Key, record_key
from zcluster.telephony import packing

LARGEST_BINDINGS = 16
# A contact has room for 1024 bytes in the switch, everything else for 255.
LARGEST_TEXT = 1024
_WIDTH = 12


class Place(NamedTuple):
    """Whose registration it is, and where: the key of a record, taken apart."""

    group: GroupName
    profile: str
    user: str
    host: str

    @property
    def aor(self) -> str:
        """The address of record."""
        return f"{self.user}@{self.host}"


class Binding(NamedTuple):
    """One contact of a phone. `node` is where it registered; empty texts stand for what the place says.

    `contact` is the switch's own notation, with display name and the parameters fs_nat and fs_path.
    """

    call_id: str
    contact: str
    agent: str
    status: str
    expires_ms: int
    network_ip: str
    network_port: str
    node: NodeName
    username: str = ""
    realm: str = ""
    server_user: str = ""
    mwi_account: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """The bindings of an address of record, the one that lasts longest at the end."""

    bindings: tuple[Binding, ...]
    presence_hosts: str = ""

    def with_binding(self, binding: Binding) -> Registration:
        """That binding in the place of the one with its Call-ID; of too many the oldest goes."""
        others = [each for each in self.bindings if each.call_id != binding.call_id]
        others.append(binding)
        others.sort(key=lambda each: each.expires_ms)
        return replace(self, bindings=tuple(others[-LARGEST_BINDINGS:]))

    def without(self, call_ids: set[str]) -> Registration:
        """What is left when these Call-IDs are gone."""
        return replace(self, bindings=tuple(each for each in self.bindings if each.call_id not in call_ids))


def key_of(place: Place) -> Key:
    """The record's key. Raises BadMessage for what makes no key: too long, empty, or with a zero byte."""
    parts = (place.profile, place.user, place.host)
    if not all(parts) or any("\0" in part for part in parts):
        raise BadMessage(f"registration: {parts!r} is no address of record")
    key = record_key(place.group, "\0".join(parts).encode("utf-8", "surrogateescape"))
    if len(key) > MAX_KEY_BYTES:
        raise BadMessage(f"registration: a key of {len(key)} bytes")
    return key


def place_of(key: Key) -> Place:
    """The key, taken apart. Raises BadMessage."""
    try:
        group, profile, user, host = key.decode("utf-8", "surrogateescape").split("\0")
    except ValueError as problem:
        raise BadMessage("registration: a key without four parts") from problem
    return Place(group, profile, user, host)


def pack(registration: Registration) -> bytes:
    """The record's body."""
    return packing.pack((registration.presence_hosts, tuple(tuple(each) for each in registration.bindings)))


def unpack(body: bytes) -> Registration:
    """A record's body, which may be a stranger's. Raises BadMessage."""
    presence_hosts, found = packing.unpack(body, 2)
    if not isinstance(found, tuple) or len(found) > LARGEST_BINDINGS:
        raise BadMessage(f"registration: not a list of at most {LARGEST_BINDINGS} bindings")
    _check_text(presence_hosts)
    return Registration(tuple(_binding(fields) for fields in found), presence_hosts)


def _binding(fields: object) -> Binding:
    if not isinstance(fields, tuple) or len(fields) < _WIDTH:
        raise BadMessage("registration: a binding without its fields")
    binding = Binding(*fields[:_WIDTH])
    if type(binding.expires_ms) is not int:
        raise BadMessage("registration: a binding that expires at no time")
    for text in (*binding[:4], *binding[5:]):
        _check_text(text)
    return binding


def _check_text(text: object) -> None:
    if not isinstance(text, str) or len(text) > LARGEST_TEXT:
        raise BadMessage("registration: a field that is no text, or too long")
