"""What `zcluster registrations` shows: every binding in the cluster, one a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from zcluster.control.units import GroupName, NodeName
from zcluster.errors import BadMessage
from zcluster.streams.tables import Entry
from zcluster.streams.units import body_of
from zcluster.telephony.events import Moment
from zcluster.telephony.registration_contact import CONNECTED, is_direct, transport_of
from zcluster.telephony.registration_record import Binding, Place, place_of, unpack


@dataclass(frozen=True, slots=True)
class RegistrationRow:
    """A binding, for people. `via`: the holder's address where not everybody reaches the phone directly.

    `is_cut`: it was a connection to a node that does not hold the group any more; the phone must come again.
    """

    aor: str
    contact: str
    expires_in_s: int
    node: NodeName
    group: GroupName
    profile: str
    transport: str
    via: str
    agent: str
    is_cut: bool


def registration_rows(
    entries: Iterable[Entry], address: Callable[[Place], str], now: Moment
) -> Iterator[RegistrationRow]:
    """The rows of these records. `address`: where the holder of a place is reached."""
    for entry in entries:
        try:
            place = place_of(entry.key)
            bindings = unpack(body_of(entry.record)).bindings
        except BadMessage:
            continue
        for binding in bindings:
            yield _row(place, binding, entry.stream.node, address(place), now)


def _row(place: Place, binding: Binding, holder: NodeName, address: str, now: Moment) -> RegistrationRow:
    transport = transport_of(binding)
    return RegistrationRow(
        place.aor,
        binding.contact,
        (binding.expires_ms - now.wall_ms) // 1000,
        holder,
        place.group,
        place.profile,
        transport,
        "" if is_direct(binding) else address,
        binding.agent,
        transport in CONNECTED and binding.node != holder,
    )
