from __future__ import annotations

import os
from pathlib import Path

import pytest

from zcluster.errors import StateFileError
from zcluster.supervisor.lock import take_lock


def test_a_second_daemon_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with take_lock(tmp_path / "run"):
        with pytest.raises(StateFileError, match=rf"process {os.getpid()}\)"):
            take_lock(tmp_path / "run")
    take_lock(tmp_path / "run").close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFileError, match="run-dir"):
        take_lock(tmp_path / "file")
