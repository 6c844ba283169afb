"""The part of mod_sofia that keeps registrations, written after sofia.c and sofia_reg.c as literally as can be.

One table for each profile. It reads our commands as the bytes that they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from tests.switch.as_the_switch_reads import read_packet
from zcluster.switch.commands import Command
from zcluster.switch.frames import Event

MARGIN_S = 60


@dataclass(frozen=True, slots=True)
class Row:
    call_id: str
    user: str
    host: str
    contact: str
    expires_s: int
    status: str
    hostname: str
    orig_hostname: str
    agent: str = "phone"
    network_ip: str = ""
    network_port: str = "5060"
    has_sub_host: bool = True


@dataclass(slots=True)
class Profile:
    name: str
    url: str
    is_multiple: bool
    is_standby: bool = True
    rows: list[Row] = field(default_factory=list)

    def delete(self, user: str, host: str, call_id: str) -> None:
        if self.is_multiple:
            self.rows = [row for row in self.rows if row.call_id != call_id]
        else:
            self.rows = [row for row in self.rows if (row.user, row.host) != (user, host)]


class Switch:
    """One FreeSWITCH. `fired` are the events that a subscriber of ours would get."""

    def __init__(self, name: str, profiles: dict[str, str], is_multiple: bool) -> None:
        self.name = name
        self.profiles = {each: Profile(each, url, is_multiple) for each, url in profiles.items()}
        self.fired: list[Event] = []
        self.now_s = 0

    # -- phones

    def register(self, profile: str, row: Row, expires_s: int) -> bool:
        """A REGISTER came; a profile on standby answers 503."""
        table = self.profiles[profile]
        if table.is_standby:
            return False
        table.delete(row.user, row.host, row.call_id)
        table.rows.append(
            replace(
                row,
                expires_s=self.now_s + expires_s + MARGIN_S,
                hostname=self.name,
                orig_hostname=self.name,
            )
        )
        self._fire(
            "sofia::register",
            {
                "profile-name": profile,
                "from-user": row.user,
                "from-host": row.host,
                "presence-hosts": "n/a",
                "contact": row.contact,
                "call-id": row.call_id,
                "rpid": "unknown",
                "status": row.status,
                "expires": str(expires_s),
                "to-user": row.user,
                "to-host": row.host,
                "network-ip": row.network_ip,
                "network-port": row.network_port,
                "username": row.user,
                "realm": row.host,
                "user-agent": row.agent,
            },
        )
        return True

    def unregister(self, profile: str, user: str, host: str, call_id: str) -> None:
        table = self.profiles[profile]
        if table.is_standby:
            return
        table.delete(user, host, call_id)
        headers = {"profile-name": profile, "from-user": user, "from-host": host, "call-id": call_id}
        self._fire("sofia::unregister", headers | {"expires": "0"})

    def pass_time(self, now_s: int) -> None:
        """The worker threads: what is over goes, and is told, but not on standby."""
        self.now_s = now_s
        for table in self.profiles.values():
            if not table.is_standby:
                self._expire(table, [row for row in table.rows if row.expires_s <= now_s])

    def restart(self) -> None:
        """What was injected has no sub_host, and is deleted when a profile starts; real rows are on the disk."""
        for table in self.profiles.values():
            table.rows = [row for row in table.rows if row.has_sub_host]
            table.is_standby = True
        self.fired.clear()

    def _expire(self, table: Profile, rows: list[Row]) -> None:
        for row in rows:
            table.rows.remove(row)
            headers = {"profile-name": table.name, "user": row.user, "host": row.host, "call-id": row.call_id}
            self._fire("sofia::expire", headers | {"expires": str(row.expires_s), "contact": row.contact})

    def _fire(self, subclass: str, headers: dict[str, str]) -> None:
        self.fired.append(Event({"Event-Name": "CUSTOM", "Event-Subclass": subclass} | headers))

    # -- callers

    def contacts(self, user: str, host: str) -> list[tuple[str, Row]]:
        """`sofia_contact */user@host`: what would be called, standby or not."""
        return [
            (table.name, row)
            for table in self.profiles.values()
            for row in table.rows
            if (row.user, row.host) == (user, host)
        ]

    # -- our commands

    def perform(self, command: Command) -> str:
        packet, left = read_packet(command.data)
        assert packet is not None
        assert not left
        headers = dict(reversed(packet.headers))
        if packet.command.startswith("sendevent CUSTOM"):
            assert headers["Event-Subclass"] == "multicast::event"
            self._multicast({name.lower(): value for name, value in headers.items()})
            return "+OK"
        return self._api(packet.command.removeprefix("api ").split())

    def _multicast(self, headers: dict[str, str]) -> None:
        def nil(name: str) -> str:
            return headers.get(f"orig-{name}", "")

        table = self.profiles.get(nil("profile-name"))
        if table is None:
            return
        table.delete(nil("from-user"), nil("from-host"), nil("call-id"))
        if nil("event-subclass") == "sofia::register":
            table.rows.append(
                Row(
                    nil("call-id"),
                    nil("from-user"),
                    nil("from-host"),
                    nil("contact"),
                    self.now_s + int(nil("expires")),
                    "Registered",
                    self.name,
                    nil("freeswitch-hostname"),
                    nil("user-agent"),
                    nil("network-ip"),
                    nil("network-port"),
                    False,
                )
            )

    def _api(self, words: list[str]) -> str:
        match words:
            case ["sofia", "xmlstatus", "profile", name]:
                table = self.profiles[name]
                return (
                    "<profile>\n  <profile-info>\n"
                    f"    <url>sip:mod_sofia@{table.url}</url>\n"
                    f"    <registrations>{len(table.rows)}</registrations>\n  </profile-info>\n</profile>\n"
                )
            case ["sofia", "xmlstatus", "profile", name, "reg"]:
                return self._listing(self.profiles[name].rows)
            case ["sofia", "xmlstatus", "profile", name, "user", aor]:
                rows = self.profiles[name].rows
                return self._listing([row for row in rows if f"{row.user}@{row.host}" == aor])
            case ["sofia", "profile", name, "flush_inbound_reg"]:
                self._expire(self.profiles[name], list(self.profiles[name].rows))
                return "+OK flushing all registrations"
        raise AssertionError(words)

    def _listing(self, rows: list[Row]) -> str:
        return "".join(
            (
                '<?xml version="1.0" encoding="ISO-8859-1"?>\n<profile>\n  <registrations>\n',
                *(self._row(row) for row in rows),
                "  </registrations>\n</profile>\n",
            )
        )

    def _row(self, row: Row) -> str:
        lines = {
            "call-id": row.call_id,
            "user": f"{row.user}@{row.host}",
            "contact": _amp(row.contact),
            "agent": _amp(row.agent),
            "status": f"{row.status}(unknown) exp(2026-11-26 12:00:00) expsecs({row.expires_s - self.now_s})",
            "ping-status": "Reachable",
            "ping-time": "0.00",
            "host": row.hostname,
            "network-ip": row.network_ip,
            "network-port": row.network_port,
            "sip-auth-user": quote(row.user),
            "sip-auth-realm": row.host,
            "mwi-account": f"{row.user}@{row.host}",
        }
        inner = "".join(f"        <{name}>{value}</{name}>\n" for name, value in lines.items())
        return f"    <registration>\n{inner}    </registration>\n"


def _amp(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;")):
        text = text.replace(sign, entity)
    return text


def destination(contact: str) -> tuple[str, str]:
    """sofia_glue_get_destination: the request URI, and the URI of the route, "" for none."""
    uri = contact[contact.index("<") + 1 : contact.index(">")]
    request, _, path = uri.partition(";fs_path=")
    route = unquote(path.split(";")[0].split(">")[0])
    return request.split(";fs_")[0], route
