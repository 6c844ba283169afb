"""What each check of the doctor makes of what was seen."""

from __future__ import annotations

import itertools
import os
import pwd
import tempfile
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.core_file import Switch
from tests.config.texts import CLUSTER, RING, SERVICE, accepted
from tests.console.pages import node, page
from tests.switch.recorded import blocks, received
from zcluster.adapters.neighbour_frames import Kind, Sighting
from zcluster.config.configuration import Configuration, SwitchSettings
from zcluster.console.doctor_checks import (
    access,
    cluster,
    core_database,
    host,
    inbound_acl,
    network,
    stalls,
    switch,
    switch_files,
)
from zcluster.console.doctor_checks.access import Person
from zcluster.console.doctor_checks.finding import Finding, Level
from zcluster.console.doctor_checks.host import HostLook
from zcluster.console.doctor_checks.questions import MODULES, SwitchAnswers, questions_of
from zcluster.control.timing import PRESETS

FILE = (
    CLUSTER
    + RING
    + SERVICE
    + """
[[group]]
name = "vip"
addresses = ["10.77.0.100/24"]
interface = "10.77.9.0/24"
profiles = ["vip1"]
[switch]
event-socket = "127.0.0.1:8021"
core-db = "/nowhere/core.db"
limits-port = 8022
"""
)
PROFILE = next(
    block.body.decode()
    for block in blocks(received("api-one-bridged-call"))
    if b"<profile-info>" in block.body
)
SOFIA = """<configuration name="sofia.conf"><profiles><profile name="vip1"><gateways/><settings>
<param name="track-calls" value="{track}"/><param name="profile-standby" value="{standby}"/>
</settings></profile></profiles></configuration>"""
HASH = """<configuration name="hash.conf"><remotes>
<remote name="zcluster" host="127.0.0.1" port="8022" password="x" interval="250"/></remotes></configuration>"""
SWITCH = """<configuration name="switch.conf"><settings>
<param name="rtp-port-usage-robustness" value="true"/>{more}</settings></configuration>"""
WELL = {
    "version": "FreeSWITCH Version 1.11.3-dev",
    "switchname": "fsA",
    "db_dir": "/nowhere",
    "pause inbound": "false",
    "pause outbound": "false",
    "switch.conf": SWITCH.format(more=""),
    "sofia.conf": SOFIA.format(track="true", standby="true"),
    "hash.conf": HASH,
    "profile vip1": PROFILE,
    **{f"module {name}": "true" for name in MODULES},
}


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return accepted(FILE)


def levels(found: list[Finding]) -> dict[str, Level]:
    """The worst level of each subject."""
    order = list(Level)
    worst: dict[str, Level] = {}
    for one in found:
        worst[one.subject] = max(worst.get(one.subject, Level.OK), one.level, key=order.index)
    return worst


def of_switch(configuration: Configuration, changed: dict[str, str] | None = None) -> list[Finding]:
    assert configuration.switch is not None
    answers = SwitchAnswers(texts={**WELL, **(changed or {})})
    return switch.findings(answers, configuration, configuration.switch)


def test_a_well_switch_has_nothing_to_mend(configuration: Configuration) -> None:
    found = of_switch(configuration)
    assert {one.level for one in found} == {Level.OK}
    assert {"event socket", "modules", "build", "switchname", "pause", "profile vip1", "limits"} <= set(
        levels(found)
    )
    assert set(WELL) == set(questions_of(("vip1",)))  # every question has an answer above


@pytest.mark.parametrize(
    ("changed", "subject", "level"),
    [
        ({"profile vip1": "Invalid Profile!\n"}, "profile vip1", Level.ERROR),
        ({"profile vip1": PROFILE.replace("10.77.0.100", "10.77.0.11")}, "profile vip1", Level.ERROR),
        ({"sofia.conf": SOFIA.format(track="false", standby="true")}, "profile vip1", Level.ERROR),
        ({"sofia.conf": SOFIA.format(track="true", standby="false")}, "profile vip1", Level.WARNING),
        ({"sofia.conf": "can't find anything\n"}, "profile vip1", Level.UNKNOWN),
        ({"pause inbound": "true"}, "pause", Level.ERROR),
        ({"module mod_hash": "false"}, "modules", Level.WARNING),
        ({"module mod_sofia": "false"}, "modules", Level.ERROR),
        ({"hash.conf": HASH.replace("8022", "8021")}, "limits", Level.WARNING),
        ({"switch.conf": SWITCH.replace("robustness", "other").format(more="")}, "RTP ports", Level.WARNING),
        ({"switch.conf": "<!DOCTYPE x><a/>"}, "switch.conf", Level.UNKNOWN),
    ],
)
def test_each_fault_of_a_switch_is_named(
    configuration: Configuration, changed: dict[str, str], subject: str, level: Level
) -> None:
    found = of_switch(configuration, changed)
    assert levels(found)[subject] is level
    assert {name for name, worst in levels(found).items() if worst is not Level.OK} == {subject}


def test_a_switch_that_is_not_there_is_one_error(configuration: Configuration) -> None:
    assert configuration.switch is not None
    found = switch.findings(SwitchAnswers("connection refused"), configuration, configuration.switch)
    assert [(one.subject, one.level) for one in found] == [("event socket", Level.ERROR)]


def test_what_a_hostile_switch_says_does_not_steer_the_terminal(configuration: Configuration) -> None:
    assert configuration.switch is not None
    answers = SwitchAnswers(texts=dict.fromkeys(WELL, "\x1b[2J\n<&>"))
    for one in switch.findings(answers, configuration, configuration.switch):
        assert one.words.isprintable()


@given(st.text())
def test_whatever_is_no_xml_has_no_values(text: str) -> None:
    root = switch_files.parsed(text)
    assert switch_files.parameters(root) == {}


def test_a_group_without_a_profile_is_a_warning() -> None:
    configuration = accepted(FILE.replace('profiles = ["vip1"]', ""))
    assert configuration.switch is not None
    found = switch.findings(SwitchAnswers(texts=dict(WELL)), configuration, configuration.switch)
    assert levels(found)["group vip"] is Level.WARNING


def settings_for(path: Path, configuration: Configuration) -> SwitchSettings:
    assert configuration.switch is not None
    return replace(configuration.switch, core_db=path)


def test_a_good_core_database_is_good(tmp_path: Path, configuration: Configuration) -> None:
    path = tmp_path / "core.db"
    started = Switch(path).start()
    started.answer("a", "x")
    answers = SwitchAnswers(texts={**WELL, "db_dir": str(tmp_path)})
    (found,) = core_database.findings(settings_for(path, configuration), answers, None)
    assert found.level is Level.OK
    assert "1 call leg" in found.words
    answers.texts["db_dir"] = "/elsewhere"
    assert levels(core_database.findings(settings_for(path, configuration), answers, None)) == {
        "core database": Level.WARNING
    }
    started.run("insert into interfaces (name, hostname) values ('a', 'one'), ('a', 'two')")
    assert levels(core_database.findings(settings_for(path, configuration), SwitchAnswers(), None)) == {
        "core database": Level.ERROR
    }
    started.connection.close()


def test_a_core_database_on_a_server_is_refused_with_the_reason(configuration: Configuration) -> None:
    dsn = '<param name="core-db-dsn" value="pgsql://hostaddr=10.0.0.1 dbname=fs password=secret"/>'
    answers = SwitchAnswers(texts={**WELL, "switch.conf": SWITCH.format(more=dsn)})
    assert configuration.switch is not None
    (found,) = core_database.findings(configuration.switch, answers, None)
    assert found.level is Level.ERROR
    assert "live calls of the other masters" in found.words
    assert "secret" not in found.words


def test_a_core_database_on_a_network_filesystem_is_refused(
    tmp_path: Path, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / {tmp_path} rw - nfs4 filer:/ rw\n")
    monkeypatch.setattr("zcluster.adapters.core_db_place.MOUNTS", mounts)
    Switch(tmp_path / "core.db").start().connection.close()
    (found,) = core_database.findings(
        settings_for(tmp_path / "core.db", configuration), SwitchAnswers(), None
    )
    assert found.level is Level.ERROR
    assert "nfs4" in found.words


@pytest.mark.parametrize(
    ("mode", "uid", "groups", "may"),
    [
        (0o600, 0, (0,), True),
        (0o600, 7, (8,), True),
        (0o400, 7, (8,), False),
        (0o660, 9, (9, 8), True),
        (0o640, 9, (9, 8), False),
        (0o606, 9, (9, 8), False),
        (0o606, 9, (9,), True),
        (0o664, 9, (9,), False),
    ],
)
def test_who_may_write_a_file_of_user_7_and_group_8(
    mode: int, uid: int, groups: tuple[int, ...], may: bool
) -> None:
    status = os.stat_result((mode, 1, 1, 1, 7, 8, 0, 0, 0, 0))
    assert access.mode_lets_write(status, uid, groups) is may


def nobody(*groups: int) -> Person:
    entry = pwd.getpwnam("nobody")
    return Person("nobody", entry.pw_uid, entry.pw_gid, (entry.pw_gid, *groups), is_running=False)


def test_a_database_that_the_daemon_may_not_write_is_a_warning(
    tmp_path: Path, configuration: Configuration
) -> None:
    path = tmp_path / "core.db"
    Switch(path).start().connection.close()
    settings = settings_for(path, configuration)
    for each in (path, tmp_path):
        each.chmod(0o700)
    (found,) = [
        one
        for one in core_database.findings(settings, SwitchAnswers(), nobody())
        if one.level is not Level.OK
    ]
    assert found.level is Level.WARNING
    assert f"nobody may not write {path}" in found.words
    assert levels(core_database.findings(settings, SwitchAnswers(), None)) == {"core database": Level.OK}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as another user")
def test_the_kernel_is_asked_as_that_user_with_its_groups() -> None:
    """A directory above that is closed is seen, and so is a group that no entry names."""
    group = 54_321
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        above, path = Path(made), Path(made) / "db" / "core.db"
        path.parent.mkdir()
        path.touch()
        for each, mode in ((above, 0o755), (path.parent, 0o770), (path, 0o660)):
            os.chown(each, 0, group)
            each.chmod(mode)
        assert access.may_write(path, nobody(group))
        assert access.may_write(path.parent, nobody(group))
        assert not access.may_write(path, nobody())
        above.chmod(0o700)
        assert not access.may_write(path, nobody(group))


def test_what_a_running_process_is_is_seen_of_itself() -> None:
    who = access.daemon_person(os.getpid())
    assert who is not None
    assert (who.uid, who.gid, who.is_running) == (os.geteuid(), os.getegid(), True)
    assert set(os.getgroups()) <= set(who.groups)
    assert access.daemon_person(2**22 + 1) == access.daemon_person(None)


ACL = '<param name="apply-inbound-acl" value="{}"/>'
OTHER_GROUP = """
[[group]]
name = "other"
addresses = ["10.77.9.77/24"]
[switch]"""


@pytest.mark.parametrize(
    ("lists", "said", "level"),
    [
        ((), {}, Level.WARNING),
        (("zcluster",), {"acl zcluster 10.77.9.77": "true"}, Level.OK),
        (("zcluster",), {"acl zcluster 10.77.9.77": "false\n"}, Level.WARNING),
        (("zcluster",), {"acl zcluster 10.77.9.77": "-ERR no such command"}, Level.UNKNOWN),
        (("zcluster",), {}, Level.UNKNOWN),
        (("trunks", "zcluster"), {"acl trunks 10.77.9.77": "false", "acl zcluster 10.77.9.77": "true"}, Level.OK),
        (("trunks", "lan"), {"acl trunks 10.77.9.77": "false", "acl lan 10.77.9.77": "false"}, Level.WARNING),
    ],
)  # fmt: skip
def test_a_profile_lets_calls_of_the_other_nodes_in(
    lists: tuple[str, ...], said: dict[str, str], level: Level
) -> None:
    configuration = accepted(FILE.replace("[switch]", OTHER_GROUP))
    more = "".join(ACL.format(name) for name in lists)
    sofia = WELL["sofia.conf"].replace("</settings>", f"{more}</settings>")
    answers = SwitchAnswers(texts={**WELL, "sofia.conf": sofia})
    assert list(inbound_acl.questions_after(answers, configuration)) == [
        f"acl {name} 10.77.9.77" for name in lists
    ]
    answers.texts.update(said)
    (found,) = inbound_acl.findings(answers, configuration)
    assert (found.subject, found.level) == ("profile vip1", level)


def test_a_lone_group_needs_no_list_and_a_list_that_is_no_word_is_not_asked(
    configuration: Configuration,
) -> None:
    assert inbound_acl.findings(SwitchAnswers(texts=dict(WELL)), configuration) == []
    several = accepted(FILE.replace("[switch]", OTHER_GROUP))
    sofia = WELL["sofia.conf"].replace("</settings>", f"{ACL.format('a&#10;exit')}</settings>")
    answers = SwitchAnswers(texts={**WELL, "sofia.conf": sofia})
    assert inbound_acl.questions_after(answers, several) == {}


def seen(**changed: Any) -> HostLook:
    plain = HostLook(
        settings=(("net/ipv4/ip_nonlocal_bind", "1", "1"),),
        forwarders=(),
        missing_capabilities=(),
        packet_filter="",
        is_egress_gated=True,
        is_real_time_permitted=True,
        is_clock_synchronised=True,
        kernel="6.1.0-18-amd64",
    )
    return replace(plain, **changed)


def test_a_well_host_has_nothing_to_mend() -> None:
    assert {one.level for one in host.findings(seen())} == {Level.OK}


@pytest.mark.parametrize(
    ("changed", "subject", "level"),
    [
        ({"settings": (("net/ipv4/ip_nonlocal_bind", "1", "0"),)}, "sysctl", Level.WARNING),
        ({"settings": (("net/ipv6/ip_nonlocal_bind", "1", None),)}, "sysctl", Level.UNKNOWN),
        ({"forwarders": ("eth1",)}, "proxy ARP", Level.ERROR),
        ({"missing_capabilities": ("CAP_NET_RAW",)}, "privileges", Level.UNKNOWN),
        ({"packet_filter": "no such thing"}, "packet filter", Level.ERROR),
        ({"packet_filter": None}, "packet filter", Level.UNKNOWN),
        ({"is_egress_gated": False}, "packet filter", Level.WARNING),
        ({"is_real_time_permitted": False}, "real time", Level.WARNING),
        ({"is_clock_synchronised": False}, "clock", Level.WARNING),
        ({"is_clock_synchronised": None}, "clock", Level.UNKNOWN),
    ],
)
def test_each_fault_of_a_host_is_named(changed: dict[str, Any], subject: str, level: Level) -> None:
    found = levels(host.findings(seen(**changed), ["eth1"]))
    assert found[subject] is level
    assert {name for name, worst in found.items() if worst is not Level.OK} == {subject}


def test_proxy_arp_on_another_network_does_not_matter() -> None:
    assert "proxy ARP" not in levels(host.findings(seen(forwarders=("docker0",)), ["eth1"]))


@pytest.mark.parametrize(
    ("status", "missing"),
    [
        ("CapEff:\t000001ffffffffff", ()),
        ("CapEff:\t0000000000003000", ("CAP_SYS_NICE",)),
        ("CapEff:\t0000000000000000", ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_NICE")),
        ("", ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_NICE")),
    ],
)
def test_which_capabilities_are_missing(status: str, missing: tuple[str, ...]) -> None:
    assert host.missing_capabilities(f"Name:\tx\n{status}\nSeccomp:\t0\n") == missing


def test_who_answers_for_an_unused_address_is_named_once() -> None:
    canary = IPv4Address("10.77.9.0")
    heard = [Sighting(canary, "02:00:00:00:00:01", Kind.REPLY, "eth1")] * 3
    (found,) = network.findings(heard, {"eth1": [canary]})
    assert found.level is Level.ERROR
    assert "02:00:00:00:00:01" in found.words
    assert [one.level for one in network.findings([], {"eth1": [canary]})] == [Level.OK]
    assert [one.level for one in network.findings("no right", {"eth1": [canary]})] == [Level.UNKNOWN]


def test_the_daemon_that_tells_nothing_leaves_it_unknown() -> None:
    assert {one.level for one in cluster.findings(page(), has_switch=True)} == {Level.UNKNOWN}
    assert [one.subject for one in cluster.findings(page(), has_switch=False)] == ["clocks"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (({"build": "1"}, {"build": "1"}), {"builds": Level.OK}),
        (({"build": "1"}, {"build": "2"}), {"builds": Level.WARNING}),
        (({"switchname": "a"}, {"switchname": "b"}), {"switchnames": Level.OK}),
        (({"switchname": "a"}, {"switchname": "a"}), {"switchnames": Level.ERROR}),
        (({"clock_offset_ms": 0}, {"clock_offset_ms": -120}), {"clocks": Level.OK}),
        (({"clock_offset_ms": 0}, {"clock_offset_ms": -1200}), {"clocks": Level.ERROR}),
    ],
)
def test_nodes_are_compared(told: tuple[dict[str, Any], dict[str, Any]], expected: dict[str, Level]) -> None:
    status = page(nodes=[node("n1", is_self=True, **told[0]), node("n2", **told[1])])
    found = levels(cluster.findings(status, has_switch=True))
    assert {subject: level for subject, level in found.items() if level is not Level.UNKNOWN} == expected


def test_a_silent_node_is_not_compared() -> None:
    status = page(nodes=[node("n1", is_self=True, build="1"), node("n2", is_heard=False, build="2")])
    assert levels(cluster.findings(status, has_switch=True))["builds"] is Level.UNKNOWN


class Sleeper:
    """A clock that oversleeps by a list of lengths, again and again."""

    def __init__(self, late_ms: list[float]) -> None:
        self.now_ns = 0
        self.late_ms = itertools.cycle(late_ms)

    def clock_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9 + next(self.late_ms) * 1e6)


def test_the_worst_nap_is_found() -> None:
    sleeper = Sleeper([0.1] * 1499 + [55.0])
    measured = stalls.measure(10, True, sleeper.clock_ns, sleeper.sleep)
    assert (measured.worst_ms, measured.p999_ms) == (55.0, 0.1)
    assert measured.seconds >= 10


@pytest.mark.parametrize(
    ("worst_ms", "names", "level"),
    [
        (0.0, ("fast", "standard", "patient"), Level.OK),
        (28.0, ("fast", "standard", "patient"), Level.OK),
        (28.1, ("standard", "patient"), Level.OK),
        (50.1, ("patient",), Level.WARNING),
        (100.1, ("patient",), Level.ERROR),
        (600.0, (), Level.ERROR),
    ],
)
def test_which_preset_a_stall_allows(worst_ms: float, names: tuple[str, ...], level: Level) -> None:
    assert stalls.allowed(worst_ms) == names
    found = stalls.finding(stalls.Stalls(60, worst_ms, 0.1, True), "standard", PRESETS["standard"])
    assert found.level is level
    assert all(name in found.words for name in names)
