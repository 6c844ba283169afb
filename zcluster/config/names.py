"""What may be called what: names of clusters, nodes, links and groups, and the patterns that match nodes.

What must hold: a name is safe in a file name, an nft set name, a topic and a log line, so it needs no quoting
anywhere.
"""

from __future__ import annotations

import re

NAME_RULE = "a name begins with a letter or digit, then letters, digits, '-', '_' or '.', 63 at most"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PATTERN = re.compile(r"[A-Za-z0-9*?\[\]!_.-]{1,63}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_EVENT = re.compile(r"[A-Z][A-Z0-9_]{0,62}|[A-Za-z0-9_.-]{1,60}(::[A-Za-z0-9_.:-]{1,60})")
_HEADER = re.compile(r"[!-9;-Z\\^-~]{1,128}")
_LIMIT = re.compile(r"[^\s\"'\\/_\x00-\x1f\x7f][^\s\"'\\/\x00-\x1f\x7f]{0,126}")
_VARIABLE = re.compile(r"[A-Za-z0-9_.-]+")
# The core's own rate, which `fsctl sps` sets; no realm and no resource of mod_hash.
SESSIONS_PER_SECOND = "sessions-per-second"
_INTERFACE = re.compile(r"[^\s/:]{1,15}")


def is_name(text: str) -> bool:
    """May this be the name of a cluster, node, link or group?"""
    return _NAME.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """May this be a pattern for node names, as fnmatch reads them?"""
    return _PATTERN.fullmatch(text) is not None


def is_wildcard(pattern: str) -> bool:
    """Does this pattern mean more than the one node it spells?"""
    return any(sign in pattern for sign in "*?[")


def is_host_name(text: str) -> bool:
    """May this be a name that the DNS is asked for (RFC 1123; never all digits at the end, RFC 3696)?"""
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= 253
        and all(_HOST_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdecimal()
    )


def is_event_name(text: str) -> bool:
    """May this be an event of FreeSWITCH, or the subclass of a CUSTOM one, as the event socket spells them?"""
    return _EVENT.fullmatch(text) is not None


def is_header_name(text: str) -> bool:
    """May this be the name of a header on the event socket?"""
    return _HEADER.fullmatch(text) is not None


def is_plain_text(text: str) -> bool:
    """Is this one line without control characters?"""
    return text.isprintable()


def is_limit_name(text: str) -> bool:
    """May this be what mod_hash counts: a realm, "_", and a resource (mod_hash.c: "%s_%s")?"""
    return _LIMIT.fullmatch(text) is not None and "_" in text.rstrip("_")


def is_variable_name(text: str) -> bool:
    """May this be part of the name of a global variable of the switch (`global_setvar`)?"""
    return _VARIABLE.fullmatch(text) is not None


def is_interface(text: str) -> bool:
    """May this be the name of a network interface (IFNAMSIZ, linux/if.h: 15 bytes, no '/' or blank)?"""
    return _INTERFACE.fullmatch(text) is not None and len(text.encode()) <= 15 and text not in (".", "..")
