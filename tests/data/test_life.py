from __future__ import annotations

from pathlib import Path

from zcluster.data.life import FILE_NAME, begin_life


def test_each_life_is_younger_than_the_last_also_when_the_clock_was_set_back(tmp_path: Path) -> None:
    assert begin_life(tmp_path, 1000) == 1000
    assert begin_life(tmp_path, 2000) == 2000
    assert begin_life(tmp_path, 500) == 2001
    assert begin_life(tmp_path, 2001) == 2002


def test_a_disk_that_cannot_be_used_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("garbage")
    assert begin_life(tmp_path, 7) == 7
    (tmp_path / "file").write_text("")
    assert begin_life(tmp_path / "file", 9) == 9
