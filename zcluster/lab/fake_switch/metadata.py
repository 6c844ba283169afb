"""The record of a leg in the table `recovery`: the call XML that FreeSWITCH writes, and back to variables.

What must hold: variables are url-encoded as FreeSWITCH does it and come back as they were, a later element of one
name over an earlier one; a record that cannot be read gives None, never an error. A real record is about ten
kilobytes, so this one has its parts as well. Source: switch_ivr_generate_xml_cdr, switch_core_session_request_xml.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, quoteattr

from zcluster.lab.fake_switch.leg import Leg

RECORD_CHARACTERS = 256 << 10
_UNESCAPED = "!$'()*,/"
_VARIABLES = re.compile(r"<variables>(.*?)</variables>", re.DOTALL)
_VARIABLE = re.compile(r"<([A-Za-z_][A-Za-z0-9_.:-]*)>([^<]*)</\1>")
_TIME = re.compile(r"<(created_time|answered_time|bridged_time)>(\d{1,18})</\1>")
_DIRECTION = re.compile(r"<direction>(inbound|outbound)</direction>")

_CALLER_FLAGS = "0=1;1=1;4=1;22=1;39=1;45=1;50=1;55=1;88=1;89=1;107=1;113=1;114=1;123=1;160=1;165=1;166=1"
_CALLEE_FLAGS = "0=1;1=1;2=1;22=1;39=1;45=1;46=1;50=1;55=1;88=1;89=1;107=1;113=1;114=1;160=1;166=1"
_CAPS = "1=1;2=1;3=1;4=1;5=1;6=1;8=1;9=1;10=1"
_IN_COUNTS = [
    "raw_bytes",
    "media_bytes",
    "packet_count",
    "media_packet_count",
    "skip_packet_count",
    "jitter_packet_count",
    "dtmf_packet_count",
    "cng_packet_count",
    "flush_packet_count",
    "largest_jb_size",
]
_IN_FIGURES = (
    ("jitter_min_variance", "0.00"),
    ("jitter_max_variance", "0.00"),
    ("jitter_loss_rate", "0.00"),
    ("jitter_burst_rate", "0.00"),
    ("mean_interval", "0.00"),
    ("flaw_total", "0"),
    ("quality_percentage", "100.00"),
    ("mos", "4.50"),
)
_OUT_COUNTS = [
    "raw_bytes",
    "media_bytes",
    "packet_count",
    "media_packet_count",
    "skip_packet_count",
    "dtmf_packet_count",
    "cng_packet_count",
    "rtcp_packet_count",
    "rtcp_octet_count",
]


def write_record(leg: Leg, core_uuid: str, switchname: str) -> str:
    """The leg's record as it is now."""
    state = "CS_EXECUTE" if leg.is_inbound else "CS_CONSUME_MEDIA"
    parts = (
        f"<cdr core-uuid={quoteattr(core_uuid)} switchname={quoteattr(switchname)}>",
        "  <channel_data>",
        f"    <state>{state}</state>",
        f"    <direction>{leg.direction.value}</direction>",
        f"    <state_number>{4 if leg.is_inbound else 7}</state_number>",
        f"    <flags>{_CALLER_FLAGS if leg.is_inbound else _CALLEE_FLAGS}</flags>",
        f"    <caps>{_CAPS}</caps>",
        "  </channel_data>",
        _STATISTICS,
        "  <variables>",
        *(f"    <{name}>{_encoded(value)}</{name}>" for name, value in leg.variables.items()),
        "  </variables>",
        *_application_log(leg),
        *_call_flow(leg),
        "</cdr>\n",
    )
    return "\n".join(parts)


def read_variables(record: str) -> dict[str, str] | None:
    """The variables of a record, None for what is no record."""
    found = _VARIABLES.search(record) if len(record) <= RECORD_CHARACTERS else None
    if found is None:
        return None
    return {each[1]: unquote(each[2], errors="backslashreplace") for each in _VARIABLE.finditer(found[1])}


def read_direction(record: str) -> str:
    """The direction that `channel_data` names, or ""."""
    found = _DIRECTION.search(record)
    return found[1] if found else ""


def read_times(record: str) -> dict[str, int]:
    """created_time, answered_time and bridged_time of the call flow, in microseconds."""
    return {found[1]: int(found[2]) for found in _TIME.finditer(record)}


@lru_cache(maxsize=8192)  # most values of most legs are the same
def _encoded(value: str) -> str:
    return quote(value, safe=_UNESCAPED)


def _application_log(leg: Leg) -> list[str]:
    if not leg.is_inbound:
        return []
    bridge = quoteattr(leg.variables.get("current_application_data", ""))
    stamp = leg.created_us
    return [
        "  <app_log>",
        f'    <application app_name="set" app_data="hangup_after_bridge=true" app_stamp="{stamp}"></application>',
        f'    <application app_name="bridge" app_data={bridge} app_stamp="{stamp}"></application>',
        "  </app_log>",
    ]


def _call_flow(leg: Leg) -> list[str]:
    bridge = quoteattr(leg.variables.get("current_application_data", ""))
    extension = [
        f'    <extension name="out" number={quoteattr(leg.destination)}>',
        '      <application app_name="set" app_data="hangup_after_bridge=true"></application>',
        f'      <application app_name="bridge" app_data={bridge}></application>',
        "    </extension>",
    ]
    times = (
        ("created_time", leg.created_us),
        ("profile_created_time", leg.created_us),
        ("progress_time", leg.created_us),
        ("progress_media_time", 0),
        ("answered_time", leg.answered_us),
        ("bridged_time", leg.bridged_us),
        ("last_hold_time", 0),
        ("hold_accum_time", 0),
        ("hangup_time", leg.hangup_us),
        ("resurrect_time", leg.resurrected_us),
        ("transfer_time", 0),
    )
    return [
        f'  <callflow dialplan="XML" unique-id={quoteattr(leg.uuid)} profile_index="1">',
        *(extension if leg.is_inbound else []),
        *_caller_profile(leg),
        "    <times>",
        *(f"      <{name}>{value}</{name}>" for name, value in times),
        "    </times>",
        "  </callflow>",
    ]


def _caller_profile(leg: Leg) -> list[str]:
    caller = escape(leg.caller)
    fields = (
        ("username", caller),
        ("dialplan", "XML"),
        ("caller_id_name", caller),
        ("caller_id_number", caller),
        ("callee_id_name", "Outbound Call"),
        ("callee_id_number", escape(leg.destination)),
        ("ani", caller),
        ("aniii", ""),
        ("network_addr", leg.dialog.peer[0]),
        ("rdnis", ""),
        ("destination_number", escape(leg.destination)),
        ("uuid", leg.uuid),
        ("source", "mod_sofia"),
        ("context", "default"),
        ("chan_name", escape(leg.name)),
    )
    body = [f"      <{name}>{value}</{name}>" for name, value in fields]
    return ["    <caller_profile>", *body, "    </caller_profile>"]


def _statistics() -> str:
    inbound = [(name, "0") for name in _IN_COUNTS] + list(_IN_FIGURES)
    outbound = [(name, "0") for name in _OUT_COUNTS]
    lines = ["  <call-stats>", "    <audio>"]
    for side, figures in (("inbound", inbound), ("outbound", outbound)):
        lines += [f"      <{side}>", *(f"        <{n}>{v}</{n}>" for n, v in figures), f"      </{side}>"]
    return "\n".join([*lines, "    </audio>", "  </call-stats>"])


_STATISTICS = _statistics()
