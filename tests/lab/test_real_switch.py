"""A real FreeSWITCH in the laboratory: what is written for it, and what is said where it cannot be."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from zcluster.cli import commands
from zcluster.config.load import read_bytes
from zcluster.errors import LabError
from zcluster.lab.configuration import cluster_file
from zcluster.lab.host import STATE_DIRECTORY
from zcluster.lab.plan import Plan, SwitchKind, make_plan
from zcluster.lab.switch_configuration import MODULES
from zcluster.lab.switches import CORE_DB, SWITCH, check_prefix, prepare_switch


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Looks as if FreeSWITCH were installed there."""
    where = tmp_path / "prefix"
    (where / "bin").mkdir(parents=True)
    (where / "bin" / "freeswitch").touch()
    (where / "lib" / "freeswitch" / "mod").mkdir(parents=True)
    for name in MODULES:
        (where / "lib" / "freeswitch" / "mod" / f"{name}.so").touch()
    return where


def real_plan(prefix: Path) -> Plan:
    return make_plan(3, 2, "standard", SwitchKind.FREESWITCH, prefix)


def test_a_whole_installation_will_do(prefix: Path) -> None:
    assert check_prefix(prefix) == prefix


def test_a_directory_without_a_switch_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no bin/freeswitch: name the directory"):
        check_prefix(tmp_path)


def test_missing_modules_are_named_with_the_mend(prefix: Path) -> None:
    for name in ("mod_hash", "mod_sofia"):
        (prefix / "lib" / "freeswitch" / "mod" / f"{name}.so").unlink()
    with pytest.raises(LabError, match=r"lacks mod_sofia, mod_hash: uncomment them in modules\.conf"):
        check_prefix(prefix)


def test_each_host_has_files_of_its_own_where_the_host_sees_them(tmp_path: Path, prefix: Path) -> None:
    plan = real_plan(prefix)
    for node in ("n1", "n2"):
        state = tmp_path / node
        command = prepare_switch(plan, node, tmp_path, state)
        assert command[0] == str(prefix / "bin" / "freeswitch")
        seen_as = Path(command[command.index("-conf") + 1])
        written = state / seen_as.relative_to(STATE_DIRECTORY) / "freeswitch.xml"
        root = ET.fromstring(written.read_text())
        values = {each.get("name"): each.get("value") for each in root.iter("param")}
        assert values["switchname"] == node
        assert values["core-db-name"] == str(CORE_DB)
        assert {each.get("name") for each in root.iter("profile")} >= {"g1", "g2"}
        for name in ("db", "log", "run"):
            directory = Path(command[command.index(f"-{name}") + 1])
            assert (state / directory.relative_to(STATE_DIRECTORY)).is_dir()
        assert (state / SWITCH / "db").is_dir()


def test_the_daemon_is_told_of_the_same_database(prefix: Path) -> None:
    text = cluster_file(real_plan(prefix), Path("/tmp/key"), Path("/tmp/password"))
    configuration = read_bytes(text.encode()).configuration
    assert configuration is not None
    assert configuration.switch is not None
    assert configuration.switch.core_db == CORE_DB


@pytest.mark.parametrize("command", [["up"], ["trial", "--fault", "kill-host"]])
@pytest.mark.parametrize(
    "words", [["--switch", "freeswitch"], ["--switch", "fake", "--freeswitch-prefix", "/"]]
)
def test_a_real_switch_and_where_it_lies_belong_together(command: list[str], words: list[str]) -> None:
    result = CliRunner().invoke(commands, ["lab", *command, *words])
    assert (result.exit_code, "belong together" in result.output) == (2, True)


def test_calls_use_the_real_switch_where_one_is_named(tmp_path: Path) -> None:
    words = ["lab", "trial", "--fault", "kill-switch", "--freeswitch-prefix", str(tmp_path)]
    result = CliRunner().invoke(commands, words)
    assert isinstance(result.exception, LabError)
    assert "bin/freeswitch" in str(result.exception)
