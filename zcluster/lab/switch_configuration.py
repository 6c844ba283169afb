"""The files and the command line of one FreeSWITCH of the laboratory, as text.

What must hold: the same profiles, by name and by address, on every node, each bound where its address is not yet
and in standby; a switch name, a database and a log of its own on each. Nothing is started or written here, and
nothing is read: whoever has a FreeSWITCH installed gives its directory. The settings that zcluster needs are those
of conf/freeswitch/, which says why for each; the rest is what makes `sipp` a telephone and a carrier.

Dialled numbers:
    7xxx  answered by the switch itself, which then plays a tone
    8xxx  to the carrier, counted by `limit hash laboratory trunk`
    9xxx  to the carrier
    else  the telephone registered under that number, on whichever node it registered
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from xml.sax.saxutils import quoteattr

DOMAIN = "lab.test"
LIMIT_REALM, LIMIT_RESOURCE = "laboratory", "trunk"
MODULES = (
    "mod_console",
    "mod_logfile",
    "mod_event_socket",
    "mod_sofia",
    "mod_commands",
    "mod_dptools",
    "mod_dialplan_xml",
    "mod_hash",
    "mod_tone_stream",
)
# As the switch's options name them (switch.c); what is not named would lie in the installation, common to all.
_DIRECTORIES = (
    "conf",
    "db",
    "log",
    "run",
    "temp",
    "certs",
    "storage",
    "recordings",
    "sounds",
    "grammar",
    "htdocs",
)
_PROFILE = (
    # What zcluster needs: conf/freeswitch/zcluster/profile.xml.
    ("profile-standby", "true"),
    ("track-calls", "true"),
    ("apply-inbound-acl", "zcluster"),
    ("nat-options-ping", "true"),
    # A telephone behind NAT: known by its Via, and pinged twice within the usual half minute of a router.
    ("aggressive-nat-detection", "true"),
    ("ping-mean-interval", "10"),
    # What lets sipp in without a directory of users: a caller is admitted by any one of the lists.
    ("apply-inbound-acl", "any_v4.auto"),
    ("apply-inbound-acl", "any_v6.auto"),
    ("auth-calls", "false"),
    ("accept-blind-reg", "true"),
    ("force-register-domain", DOMAIN),
    ("force-register-db-domain", DOMAIN),
    ("context", "laboratory"),
    ("dialplan", "XML"),
    ("user-agent-string", "zcluster-laboratory"),
    ("inbound-codec-prefs", "PCMU"),
    ("outbound-codec-prefs", "PCMU"),
    ("rtp-timer-name", "soft"),
    ("manage-presence", "false"),
)


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """A SIP profile and the floating address, IPv4 or IPv6, that it lives on."""

    name: str
    address: str
    port: int = 5060


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """One switch on paper.

    `directory`: everything that it writes and reads lies below. `prefix`: where FreeSWITCH is installed.
    `carrier`: "host:port" where outside numbers go. `profiles` and `limit` are the same on all nodes.
    """

    node: str
    directory: Path
    prefix: Path
    profiles: tuple[ProfilePlan, ...]
    carrier: str
    password: str
    event_socket_port: int = 8021
    limits_port: int = 8022
    limit: int = 10
    rtp_ports: tuple[int, int] = (16384, 32768)
    max_sessions: int = 5000
    sessions_per_second: int = 500

    @property
    def core_database(self) -> Path:
        """Where the table `recovery` is."""
        return self.directory / "db" / "core.db"


def switch_directories(plan: SwitchPlan) -> tuple[Path, ...]:
    """The directories that must be there before the switch starts."""
    return tuple(plan.directory / name for name in _DIRECTORIES)


def switch_command(plan: SwitchPlan) -> tuple[str, ...]:
    """The command line that runs the switch in the foreground, without a console and without asking a NAT router."""
    named = (text for name in _DIRECTORIES for text in (f"-{name}", str(plan.directory / name)))
    modules = str(plan.prefix / "lib" / "freeswitch" / "mod")
    return (str(plan.prefix / "bin" / "freeswitch"), "-nf", "-nc", "-nonat", "-mod", modules, *named)


def switch_files(plan: SwitchPlan) -> dict[Path, str]:
    """The text of each file of the switch, by its path.

    Raises ValueError for a profile's address that is none.
    """
    assert len({profile.name for profile in plan.profiles}) == len(plan.profiles), "each profile once"
    for profile in plan.profiles:
        ip_address(profile.address)
    configurations = (
        _modules(),
        _logfile(),
        _switch(plan),
        _event_socket(plan),
        _access_lists(plan),
        _hash(plan),
        _sofia(plan),
    )
    text = "\n".join(
        (
            '<?xml version="1.0"?>',
            '<document type="freeswitch/xml">',
            '<section name="configuration">',
            *configurations,
            "</section>",
            '<section name="dialplan">',
            _dialplan(plan),
            "</section>",
            '<section name="directory">',
            f"<domain name={_quoted(DOMAIN)}/>",
            "</section>",
            "</document>",
            "",
        )
    )
    return {plan.directory / "conf" / "freeswitch.xml": text}


def _modules() -> str:
    return _configuration(
        "modules.conf", _block("modules", *(f"<load module={_quoted(name)}/>" for name in MODULES))
    )


def _logfile() -> str:
    mapping = '<map name="all" value="notice,warning,err,crit,alert"/>'
    settings = _params((("rollover", "0"),))
    profile = f'<profile name="default">{_block("settings", settings)}{_block("mappings", mapping)}</profile>'
    return _configuration("logfile.conf", _block("profiles", profile))


def _switch(plan: SwitchPlan) -> str:
    first, last = plan.rtp_ports
    settings = (
        ("switchname", plan.node),
        ("core-db-name", str(plan.core_database)),
        ("rtp-port-usage-robustness", "true"),
        ("rtp-start-port", str(first)),
        ("rtp-end-port", str(last)),
        ("max-sessions", str(plan.max_sessions)),
        ("sessions-per-second", str(plan.sessions_per_second)),
        ("loglevel", "notice"),
    )
    return _configuration("switch.conf", _block("settings", _params(settings)))


def _event_socket(plan: SwitchPlan) -> str:
    settings = (
        ("nat-map", "false"),
        ("listen-ip", "127.0.0.1"),
        ("listen-port", str(plan.event_socket_port)),
        ("password", plan.password),
        ("apply-inbound-acl", "loopback.auto"),
    )
    return _configuration("event_socket.conf", _block("settings", _params(settings)))


def _access_lists(plan: SwitchPlan) -> str:
    """Who may send calls "by way of the holder": the floating addresses, which only the cluster's nodes hold."""
    nodes = "\n".join(
        f'<node type="allow" cidr={_quoted(f"{address}/{ip_address(address).max_prefixlen}")}/>'
        for address in dict.fromkeys(profile.address for profile in plan.profiles)
    )
    lists = f'<list name="zcluster" default="deny">\n{nodes}\n</list>'
    return _configuration("acl.conf", _block("network-lists", lists))


def _hash(plan: SwitchPlan) -> str:
    remote = (
        ("name", "zcluster"),
        ("host", "127.0.0.1"),
        ("port", str(plan.limits_port)),
        ("username", ""),
        ("password", plan.password),
        ("interval", "250"),
    )
    attributes = " ".join(f"{name}={_quoted(value)}" for name, value in remote)
    return _configuration("hash.conf", _block("remotes", f"<remote {attributes}/>"))


def _sofia(plan: SwitchPlan) -> str:
    profiles = "\n".join(_profile(profile) for profile in plan.profiles)
    return _configuration(
        "sofia.conf", _block("global_settings", _params((("log-level", "0"),))), _block("profiles", profiles)
    )


def _profile(profile: ProfilePlan) -> str:
    own = (
        ("sip-ip", profile.address),
        ("rtp-ip", profile.address),
        ("sip-port", str(profile.port)),
        ("dbname", f"sofia_{profile.name}"),
    )
    domain = '<domain name="all" alias="false" parse="false"/>'
    return (
        f"<profile name={_quoted(profile.name)}>\n{_block('domains', domain)}\n"
        f"{_block('settings', _params((*_PROFILE, *own)))}\n</profile>"
    )


def _dialplan(plan: SwitchPlan) -> str:
    outside = f"sofia/${{sofia_profile_name}}/$1@{plan.carrier}"
    counted = f"hash {LIMIT_REALM} {LIMIT_RESOURCE} {plan.limit} !NORMAL_CIRCUIT_CONGESTION"
    extensions = (
        *_by_way_of_the_holder(),
        _extension(
            "tone",
            _number("^7[0-9]+$", ("answer", ""), ("playback", "tone_stream://%(500,500,440);loops=-1")),
        ),
        _extension("counted", _number("^(8[0-9]+)$", ("limit", counted), ("bridge", outside))),
        _extension("outside", _number("^(9[0-9]+)$", ("bridge", outside))),
        _extension("telephone", _number("^([0-9]+)$", ("bridge", f"${{sofia_contact(*/$1@{DOMAIN})}}"))),
    )
    return '<context name="laboratory">\n' + "\n".join(extensions) + "\n</context>"


def _by_way_of_the_holder() -> tuple[str, ...]:
    """As conf/freeswitch/zcluster/dialplan.xml: what another node sends for a telephone of ours, and nothing else."""
    from_a_node = "${acl(${network_addr} zcluster)}"
    return (
        _extension(
            "zcluster-telephone",
            _condition(from_a_node, "^true$"),
            _condition("${sip_full_route}", "^<sips?:[^,]+;lr"),
            _condition(
                "${sip_req_user}@${sip_req_host}",
                "^([^/~@]+@[^/~@]+)$",
                ("export", "process_cdr=false"),
                ("set", "hangup_after_bridge=true"),
                ("set", "continue_on_fail=false"),
                ("set", "sip_exclude_contact=zcluster copy"),
                ("bridge", "${sofia_contact(${sofia_profile_name}/$1)}"),
            ),
        ),
        _extension("zcluster-nothing-else", _condition(from_a_node, "^true$", ("respond", "403 Forbidden"))),
    )


def _extension(name: str, *conditions: str) -> str:
    return f"<extension name={_quoted(name)}>\n" + "\n".join(conditions) + "\n</extension>"


def _number(pattern: str, *applications: tuple[str, str]) -> str:
    return _condition("destination_number", pattern, *applications)


def _condition(field: str, pattern: str, *applications: tuple[str, str]) -> str:
    actions = (f"<action application={_quoted(name)} data={_quoted(data)}/>" for name, data in applications)
    opening = f"<condition field={_quoted(field)} expression={_quoted(pattern)}>"
    return "\n".join((opening, *actions, "</condition>"))


def _configuration(name: str, *blocks: str) -> str:
    return f"<configuration name={_quoted(name)}>\n" + "\n".join(blocks) + "\n</configuration>"


def _block(tag: str, *lines: str) -> str:
    return f"<{tag}>\n" + "\n".join(lines) + f"\n</{tag}>"


def _params(params: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"<param name={_quoted(name)} value={_quoted(value)}/>" for name, value in params)


def _quoted(text: str) -> str:
    return quoteattr(text)
