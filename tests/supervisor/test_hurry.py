"""A start that is waited for, and those that are not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from zcluster.adapters.durable import FILE_NAME, DurableFile
from zcluster.config.schema import ClusterTable
from zcluster.control.document import Durable, Handover, Held
from zcluster.supervisor.hurry import DURABLE_FILE, LOWEST_PRIORITY, USUAL_STATE_DIR, hurry, is_awaited

LEFT = Durable(incarnation=3, handover=Handover(3, 9_000, (Held("blue", 4),)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "zcluster.toml"
    file.write_text(f'[cluster]\nstate-dir = "{tmp_path}"\n')
    return file


def test_what_the_last_life_left_in_this_boot_is_waited_for(config: Path, tmp_path: Path) -> None:
    DurableFile(tmp_path).store(LEFT)
    assert is_awaited(config)


def test_nothing_else_is(config: Path, tmp_path: Path) -> None:
    assert not hurry(config), "no memory yet"
    DurableFile(tmp_path).store(replace(LEFT, handover=None))
    assert not is_awaited(config)
    DurableFile(tmp_path, "00000000-0000-0000-0000-000000000001").store(LEFT)
    assert not is_awaited(config)
    (tmp_path / FILE_NAME).write_bytes(b"[]")
    assert not hurry(config)
    assert not hurry(tmp_path / "missing.toml")
    config.write_text("cluster = 3\n")
    assert not hurry(config)


def test_it_goes_on_in_real_time_and_children_do_not(config: Path, tmp_path: Path) -> None:
    DurableFile(tmp_path).store(LEFT)
    child = os.fork()
    if child == 0:
        may = hurry(config)
        found = (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
        os._exit(0 if not may or found == (os.SCHED_RR | os.SCHED_RESET_ON_FORK, LOWEST_PRIORITY) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_names_are_those_of_the_file_and_the_memory() -> None:
    assert DURABLE_FILE == FILE_NAME
    assert str(ClusterTable.model_fields["state_dir"].default) == USUAL_STATE_DIR
