"""Contacts in the switch's notation: how a phone is reached, and the way to it through the node that has it.

What must hold: a phone is called directly only when a packet from any host reaches it: over UDP, at the address
it registered from, with nothing that the switch added for a NAT or a proxy before it. Everybody else is called
through the floating address of its group, whichever node that is on, so the way outlives its holder. Every copy has
our display name, which no request shows: the holder's dialplan leaves out what has it, rings its own alone, and no
call goes round in circles (conf/freeswitch/zcluster/dialplan.xml, `sip_exclude_contact`; mod_sofia.c:4089).
Source: sofia_glue_get_destination (sofia_glue.c:3010) cuts at ";fs_path=", decodes to the next ";" or ">" and sends
to that URI; what stands before it is the request URI.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from zcluster.telephony.registration_record import Binding, Place

_HOST = re.compile(r"<sip:(?:[^@>]*@)?(\[[^\]>]*\]|[^:;>\[\]]+)")
_TRANSPORT = re.compile(r"\((TLS|TCP|WSS|WS|UDP)\b")
_TRANSPORT_PARAMETER = re.compile(r";transport=(\w+)", re.IGNORECASE)
_USER_SAFE = "-_.!~*'()&=+$,;?/"
# Quotation marks are in no URI: a contact with this in it is a copy of ours.
COPY_NAME = '"zcluster copy"'
CONNECTED = frozenset({"tcp", "tls", "ws", "wss"})


def transport_of(binding: Binding) -> str:
    """In lower case: udp, tcp, tls, ws or wss, as the switch saw it, else as the contact says."""
    found = _TRANSPORT.search(binding.status)
    if found is not None and found[1] != "UDP":
        return found[1].lower()
    stated = _TRANSPORT_PARAMETER.search(binding.contact)
    return stated[1].lower() if stated is not None else "udp"


def is_direct(binding: Binding) -> bool:
    """Whether any node can send to this contact as it stands."""
    if transport_of(binding) != "udp" or "NAT" in binding.status or ";fs_" in binding.contact:
        return False
    if binding.contact.count("<") != 1:
        return False
    host = _HOST.search(binding.contact)
    return host is not None and host[1].strip("[]") == binding.network_ip != ""


def copied_contact(contact: str) -> str:
    """A contact that `is_direct`, as a copy has it."""
    return f"{COPY_NAME} {contact[contact.index('<') :]}"


def contact_through(place: Place, address: str) -> str:
    """The contact of an address of record that is reached through `address` (host:port of its holder).

    The request URI is the address of record itself, so that the holder looks up its own bindings of it.
    """
    user = quote(place.user, safe=_USER_SAFE + "%")
    return f"{COPY_NAME} <sip:{user}@{place.host};fs_path={quote(f'sip:{address};lr', safe='')}>"


def address_of(text: str, port: int = 5060) -> str:
    """An address of the cluster's file as host:port of a SIP URI."""
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
