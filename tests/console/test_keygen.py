from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from zcluster.config.keyfile import load_key


def keygen(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own: exit status and error line are what is tested."""
    command = [sys.executable, "-m", "zcluster", "keygen", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_makes_a_key_and_never_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"
    done = keygen(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(path) in done.stdout
    assert path.read_text().strip().removeprefix("zck1:") not in done.stdout
    assert len(load_key(path)) == 32


def test_it_refuses_to_replace_a_key_in_one_readable_line(tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"
    keygen(path)
    first = path.read_text()
    refused = keygen(path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"zcluster: {path}: there is a file already")
    assert refused.stderr.count("\n") == 1
    assert path.read_text() == first
    assert keygen(path, "--force").returncode == 0
    assert path.read_text() != first
