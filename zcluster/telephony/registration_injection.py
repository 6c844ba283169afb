"""A registration put into the own switch, or taken out: the event `multicast::event` that sofia listens to.

What must hold: the switch runs two SQL statements for it and fires nothing, so no injection comes back as somebody's
registration. Its copies carry Call-IDs of ours, so that no phone's Call-ID is touched by them; a binding that is put
into its own profile keeps its Call-ID, so that the phone's next REGISTER replaces it.
Source: event_handler (sofia.c:2726-2860). There it is `hostname = own`, `status = Registered`, `ping_expires = 0`;
orig_hostname is what we say. Keep-alives are sent for rows of which both are the own switch name (sofia_reg.c:898),
from a contact with fs_nat=yes on: so an own row says so, and a copy names its holder, who alone keeps it alive.
"""

from __future__ import annotations

import re

from zcluster.switch.commands import Command, sendevent
from zcluster.telephony.registration_record import Binding, Place

COPY = "zcluster:"
_COPY = re.compile(rf"{COPY}([0-9]{{1,4}}):([^/]*)/(.*)", re.DOTALL)
_EVENT = "multicast::event"


def copy_call_id(place: Place, slot: int) -> str:
    """The Call-ID of the `slot`-th copy of an address of record: the same on every node and at every time."""
    return f"{COPY}{slot}:{place.group}/{place.profile}/{place.aor}"


def is_copy(call_id: str) -> bool:
    """Whether a row of a switch is a copy that zcluster put there."""
    return call_id.startswith(COPY)


def source_of_copy(place: Place, call_id: str) -> tuple[Place, int] | None:
    """The record of which a copy that lies at `place` was made, and its slot; None for no such Call-ID."""
    found = _COPY.fullmatch(call_id)
    if found is None or not found[3].endswith(f"/{place.aor}"):
        return None
    profile = found[3][: -len(place.aor) - 1]
    return place._replace(group=found[2], profile=profile), int(found[1])


def put(
    profile: str, place: Place, binding: Binding, presence_hosts: str, origin: str, now_ms: int
) -> Command:
    """Put a binding into `profile`, to be dropped when it ends. `origin`: who sends its keep-alives.

    Raises CommandRefused for what no event can hold: a line break, a lone surrogate, a space in front.
    """
    left_s = max(1, -((now_ms - binding.expires_ms) // 1000))
    return sendevent(
        "CUSTOM",
        _EVENT,
        {
            "Orig-Event-Subclass": "sofia::register",
            "Orig-Event-Name": "CUSTOM",
            "Orig-profile-name": profile,
            "Orig-from-user": place.user,
            "Orig-from-host": place.host,
            "Orig-to-user": binding.server_user or place.user,
            "Orig-to-host": place.host,
            "Orig-presence-hosts": presence_hosts,
            "Orig-contact": binding.contact,
            "Orig-call-id": binding.call_id,
            "Orig-rpid": "unknown",
            "Orig-status": binding.status,
            "Orig-expires": str(left_s),
            "Orig-network-ip": binding.network_ip,
            "Orig-network-port": binding.network_port,
            "Orig-username": binding.username or "unknown",
            "Orig-realm": binding.realm or place.host,
            "Orig-user-agent": binding.agent,
            "Orig-mwi-account": binding.mwi_account or place.aor,
            "Orig-FreeSWITCH-Hostname": origin,
        },
    )


def remove(profile: str, place: Place, call_id: str) -> Command:
    """Take a binding out of `profile`. Where a user has one row at most, the switch takes that whoever's it is.

    Raises CommandRefused.
    """
    return sendevent(
        "CUSTOM",
        _EVENT,
        {
            "Orig-Event-Subclass": "sofia::unregister",
            "Orig-Event-Name": "CUSTOM",
            "Orig-profile-name": profile,
            "Orig-from-user": place.user,
            "Orig-from-host": place.host,
            "Orig-call-id": call_id,
            "Orig-contact": "",
        },
    )
