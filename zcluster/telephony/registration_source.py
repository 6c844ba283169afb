"""A binding from what the switch says: an event, or a row of a listing.

What must hold: what a reader would assume anyway is not kept, so that a record stays small; a field that is too long
for the switch itself, or no time, refuses the whole binding. Source: sofia_reg.c:2059-2080 (the headers).
"""

from __future__ import annotations

from zcluster.control.units import NodeName
from zcluster.errors import BadMessage
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.registration_listing import Listed
from zcluster.telephony.registration_record import LARGEST_TEXT, Binding

# sip-expires-late-margin's default: the switch keeps a row that much longer than it granted.
LATE_MARGIN_S = 60
LARGEST_EXPIRES_S = 366 * 86_400


def binding_of_event(event: SwitchEvent, node: NodeName, wall_ms: int) -> Binding:
    """The binding of a sofia::register that was just fired. Raises BadMessage."""
    expires_s = event.number("expires")
    if expires_s is None or expires_s > LARGEST_EXPIRES_S:
        raise BadMessage("registration: it expires at no time")
    user, host = event.get("from-user"), event.get("from-host")
    return _checked(
        Binding(
            event.get("call-id"),
            event.get("contact"),
            event.get("user-agent"),
            event.get("status"),
            wall_ms + (expires_s + LATE_MARGIN_S) * 1000,
            event.get("network-ip"),
            event.get("network-port"),
            node,
            _unless(event.get("username"), "unknown"),
            _unless(event.get("realm"), host),
            _unless(event.get("to-user"), user),
            _unless(event.get("mwi-account"), f"{user}@{host}"),
        )
    )


def presence_hosts_of(event: SwitchEvent) -> str:
    """The domains under which the user is found as well; the switch says "n/a" and keeps nothing for none."""
    return _unless(event.get("presence-hosts"), "n/a")[:LARGEST_TEXT]


def binding_of_row(row: Listed, node: NodeName, wall_ms: int) -> Binding:
    """The binding of a row that was just listed; the switch does not tell its server's user. Raises BadMessage."""
    return _checked(
        Binding(
            row.call_id,
            row.contact,
            row.agent,
            row.status,
            wall_ms + row.left_s * 1000,
            row.network_ip,
            row.network_port,
            node,
            _unless(row.username, "unknown"),
            _unless(row.realm, row.host),
            "",
            _unless(row.mwi_account, f"{row.user}@{row.host}"),
        )
    )


def _unless(text: str, usual: str) -> str:
    return "" if text == usual else text


def _checked(binding: Binding) -> Binding:
    texts = (*binding[:4], *binding[5:])
    if not binding.call_id or not binding.contact or any(len(text) > LARGEST_TEXT for text in texts):
        raise BadMessage("registration: a field is missing or too long")
    return binding
