from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from zcluster.adapters import addresses, realtime
from zcluster.adapters.orphan import LIMIT_S
from zcluster.cli import commands
from zcluster.config.load import load
from zcluster.config.schema import ClusterTable
from zcluster.console.options import CONFIG_PATH, CONTROL_SOCKET_PATH
from zcluster.supervisor.daemon import EXIT_RESTART
from zcluster.supervisor.signals import STOP_LIMIT_MS

SYSTEMD = Path(__file__).resolve().parents[2] / "packaging" / "systemd"
UNIT = SYSTEMD / "zcluster.service"
CAPABILITIES = {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_NICE"}


def sections(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit file as systemd.syntax(7) has it, without continuation lines: section, key, values."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in path.read_text().splitlines():
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        if text.startswith("["):
            section = text.strip("[]")
            continue
        key, separator, value = text.partition("=")
        assert separator, f"{line!r} is no assignment"
        assert not value.endswith("\\")
        found[section][key].append(value)
    return found


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    return {key: " ".join(values) for key, values in sections(UNIT)["Service"].items()}


def test_no_line_stands_twice() -> None:
    found = sections(UNIT)
    assert list(found) == ["Unit", "Service", "Install"]
    for section in ("Service", "Install"):
        assert [key for key, values in found[section].items() if len(values) != 1] == []


def test_the_commands_are_those_of_the_command_line(service: dict[str, str]) -> None:
    for key, expected in (
        ("ExecStart", ["run", "--config", str(CONFIG_PATH)]),
        ("ExecReload", ["restart-daemon"]),
    ):
        program, *words = service[key].split()
        assert program == "/usr/bin/zcluster"
        assert words == expected
        assert words[0] in commands.commands


def test_it_is_no_root_and_has_exactly_what_it_needs(service: dict[str, str]) -> None:
    assert service["User"] == "zcluster"
    assert set(service["AmbientCapabilities"].split()) == CAPABILITIES
    assert set(service["CapabilityBoundingSet"].split()) == CAPABILITIES
    assert service["NoNewPrivileges"] == "yes"
    assert set(service["RestrictAddressFamilies"].split()) == {
        "AF_UNIX",
        "AF_INET",
        "AF_INET6",
        "AF_NETLINK",
        "AF_PACKET",
    }
    assert service["ProtectSystem"] == "strict"
    assert service["LimitMEMLOCK"] == "infinity"
    assert int(service["LimitNOFILE"]) >= 4096, "strangers may hold some for two seconds each"
    assert int(service["LimitRTPRIO"]) >= realtime.DEFAULT_PRIORITY


def test_what_would_forbid_its_work_is_not_there(service: dict[str, str]) -> None:
    forbidden = {"ProtectKernelTunables", "RestrictRealtime", "PrivateNetwork", "PrivateUsers", "DynamicUser"}
    assert forbidden.isdisjoint(service)


def test_the_directories_are_those_of_the_file(service: dict[str, str]) -> None:
    defaults = ClusterTable.model_fields
    assert defaults["state_dir"].default == Path("/var/lib") / service["StateDirectory"]
    assert defaults["run_dir"].default == Path("/run") / service["RuntimeDirectory"]
    assert CONTROL_SOCKET_PATH.parent == defaults["run_dir"].default
    name, path = service["LoadCredential"].split(":")
    assert (name, path) == (defaults["key_file"].default.name, str(defaults["key_file"].default))


def test_the_state_directory_of_a_package_is_that_of_the_service(service: dict[str, str]) -> None:
    lines = (SYSTEMD / "zcluster.tmpfiles.conf").read_text().splitlines()
    (line,) = [line.split() for line in lines if line and line[0] != "#"]
    assert line == [
        "d",
        f"/var/lib/{service['StateDirectory']}",
        service["StateDirectoryMode"],
        service["User"],
        service["Group"],
        "-",
    ]


def test_it_is_watched_and_started_again(service: dict[str, str]) -> None:
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert service["RestartForceExitStatus"] == service["SuccessExitStatus"] == str(EXIT_RESTART)
    assert service["WatchdogSec"] == "3s"
    assert int(service["TimeoutStopSec"].rstrip("s")) * 1000 > STOP_LIMIT_MS
    assert sections(UNIT)["Unit"]["StartLimitIntervalSec"] == ["0"]


def test_the_settings_for_a_host_that_lets_nobody_set_them_are_the_daemons() -> None:
    lines = (SYSTEMD / "zcluster.sysctl.conf").read_text().splitlines()
    written = [tuple(line.replace(" ", "").split("=")) for line in lines if line and line[0] != "#"]
    assert written == [(name.replace("/", "."), value) for name, value in addresses.HOST_SETTINGS]


def test_a_dead_daemons_data_process_is_gone_before_systemd_would_kill_it(service: dict[str, str]) -> None:
    assert int(service["TimeoutStopSec"].rstrip("s")) > LIMIT_S
    assert "KillMode" not in service, "what is left of the group must be waited for"


def test_beside_a_switch_its_database_and_its_password_are_those_of_the_file() -> None:
    found = sections(SYSTEMD / "beside-freeswitch" / "zcluster.service.d" / "50-freeswitch.conf")
    assert list(found) == ["Service"]
    switch = load(SYSTEMD.parents[1] / "conf" / "example.toml").switch
    assert switch is not None
    assert found["Service"]["ReadWritePaths"] == [f"-{switch.core_db.parent}"]
    password = switch.password_file
    assert password is not None
    assert found["Service"]["LoadCredential"] == [f"{password.name}:{password}"]
    assert found["Service"]["SupplementaryGroups"] == ["freeswitch"]
    assert set(found["Service"]) == {"ReadWritePaths", "LoadCredential", "SupplementaryGroups"}


def test_what_a_switch_creates_its_group_may_write() -> None:
    found = sections(SYSTEMD / "beside-freeswitch" / "freeswitch.service.d" / "50-zcluster.conf")
    assert list(found) == ["Service"]
    mask = int(found["Service"]["UMask"][0], 8)
    assert 0o666 & ~mask == 0o660


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    copy = tmp_path / "zcluster.service"
    program = Path(
        sys.executable
    )  # what stands where is the package's business, that something does is checked
    copy.write_text(UNIT.read_text().replace("/usr/bin/zcluster", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
