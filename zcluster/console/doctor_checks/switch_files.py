"""What stands in a switch's own configuration, as `xml_locate` prints it.

What must hold: text of a switch is bounded and never trusted to be well formed; what cannot be read has no values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

LARGEST_XML_BYTES = 4 << 20

_TRUE = frozenset({"yes", "on", "true", "t", "enabled", "active", "allow"})  # switch_true in switch_utils.h


@dataclass(frozen=True, slots=True)
class Remote:
    """A <remote> of hash.conf.xml."""

    host: str
    port: str


def parsed(text: str) -> ET.Element | None:
    """The configuration, None where the text is not one. A document type is refused: it could grow."""
    if len(text) > LARGEST_XML_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        return ET.fromstring(text.strip())
    except ET.ParseError:
        return None


def parameters(root: ET.Element | None) -> dict[str, str]:
    """Every <param> below it, by name; of two the last one counts, as in the switch."""
    if root is None:
        return {}
    return {param.get("name", ""): param.get("value", "") for param in root.iter("param")}


def profile_parameters(root: ET.Element | None) -> dict[str, Mapping[str, str]]:
    """The settings of each profile of sofia.conf.xml, by its name."""
    if root is None:
        return {}
    return {profile.get("name", ""): parameters(profile.find("settings")) for profile in root.iter("profile")}


def inbound_acls(root: ET.Element | None) -> dict[str, tuple[str, ...]]:
    """The lists of each profile that let a call in without a password (sofia.c: every one of them counts)."""
    if root is None:
        return {}
    return {
        profile.get("name", ""): tuple(
            param.get("value", "")
            for param in profile.iterfind("settings/param")
            if param.get("name") == "apply-inbound-acl"
        )
        for profile in root.iter("profile")
    }


def remotes(root: ET.Element | None) -> list[Remote]:
    """The remotes that mod_hash polls."""
    if root is None:
        return []
    return [Remote(remote.get("host", ""), remote.get("port", "")) for remote in root.iter("remote")]


def is_true(value: str) -> bool:
    """As the switch reads a boolean: a word for it, or a number that is not 0."""
    return value.strip().lower() in _TRUE or (value.strip().isdigit() and int(value) != 0)
