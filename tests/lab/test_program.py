from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zcluster.lab.program import this_program


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in a virtual environment that is not in PATH."""
    program = tmp_path / ".venv" / "bin" / "zcluster"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    return program


@pytest.mark.parametrize("is_absolute", [False, True])
def test_from_a_clone_its_path_is_named(clone: Path, is_absolute: bool) -> None:
    called = str(clone) if is_absolute else ".venv/bin/zcluster"
    assert this_program(called) == ".venv/bin/zcluster"


def test_from_elsewhere_the_whole_path_is_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert this_program(str(clone)) in (str(clone), str(clone).removeprefix("/"))


def test_in_the_path_its_name_is_enough(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(clone.parent))
    assert this_program(str(clone)) == "zcluster"


def test_another_one_in_the_path_is_not_this_one(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "zcluster"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert this_program(str(clone)) == ".venv/bin/zcluster"


def test_a_module_is_named_with_its_interpreter(clone: Path) -> None:
    assert clone.exists()
    assert this_program("/x/zcluster/__main__.py") == f"{sys.executable} -m zcluster"
