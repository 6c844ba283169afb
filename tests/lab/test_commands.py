from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from zcluster.cli import commands
from zcluster.lab.catalogue import FAULTS
from zcluster.lab.commands import FAULT_NAMES


def test_every_fault_is_on_the_command_line_and_tells_its_story() -> None:
    assert list(FAULT_NAMES) == list(FAULTS)
    assert all(fault.story for fault in FAULTS.values())


@pytest.mark.parametrize("command", ["demo", "up", "status", "fault", "shell", "trial"])
def test_each_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(commands, ["lab", command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("command", [["status"], ["fault", "kill-host"], ["shell", "n1"]])
def test_without_a_laboratory_the_way_to_one_is_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = CliRunner().invoke(commands, ["lab", *command])
    assert result.exit_code != 0
    assert "zcluster lab up" in str(result.exception)


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    result = CliRunner().invoke(commands, ["lab", "trial", "--fault", "earthquake"])
    assert result.exit_code == 2
    assert "kill-host" in result.output
