from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from zcluster.cli import commands
from zcluster.lab import neighbours, world
from zcluster.lab.neighbours import limits, neighbours_needed, room_warning


def test_a_table_too_small_for_so_many_is_said_with_the_mend() -> None:
    said = room_warning(20, {"ipv4": 1024, "ipv6": 8192})
    assert "20 nodes need about 1260 entries" in said
    assert "holds 1024" in said
    assert said.endswith("sysctl -w net.ipv4.neigh.default.gc_thresh3=2520")


def test_where_there_is_room_nothing_is_said() -> None:
    assert room_warning(5, {"ipv4": 1024, "ipv6": 1024}) == ""
    assert room_warning(20, dict.fromkeys(("ipv4", "ipv6"), neighbours_needed(20))) == ""


def test_both_families_are_named() -> None:
    said = room_warning(24, {"ipv4": 1024, "ipv6": 512})
    assert "net.ipv4.neigh" in said
    assert "net.ipv6.neigh" in said
    assert "holds 512" in said


def test_the_limits_are_read_where_the_kernel_shows_them(tmp_path: Path) -> None:
    file = tmp_path / "net" / "ipv4" / "neigh" / "default" / "gc_thresh3"
    file.parent.mkdir(parents=True)
    file.write_text("4096\n")
    assert limits(tmp_path) == {"ipv4": 4096, "ipv6": neighbours.KERNEL_DEFAULT}


@pytest.mark.parametrize("command", [["up"], ["trial", "--fault", "kill-host"]])
@pytest.mark.parametrize("nodes", [5, 20])
def test_the_commands_say_it(command: list[str], nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "limits", lambda: {"ipv4": 1024, "ipv6": 1024})
    monkeypatch.setattr(world, "run_in_world", lambda _work, keep: int(keep))
    result = CliRunner().invoke(commands, ["lab", *command, "--nodes", str(nodes)])
    assert result.exit_code == 0, result.output
    assert ("gc_thresh3" in result.stderr) is (nodes == 20)
    assert result.stdout == ""
