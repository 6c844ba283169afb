"""Records as rows of an operator's list.

What must hold: a record that cannot be read gives no row; no row has key material or metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from zcluster.data.listing import Rows
from zcluster.errors import BadMessage
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, REGISTRATIONS, body_of, group_of
from zcluster.telephony.call_record import unpack_call
from zcluster.telephony.events import Moment
from zcluster.telephony.registration_record import Place
from zcluster.telephony.registration_rows import registration_rows
from zcluster.telephony.settings import TelephonySettings


def row_makers(settings: TelephonySettings, clock: Callable[[], Moment]) -> dict[str, Rows]:
    """For each stream that can be listed, what makes rows of a record."""
    addresses = {group.name: group.addresses[0] for group in settings.groups if group.addresses}

    def address(place: Place) -> str:
        return addresses.get(place.group, "")

    def registrations(entry: Entry) -> Iterator[Mapping[str, object]]:
        for row in registration_rows((entry,), address, clock()):
            yield asdict(row)

    return {REGISTRATIONS: registrations, CALLS: _calls}


def _calls(entry: Entry) -> Iterator[Mapping[str, object]]:
    try:
        record = unpack_call(body_of(entry.record))
    except BadMessage:
        return
    yield {
        "uuid": entry.key[entry.key.find(b"\0") + 1 :].decode("utf-8", "replace"),
        "caller": record.caller,
        "callee": record.callee,
        "state": record.state,
        "direction": record.direction,
        "started_s": record.started_s,
        "answered_s": record.answered_s,
        "group": group_of(entry.key).decode("utf-8", "replace"),
        "node": entry.stream.node,
        "profile": record.profile,
        "build": record.build,
        "is_recovered": record.is_recovered,
        "is_recoverable": bool(record.metadata),
        "is_orphan": entry.is_orphan,
    }
