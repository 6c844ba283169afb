"""What the switch says that it has registered: `sofia xmlstatus profile X [reg | user U]`, read without an XML parser.

What must hold: nothing in it is trusted, entities are only the five that the switch writes, and a row that does not
look as the switch writes it is passed over. Reading is bounded by who reads: rows come one after another.
Source: show_reg_callback_xml (mod_sofia.c:2861). `show registrations` has neither agent nor display name nor injected
rows, so it is of no use. Presence hosts and the server's user are in no listing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

_ROW = re.compile(
    r"<registration>\n"
    r" *<call-id>([^\n]*)</call-id>\n"
    r" *<user>([^\n]*)</user>\n"
    r" *<contact>([^\n]*)</contact>\n"
    r" *<agent>([^\n]*)</agent>\n"
    r" *<status>([^\n]*)</status>\n"
    r"(?: *<ping-[^\n]*\n)*"
    r" *<host>[^\n]*</host>\n"
    r" *<network-ip>([^\n]*)</network-ip>\n"
    r" *<network-port>([^\n]*)</network-port>\n"
    r" *<sip-auth-user>([^\n]*)</sip-auth-user>\n"
    r" *<sip-auth-realm>([^\n]*)</sip-auth-realm>\n"
    r" *<mwi-account>([^\n]*)</mwi-account>\n"
)
_STATUS = re.compile(r"(.*)\([^()]*\) exp\([^)]*\) expsecs\((-?\d{1,10})\)")
_COUNT = re.compile(r"<registrations>(\d{1,10})</registrations>")
_URL = re.compile(r"<url>sips?:(?:[^@<\s]*@)?([^;<\s]+)")
_PROFILE = "<profile>"


class Listed(NamedTuple):
    """A row of sip_registrations. `left_s`: seconds until the switch drops it."""

    call_id: str
    user: str
    host: str
    contact: str
    agent: str
    status: str
    left_s: int
    network_ip: str
    network_port: str
    username: str
    realm: str
    mwi_account: str


class Profile(NamedTuple):
    """A profile that runs: how many registrations it has, and its address as host:port, "" unknown."""

    registrations: int
    address: str


def read_profile(text: str) -> Profile | None:
    """The answer of `sofia xmlstatus profile X`; None when that profile does not run."""
    count = _COUNT.search(text)
    if _PROFILE not in text or count is None:
        return None
    url = _URL.search(text)
    return Profile(int(count[1]), url[1] if url is not None else "")


def is_listing(text: str) -> bool:
    """Whether this is a list of registrations, an empty one perhaps, and not a refusal."""
    return "  <registrations>\n" in text and text.rstrip().endswith("</profile>")


def read_rows(text: str) -> Iterator[Listed]:
    """The rows of a listing, one after another as they are asked for."""
    for row in _ROW.finditer(text):
        call_id, aor, contact, agent, state, network_ip, network_port, username, realm, mwi = row.groups()
        status = _STATUS.fullmatch(state)
        user, _, host = aor.rpartition("@")
        if status is not None:
            yield Listed(
                call_id,
                user,
                host,
                _plain(contact),
                _plain(agent),
                status[1],
                int(status[2]),
                network_ip,
                network_port,
                unquote(username),
                realm,
                mwi,
            )


def _plain(text: str) -> str:
    """switch_amp_encode, undone."""
    if "&" not in text:
        return text
    for entity, sign in (("&quot;", '"'), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return text
