"""The call XML of FreeSWITCH's recovery table: read what we need of it, pack it, add variables to it.

What must hold: bytes from a peer never grow beyond MAX_METADATA_BYTES; what we add are numbers, plain words and
addresses; no reader raises anything but BadMessage, whatever the bytes. Key material of SRTP is in here: nothing of
it is told.
The XML is not parsed as a whole: FreeSWITCH writes one flat list of url-encoded variables (switch_ivr.c,
switch_ivr_set_xml_chan_vars) and reads the first callflow and its first extension (switch_core_sqldb.c,
recover_callback).
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from zcluster.errors import BadMessage

MAX_METADATA_BYTES = 512 * 1024
# A record is at most 64 KiB, and has other fields as well.
MAX_PACKED_BYTES = 60 * 1024
# Metadata of a call is some 10 KB of url-encoded XML that shrinks to a fifth; the fastest level does most of it.
METADATA_LEVEL = 1

SIP_INVITE_CSEQ = "sip_invite_cseq"
SIP_NETWORK_IP = "sip_network_ip"
SKIP_ANNOUNCEMENTS = "recovery_skip_announcement_type_applications"
BONDS = ("signal_bond", "originate_signal_bond")

# Sofia-SIP begins a dialog's CSeq at half the seconds since 1900, of 27 bits (nta.c:4194).
NTP_UNIX_S = 2_208_988_800
CSEQ_MASK = 0x7FFFFFF
# In two-second steps: twenty minutes of clock offset, or six hundred requests that the former master sent.
CSEQ_MARGIN = 600
CSEQ_END = 2**31 - 1

_BEGIN, _END = b"<variables>", b"</variables>"
_VARIABLE = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.:-]*)>([^<]*)</\1>")
_TIME = re.compile(rb"<(created_time|answered_time)>([0-9]{1,18})</")
_PARTY = re.compile(rb"<(caller_id_number|destination_number)>([^<]*)</")
_EXTENSION = re.compile(rb"<extension\b[^>]*>(.*?)</extension>", re.DOTALL)
_APPLICATION = re.compile(rb'<application app_name="limit" app_data="([^"]*)"')
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9_]+|\[[0-9A-Fa-f:.]+\]")
_NETWORK_IP = re.compile(rb"<sip_network_ip>([^<]{1,128})</sip_network_ip>")
_LIMIT = "limit_usage_"
_ASKED = ("direction", "bridge_to", "last_bridge_to", *BONDS, "recovered", SIP_INVITE_CSEQ)


def pack_metadata(metadata: bytes) -> bytes:
    """Call metadata compressed; raises ValueError when it is too large for a record."""
    packed = zlib.compress(metadata, METADATA_LEVEL)
    if len(metadata) > MAX_METADATA_BYTES or len(packed) > MAX_PACKED_BYTES:
        raise ValueError(f"call metadata: {len(metadata)} bytes, {len(packed)} compressed, are too many")
    return packed


def unpack_metadata(packed: bytes) -> bytes:
    """What `pack_metadata` was given; raises BadMessage, also for what would grow too large."""
    inflater = zlib.decompressobj()
    try:
        metadata = inflater.decompress(packed, MAX_METADATA_BYTES)
    except zlib.error as problem:
        raise BadMessage(f"call metadata: {problem}") from problem
    if not inflater.eof or inflater.unused_data:
        raise BadMessage("call metadata: cut off, too large, or more than one")
    return metadata


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a leg's metadata says. Times in seconds since 1970, 0 for not at all; `limits` as "realm_resource"."""

    direction: str
    partner: str
    caller: str
    callee: str
    started_s: int
    answered_s: int
    limits: tuple[str, ...]
    reruns: tuple[str, ...]
    is_recovered: bool
    cseq: int


def read_facts(metadata: bytes) -> CallFacts:
    """The facts of one leg. `reruns`: the limits that a leg without a partner counts again when recovered.

    Raises BadMessage for what is no call.
    """
    raw = {name.decode(): value for name, value in _VARIABLE.findall(_split(metadata)[1])}
    # A row comes with every change of a call: only what is asked for is decoded.
    variables = {name: _decoded(raw[name]) for name in _ASKED if name in raw}
    times = _firsts(_TIME, metadata)
    parties = _firsts(_PARTY, metadata)
    limits = tuple(sorted(name[len(_LIMIT) :] for name in raw if name.startswith(_LIMIT)))
    again = set(_limits_of_the_extension(metadata))
    cseq = variables.get(SIP_INVITE_CSEQ, "")
    return CallFacts(
        direction=variables.get("direction", ""),
        partner=partner_of(variables),
        caller=_plain(parties.get(b"caller_id_number", b"")),
        callee=_plain(parties.get(b"destination_number", b"")),
        started_s=int(times.get(b"created_time", 0)) // 1_000_000,
        answered_s=int(times.get(b"answered_time", 0)) // 1_000_000,
        limits=limits,
        reruns=tuple(name for name in limits if name in again),
        is_recovered=variables.get("recovered") == "true",
        cseq=int(cseq) if cseq.isascii() and cseq.isdigit() and len(cseq) <= 10 else 0,
    )


def read_variables(metadata: bytes) -> dict[str, str]:
    """A channel's variables, decoded; the last of several counts, as for the switch. Raises BadMessage."""
    return {name.decode(): _decoded(value) for name, value in _VARIABLE.findall(_split(metadata)[1])}


def partner_of(variables: Mapping[str, str]) -> str:
    """The leg that this one is bridged with, or about to be; "" for none.

    The bond outlives the bridge: a leg that was bridged and is no more has a bond and no `bridge_to`.
    """
    if bridged := variables.get("bridge_to", ""):
        return bridged
    if variables.get("last_bridge_to"):
        return ""
    return variables.get(BONDS[0], "") or variables.get(BONDS[1], "")


def with_variables(metadata: bytes, wanted: Mapping[str, str | None]) -> bytes:
    """The metadata with these variables set, each once, or taken away (None). Raises BadMessage.

    Names and values are ours: an ASCII word each, or an IPv6 address in brackets.
    """
    head, variables, tail = _split(metadata)
    for name, value in wanted.items():
        assert _NAME.fullmatch(name)
        assert value is None or _VALUE.fullmatch(value)
        variables = re.sub(rb"[ \t]*<%b>[^<]*</%b>\n?" % (name.encode(), name.encode()), b"", variables)
        if value is not None:
            variables += f"<{name}>{quote(value, safe='')}</{name}>\n".encode()
    return head + _BEGIN + variables + _END + tail


def bracketed_peer(metadata: bytes) -> str:
    """The IPv6 address that the leg's requests came from, in brackets as in a URI; "" for any other.

    FreeSWITCH makes the first Route of an inbound leg that it recovers of the bare address (sofia_glue.c:2334). That
    is no URI: its re-INVITE goes out without a description of the media, and the call ends with 500.
    """
    found = _NETWORK_IP.search(metadata)
    try:
        peer = ipaddress.IPv6Address(_decoded(found[1])) if found else None
    except ValueError:
        return ""
    # A scope has no place in a URI, and no meaning on another host.
    return "" if peer is None or peer.scope_id is not None else f"[{peer}]"


def next_cseq(wall_ms: int, last: int) -> int:
    """A CSeq above all that was sent in a dialog so far; `last` is what an earlier takeover began with, or 0."""
    now = ((wall_ms // 1000 + NTP_UNIX_S) >> 1) & CSEQ_MASK
    return min(max(now, last) + CSEQ_MARGIN, CSEQ_END)


def _decoded(value: bytes) -> str:
    return unquote(value.decode("utf-8", "replace"), errors="replace")


def _split(metadata: bytes) -> tuple[bytes, bytes, bytes]:
    head, begin, rest = metadata.partition(_BEGIN)
    variables, end, tail = rest.partition(_END)
    if not begin or not end:
        raise BadMessage("call metadata: no variables in it", "metadata")
    return head, variables, tail


def _firsts(pattern: re.Pattern[bytes], metadata: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in pattern.findall(metadata):
        found.setdefault(name, value)
    return found


def _plain(text: bytes) -> str:
    plain = text.decode("utf-8", "replace")
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        plain = plain.replace(entity, sign)
    return plain


def _limits_of_the_extension(metadata: bytes) -> list[str]:
    """What `limit` counts in the extension that a lone leg runs once more: "limit <backend> <realm> <id> ..."."""
    extension = _EXTENSION.search(metadata, max(metadata.find(b"<callflow"), 0))
    if extension is None:
        return []
    words = [_plain(data).split() for data in _APPLICATION.findall(extension.group(1))]
    return [f"{each[1]}_{each[2]}" for each in words if len(each) >= 3]
