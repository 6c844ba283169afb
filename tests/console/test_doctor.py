"""The doctor as an operator calls it: on a host with nothing, with a switch that answers, on a network that lies."""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.adapters import wire as wires
from tests.adapters.core_file import Switch
from tests.config.texts import GOOD, accepted
from tests.console.test_doctor_checks import FILE, WELL
from zcluster.adapters import nftables
from zcluster.cli import commands
from zcluster.config.identity import LocalAddress, identify
from zcluster.console import doctor
from zcluster.console.doctor_checks import host, network, questions
from zcluster.console.doctor_checks.finding import Finding, Level, error, good, unknown, warning
from zcluster.console.words import WIDTH
from zcluster.switch.commands import api
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked

ANSWERS = {
    command.name.removeprefix("api "): WELL[key] for key, command in questions.questions_of(("vip1",)).items()
}
FOUND = [
    good("file", "it can be used"),
    unknown("daemon", "the other nodes were not looked at"),
    warning("limits", "mod_hash has no remote", "put one in"),
    error("pause", "the switch is paused " * 8, "fs_cli -x 'fsctl resume'"),
]


class Answering:
    """A switch's event socket in a thread: it answers by a table, or not at all."""

    def __init__(self, answers: dict[str, str], password: str = "ClueCon") -> None:
        self.server = EslServer("127.0.0.1", 0, password)
        self.answers = answers
        self.asked: list[str] = []
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_ending.is_set():
            select.select([self.server], [], [], 0.02)
            waiting = self.server.receive(time.monotonic_ns() // 1_000_000)
            while waiting:
                asked = waiting.pop(0)
                assert isinstance(asked, ApiAsked)
                self.asked.append(asked.command)
                if (text := self.answers.get(asked.command)) is not None:
                    waiting += self.server.answer(asked.client, text)
        self.server.close()

    def close(self) -> None:
        self._is_ending.set()
        self._thread.join()


@pytest.fixture
def answering() -> Iterator[Answering]:
    made = Answering({**ANSWERS, "global_getvar core_uuid": "a-core"})
    yield made
    made.close()


def with_switch(tmp_path: Path, port: int, core_db: Path) -> Path:
    text = FILE.replace("127.0.0.1:8021", f"127.0.0.1:{port}").replace("/nowhere/core.db", str(core_db))
    path = tmp_path / "zcluster.toml"
    path.write_text(text)
    return path


def by_subject(found: list[Finding]) -> dict[str, Level]:
    return {one.subject: one.level for one in found}


def test_every_line_fits_the_page_and_every_mend_is_there() -> None:
    words = doctor.as_words(FOUND)
    assert all(len(line) <= WIDTH for line in words.splitlines())
    assert words.splitlines()[0] == "ok: file: it can be used"
    assert "  -> put one in" in words.splitlines()
    assert words.splitlines()[-1] == "1 error and 1 warning found; 1 thing could not be looked at."
    assert doctor.verdict(FOUND[:1]) == "nothing wrong found."


def test_the_json_says_the_same() -> None:
    data = json.loads(doctor.as_data(FOUND))
    assert (data["schema"], data["errors"], data["warnings"], data["unknown"]) == (
        "zcluster.doctor/1",
        1,
        1,
        1,
    )
    assert [row["level"] for row in data["findings"]] == ["ok", "unknown", "warning", "error"]


def test_without_a_switch_the_host_alone_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "zcluster.toml"
    path.write_text(GOOD)
    found = by_subject(doctor.examine(path, tmp_path / "no.sock", "n1"))
    assert found["switch"] is Level.OK
    assert found["daemon"] is Level.UNKNOWN
    assert {"file", "node", "privileges", "packet filter", "clock"} <= set(found)
    assert "event socket" not in found


def test_a_file_that_cannot_be_used_is_an_error_and_the_host_is_still_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "zcluster.toml"
    path.write_text("[cluster\n")
    result = CliRunner().invoke(
        commands, ["doctor", "--config", str(path), "--socket", str(tmp_path / "no.sock"), "--json"]
    )
    assert result.exit_code == 1
    found = {row["subject"]: row["level"] for row in json.loads(result.stdout)["findings"]}
    assert found["file"] == "error"
    assert "privileges" in found


def test_without_a_file_it_says_so_and_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    found = doctor.examine(path, tmp_path / "control.sock", None)
    assert (found[0].subject, found[0].level) == ("file", Level.ERROR)
    assert found[0].words == f"there is no file {path}; only the host was looked at"
    assert f"`zcluster init --out {path}`" in found[0].mend


def test_only_an_error_makes_the_exit_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for found, status in ((FOUND[:3], 0), (FOUND, 1)):
        monkeypatch.setattr(doctor, "examine", lambda *_, found=found: found)
        assert doctor.run(tmp_path, tmp_path, None, 0, as_json=False) == status


def test_a_switch_that_answers_is_looked_at(tmp_path: Path, answering: Answering) -> None:
    Switch(tmp_path / "core.db").start().connection.close()
    answering.answers["global_getvar db_dir"] = str(tmp_path)
    path = with_switch(tmp_path, answering.server.port, tmp_path / "core.db")
    found = by_subject(doctor.examine(path, tmp_path / "no.sock", "n1"))
    of_switch = {"event socket", "modules", "switchname", "pause", "profile vip1", "limits", "core database"}
    assert {subject: found[subject] for subject in of_switch} == dict.fromkeys(of_switch, Level.OK)
    assert set(ANSWERS) < set(answering.asked)


def test_whom_the_lists_of_a_profile_admit_is_asked_of_the_switch(
    tmp_path: Path, answering: Answering
) -> None:
    other = '[[group]]\nname = "other"\naddresses = ["10.77.9.77/24"]\n[switch]'
    path = with_switch(tmp_path, answering.server.port, tmp_path / "core.db")
    path.write_text(path.read_text().replace("[switch]", other))
    answering.answers["xml_locate configuration configuration name sofia.conf"] = WELL["sofia.conf"].replace(
        "</settings>", '<param name="apply-inbound-acl" value="zcluster"/></settings>'
    )
    for said, level in (("true", Level.OK), ("false", Level.WARNING)):
        answering.answers["acl 10.77.9.77 zcluster"] = said
        found = doctor.examine(path, tmp_path / "no.sock", "n1")
        (one,) = [one for one in found if one.subject == "profile vip1" and "other nodes" in one.words] or [
            one for one in found if "apply-inbound-acl (zcluster) refuses 10.77.9.77" in one.words
        ]
        assert one.level is level


def test_a_switch_that_hangs_is_given_up(answering: Answering) -> None:
    configuration = accepted(FILE.replace("127.0.0.1:8021", f"127.0.0.1:{answering.server.port}"))
    assert configuration.switch is not None
    del answering.answers["version"]
    answers = questions.ask(configuration.switch, ("vip1",), limit_ms=200)
    assert answers.problem
    assert "version" not in answers.texts


def test_a_wrong_password_and_nobody_there_are_answers(tmp_path: Path, answering: Answering) -> None:
    configuration = accepted(FILE.replace("127.0.0.1:8021", f"127.0.0.1:{answering.server.port}"))
    assert configuration.switch is not None
    password = tmp_path / "password"
    password.write_text("another\n")
    password.chmod(0o600)
    refused = questions.ask(replace(configuration.switch, password_file=password), ())
    assert refused.problem
    assert refused.texts == {}
    answering.close()
    assert questions.ask(configuration.switch, ()).problem


def test_a_profile_whose_name_is_no_word_is_no_command() -> None:
    configuration = accepted(FILE)
    assert configuration.switch is not None
    answers = questions.ask(configuration.switch, ("vip1\nreload",))
    assert answers.problem
    assert api("version").name == "api version"


@pytest.mark.kernel
def test_the_rules_are_tried_and_nothing_stays(wire: wires.Wire) -> None:
    with wire.host.inside():
        seen = host.look(True)
        filters = nftables.Nftables()
        left = [filters.listing(nftables.GET_TABLE, family, host.TABLE) for family in (1, 2, 3, 5, 10)]
        filters.close()
    assert seen.packet_filter == ""
    assert seen.is_egress_gated is not None
    assert left == [[]] * 5


@pytest.mark.kernel
def test_who_answers_for_an_address_of_nobody_is_found(wire: wires.Wire) -> None:
    text = GOOD.replace("10.77.9.0/24", "10.77.0.0/24").replace("10.77.9.101/24", "10.77.0.101/24")
    configuration = accepted(text.replace("10.77.1.0/24", "fd77::/64").replace("239.77.1.1", "ff02::7a"))
    own = [LocalAddress("h0", ip_address("10.77.0.1")), LocalAddress("h0", ip_address("fd77::1"))]
    canaries = network.canaries_of(configuration, identify(configuration, "n1", own))
    assert canaries == {"h0": (ip_address("10.77.0.0"),)}
    with wire.host.inside():
        quiet = network.look(canaries, ())
    assert [one.level for one in network.findings(quiet, canaries)] == [Level.OK]

    def lie() -> None:
        frame = wire.station.hear(
            lambda heard: heard[12:14] == b"\x08\x06" and heard[38:42] == b"\x0a\x4d\0\0", 3
        )
        assert frame is not None
        wire.station.send(
            wires.arp_frame(wire.station.mac, 2, "10.77.0.0", "0.0.0.0", frame[6:12], frame[6:12])
        )

    wire.station.flush()
    liar = threading.Thread(target=lie)
    liar.start()
    with wire.host.inside():
        seen = network.look(canaries, ())
    liar.join()
    (found,) = network.findings(seen, canaries)
    assert found.level is Level.ERROR
    assert wire.station.mac.hex(":") in found.words


@pytest.fixture
def wire() -> Iterator[wires.Wire]:
    built = wires.build()
    yield built
    wires.destroy(built)
