"""The registrations of all profiles: REGISTER, refresh, removal, expiry, and those injected by multicast::event.

What must hold: one contact for each user of a profile; an entry ends 60 s after its time (sip-expires-late-margin),
an injected one at its time; a profile in standby expires nothing. Source: sofia_reg.c, sofia.c 2643-2870.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.lab.fake_switch.outputs import Fired, Source, Write
from zcluster.lab.fake_switch.settings import Place

LATE_MARGIN_S = 60
DEFAULT_EXPIRES_S = 3600
REGISTRATIONS = 100_000
MULTICAST = "multicast::event"

_ADDED = Source("sofia_reg.c", "sofia_reg_handle_register_token", 2059)
_REMOVED = Source("sofia_reg.c", "sofia_reg_handle_register_token", 2213)
_EXPIRED = Source("sofia_reg.c", "sofia_reg_del_callback", 726)
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Registration:
    """One row of sip_registrations. `ends_s`: seconds since 1970. `contact`: as `"" <sip:...>`."""

    profile: str
    user: str
    host: str
    contact: str
    call_id: str
    agent: str
    network: Place
    ends_s: int
    status: str = "Registered(UDP)"
    auth_user: str = _UNKNOWN
    realm: str = ""
    mwi_account: str = ""

    @property
    def url(self) -> str:
        """As dialled: sofia/PROFILE/sip:..."""
        return f"sofia/{self.profile}/{self.contact.partition('<')[2].rstrip('>')}"


class Registrations:
    """All entries of one switch, by profile, user and host."""

    def __init__(self, switchname: str) -> None:
        self._switchname = switchname
        self._entries: dict[tuple[str, str, str], Registration] = {}

    def of_profile(self, profile: str) -> list[Registration]:
        """Its entries, in the order in which they came."""
        return [entry for entry in self._entries.values() if entry.profile == profile]

    def find(self, profile: str, user: str, host: str = "") -> Registration | None:
        """The entry of a user; of any host where none is given."""
        if host:
            return self._entries.get((profile, user, host))
        return next((each for each in self.of_profile(profile) if each.user == user), None)

    def register(self, entry: Registration, expires_s: int) -> list[Fired | Write]:
        """A REGISTER was accepted; the same event for the first and for a refresh."""
        if len(self._entries) >= REGISTRATIONS:
            return []
        self._entries[entry.profile, entry.user, entry.host] = entry
        headers = {
            "profile-name": entry.profile,
            "from-user": entry.user,
            "from-host": entry.host,
            "presence-hosts": "n/a",
            "contact": entry.contact,
            "call-id": entry.call_id,
            "rpid": _UNKNOWN,
            "status": entry.status,
            "expires": str(expires_s),
            "to-user": entry.user,
            "to-host": entry.host,
            "network-ip": entry.network[0],
            "network-port": str(entry.network[1]),
            "username": entry.auth_user,
            "realm": entry.realm,
            "user-agent": entry.agent,
        }
        return [
            self._forget_row(entry),
            self._row(entry),
            Fired("CUSTOM", _ADDED, headers, "sofia::register"),
        ]

    def unregister(self, profile: str, user: str, host: str) -> list[Fired | Write]:
        """A REGISTER with Expires 0."""
        entry = self._entries.pop((profile, user, host), None)
        if entry is None:
            return []
        headers = {
            "profile-name": profile,
            "username": _UNKNOWN,
            "from-user": user,
            "from-host": host,
            "contact": entry.contact,
            "call-id": entry.call_id,
            "rpid": _UNKNOWN,
            "realm": _UNKNOWN,
            "network-ip": entry.network[0],
            "network-port": str(entry.network[1]),
            "user-agent": entry.agent,
            "expires": "0",
        }
        return [self._forget_row(entry), Fired("CUSTOM", _REMOVED, headers, "sofia::unregister")]

    def flush(self, profile: str, who: str = "") -> list[Fired | Write]:
        """`flush_inbound_reg`: of one Call-ID or user@host, or all of the profile."""
        return self._end(
            [e for e in self.of_profile(profile) if not who or who in (e.call_id, f"{e.user}@{e.host}")]
        )

    def expire(self, profiles: set[str], wall_s: int) -> list[Fired | Write]:
        """Ends the entries of these profiles whose time is over."""
        return self._end(
            [each for each in self._entries.values() if each.profile in profiles and each.ends_s <= wall_s]
        )

    def inject(self, headers: Mapping[str, str], profiles: set[str], wall_s: int) -> None:
        """An event multicast::event (header names in lower case): adds or removes without an event of its own.

        The core's table of registrations is not touched, as in the real one.
        """
        profile = headers.get("orig-profile-name", "")
        user, host = headers.get("orig-from-user", ""), headers.get("orig-from-host", "")
        expires, port = headers.get("orig-expires", "0"), headers.get("orig-network-port", "0")
        if profile not in profiles:
            return
        self._entries.pop((profile, user, host), None)
        if headers.get("orig-event-subclass") != "sofia::register" or len(self._entries) >= REGISTRATIONS:
            return
        self._entries[profile, user, host] = Registration(
            profile=profile,
            user=user,
            host=host,
            contact=headers.get("orig-contact", ""),
            call_id=headers.get("orig-call-id", ""),
            agent=headers.get("orig-user-agent", ""),
            network=(headers.get("orig-network-ip", ""), int(port) if port.isdigit() else 0),
            ends_s=wall_s + (int(expires) if expires.isdigit() and len(expires) < 10 else 0),
            status="Registered",
            auth_user=headers.get("orig-username", ""),
            realm=headers.get("orig-realm", ""),
            mwi_account=headers.get("orig-mwi-account", f"{user}@"),
        )

    def _end(self, ended: list[Registration]) -> list[Fired | Write]:
        done: list[Fired | Write] = []
        for entry in ended:
            del self._entries[entry.profile, entry.user, entry.host]
            headers = {
                "profile-name": entry.profile,
                "call-id": entry.call_id,
                "user": entry.user,
                "username": entry.user,
                "host": entry.host,
                "contact": entry.contact,
                "expires": str(entry.ends_s),
                "user-agent": entry.agent,
                "realm": entry.realm,
                "network-ip": entry.network[0],
                "network-port": str(entry.network[1]),
            }
            done += [self._forget_row(entry), Fired("CUSTOM", _EXPIRED, headers, "sofia::expire")]
        return done

    def _row(self, entry: Registration) -> Write:
        return Write(
            "insert into registrations values (?,?,?,?,?,?,?,?,?,?)",
            (
                entry.user,
                entry.host,
                entry.call_id,
                entry.url,
                entry.ends_s,
                entry.network[0],
                str(entry.network[1]),
                "udp",
                self._switchname,
                "",
            ),
        )

    def _forget_row(self, entry: Registration) -> Write:
        return Write(
            "delete from registrations where reg_user=? and realm=? and hostname=?",
            (entry.user, entry.host, self._switchname),
        )
