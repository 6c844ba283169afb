"""The contracts of pyproject.toml hold, and they do catch what they forbid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("room", "planted"),
    [
        ("control", "import socket\n"),
        ("control", "from zcluster.config import load\n"),
        ("wire", "import zcluster.supervisor\n"),
        ("adapters", "import pydantic\n"),
        ("console", "import zmq\n"),
        ("switch", "import zcluster.supervisor\n"),
    ],
)
def test_a_planted_import_breaks_a_contract(tmp_path: Path, room: str, planted: str) -> None:
    copytree(ROOT / "zcluster", tmp_path / "zcluster", ignore=ignore_patterns("__pycache__"))
    copy(ROOT / "pyproject.toml", tmp_path)
    assert lint(tmp_path).returncode == 0
    (tmp_path / "zcluster" / room / "planted.py").write_text(planted)
    broken = lint(tmp_path)
    assert broken.returncode == 1
    assert "BROKEN" in broken.stdout


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from importlinter.cli import lint_imports\n"
        "sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
