"""The one dialplan of the fake switch: whom a dialled user is, and what it is counted as.

What must hold: the same numbers as in the laboratory's real switch (zcluster/lab/switch_configuration.py): 7xxx is
answered here, 8xxx goes to the carrier within the limit "trunk", 9xxx to the carrier, another is a telephone. Only
here: "limited-NAME-MAX" goes to the carrier within the limit NAME. A telephone of another node is called by way of
the holder of its address (`fs_path`), which looks its user up again in the profile that got the call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from zcluster.lab.fake_switch.dialog import place_of
from zcluster.lab.fake_switch.message import parameter, uri_text
from zcluster.lab.fake_switch.registrations import Registration
from zcluster.lab.fake_switch.settings import Place

TRUNK = "trunk"
_HERE = re.compile("7[0-9]+")
_TRUNK = re.compile("8[0-9]+")
_CARRIER = re.compile("9[0-9]+")
_LIMITED = re.compile(r"limited-([A-Za-z0-9_.]{1,64})-(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes. `target`: the URI to invite, "" for nobody; `way`: where that is sent, None for here.

    `limit`: the resource it is counted as, and its maximum.
    """

    target: str = ""
    way: Place | None = None
    limit: tuple[str, int] | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is anybody."""
        return bool(self.target)


def route(user: str, entry: Registration | None, carrier: Place, trunk_limit: int) -> Route:
    """The way of a call to this user. `entry`: its registration. Raises BadMessage for an unusable contact."""
    host, port = carrier
    outside = Route(f"sip:{user}@{host}:{port}", carrier)
    if _HERE.fullmatch(user):
        return Route(f"sip:{user}@{host}")
    if found := _LIMITED.fullmatch(user):
        return Route(outside.target, carrier, (found[1], int(found[2])))
    if _TRUNK.fullmatch(user):
        return Route(outside.target, carrier, (TRUNK, trunk_limit))
    if _CARRIER.fullmatch(user):
        return outside
    return _telephone(entry) if entry else Route()


def _telephone(entry: Registration) -> Route:
    """To its contact; by way of `fs_path` where the contact has one. Only `fs_` parameters are cut off."""
    uri = uri_text(entry.contact)
    target = re.sub(r";fs_[a-z]+=[^;>]*", "", uri)
    return Route(target, place_of(_parameter(uri, "fs_path") or target))


def _parameter(uri: str, name: str) -> str:
    return unquote(parameter(f";{uri.partition(';')[2]}", name)).strip("<>")
