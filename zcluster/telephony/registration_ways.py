"""How a phone of another group is called from here: which copies its record makes, and the way to its holder.

What must hold: a copy is called directly only where every binding can be; as soon as one needs its holder, one copy
leads there for all, because the holder rings the direct ones as well.
"""

from __future__ import annotations

from collections import Counter

from zcluster.telephony.registration_contact import (
    address_of,
    contact_through,
    copied_contact,
    is_direct,
)
from zcluster.telephony.registration_record import Binding, Place, Registration
from zcluster.telephony.settings import TelephonySettings


class Ways:
    """`addresses`: host:port of each profile, as our switch names it."""

    def __init__(self, settings: TelephonySettings, counts: Counter[str]) -> None:
        self.addresses: dict[str, str] = {}
        self._settings = settings
        self._counts = counts

    def address(self, place: Place) -> str:
        """Where the group's holder is reached, whichever node that is: host:port, "" for nowhere."""
        group = next((group for group in self._settings.groups if group.name == place.group), None)
        known = self.addresses.get(place.profile, "")
        if known or group is None or not group.addresses:
            return known
        return address_of(group.addresses[0])

    def copies(self, place: Place, registration: Registration, wall_ms: int) -> list[Binding]:
        """The contacts themselves, or one by way of the holder."""
        alive = [each for each in registration.bindings if each.expires_ms > wall_ms]
        if not all(is_direct(each) for each in alive):
            address = self.address(place)
            if address:
                # The one that lasts longest stands for all.
                return [alive[-1]._replace(contact=contact_through(place, address))]
            self._counts["no way"] += 1
        return [each._replace(contact=copied_contact(each.contact)) for each in alive if is_direct(each)]
