"""What an earlier life of this process had adopted and not brought back yet.

What must hold: only legs that neither live here nor were told lost are taken, each once. The streams do not adopt what
our own earlier life wrote by the same ballot, for the switch that it spoke of is still ours and tells its calls anew;
the legs that were on their way back are the exception: no switch has them.
"""

from __future__ import annotations

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.streams.units import Changes, Key, body_of, group_of, is_claim
from zcluster.telephony.call_record import ANSWERED, unpack_outline
from zcluster.telephony.channels import Channels

LARGEST = 65_536


class Inheritance:
    """By group, the records of our earlier lives as survivors tell them."""

    def __init__(self) -> None:
        self._records: dict[GroupName, dict[Key, bytes]] = {}

    def hear(self, changes: Changes) -> None:
        """An earlier life's stream, as it comes."""
        fields = iter(changes)
        for key, record in zip(fields, fields, strict=True):
            if key is None or is_claim(key):
                continue
            records = self._records.setdefault(group_of(key).decode(errors="replace"), {})
            if record is None:
                records.pop(key, None)
            elif len(records) < LARGEST:
                records[key] = body_of(record)

    def refuse(self, group: GroupName) -> None:
        """The group's records came another way."""
        self._records.pop(group, None)

    def take(self, group: GroupName, channels: Channels) -> list[tuple[Key, bytes | None]]:
        """What is to be brought back of a group; it is not told again."""
        records = self._records.pop(group, {})
        return [(key, body) for key, body in records.items() if _is_due(key, body, channels)]


def _is_due(key: Key, body: bytes, channels: Channels) -> bool:
    try:
        record, has_metadata = unpack_outline(body)
    except BadMessage:
        return False
    uuid = key[key.find(b"\0") + 1 :].decode(errors="replace")
    is_away = record.runtime_uuid != channels.core_uuid and not channels.lives(uuid)
    return is_away and has_metadata and record.state == ANSWERED
