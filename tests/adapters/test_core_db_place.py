from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.core_file import Switch
from zcluster.adapters.core_db_place import (
    CoreDbLook,
    filesystem_of,
    look_into,
    network_filesystem,
    path_of,
    refusal_of_dsn,
)
from zcluster.adapters.core_db_statements import COLUMNS
from zcluster.adapters.core_db_table import CoreTable

MOUNTS = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
25 22 0:22 / /run rw shared:2 - tmpfs tmpfs rw
31 22 0:40 / /srv/switch rw - nfs4 filer:/switch rw,vers=4.2
32 31 0:41 / /srv/switch/fast rw master:1 - tmpfs tmpfs rw
33 22 0:42 / /mnt/two\040words rw - fuse.glusterfs vol rw
34 22 0:43 / /mnt/over rw - ext4 /dev/vdb1 rw
35 34 0:44 / /mnt/over rw - ceph 10.0.0.1:/ rw
garbage
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/freeswitch/db/core.db", ""),
        ("/srv/switch/db/core.db", "nfs4"),
        ("/srv/switchboard/core.db", ""),
        ("/srv/switch/fast/core.db", ""),
        ("/mnt/two words/core.db", "fuse.glusterfs"),
        ("/mnt/over/core.db", "ceph"),
    ],
)
def test_a_filesystem_of_several_hosts_is_named(path: str, kind: str) -> None:
    assert network_filesystem(Path(path), MOUNTS) == kind


def test_this_hosts_own_mounts_can_be_read(tmp_path: Path) -> None:
    assert filesystem_of(tmp_path, Path("/proc/self/mountinfo").read_text())
    assert network_filesystem(Path("/proc")) == ""


@pytest.mark.parametrize(
    ("dsn", "word"),
    [
        ("", ""),
        ("sqlite:///dev/shm/core.db", ""),
        ("/dev/shm/core.db", ""),
        ("sqlite://memory://file:core?mode=memory&cache=shared", "memory"),
        ("pgsql://hostaddr=10.0.0.9 dbname=freeswitch", "pgsql"),
        ("odbc://freeswitch:user:secret", "odbc"),
        ("freeswitch:user:secret", "odbc"),
        ("mariadb://Server=db", "mariadb"),
    ],
)
def test_a_database_on_a_server_is_refused_without_its_password(dsn: str, word: str) -> None:
    refusal = refusal_of_dsn(dsn)
    assert bool(refusal) == bool(word)
    assert word in refusal
    assert "secret" not in refusal


@pytest.mark.parametrize(
    ("dsn", "name", "path"),
    [
        ("", "", "/var/lib/freeswitch/db/core.db"),
        ("", "other", "/var/lib/freeswitch/db/other.db"),
        ("", "/dev/shm/core.db", "/dev/shm/core.db"),
        ("sqlite:///dev/shm/core.db", "other", "/dev/shm/core.db"),
    ],
)
def test_where_the_switch_keeps_it(dsn: str, name: str, path: str) -> None:
    assert path_of(dsn, name, "/var/lib/freeswitch/db") == Path(path)


def test_a_look_says_what_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    assert "no file" in look_into(path).problem
    switch = Switch(path)
    switch.run("create table x (y)")
    assert look_into(path) == CoreDbLook(missing=COLUMNS)
    switch.start()
    switch.answer("a", "x")
    switch.run("insert into interfaces (name, hostname) values ('a', 'one'), ('b', 'one'), ('c', 'two')")
    assert look_into(path) == CoreDbLook(rows=1, hosts=("one", "two"))
    table = CoreTable(path)
    table.read()
    table.close()
    assert look_into(path).is_logged
    switch.connection.close()


def test_what_is_no_database_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    path.write_bytes(b"garbage" * 1000)
    assert "cannot be read" in look_into(path).problem
    assert "cannot be" in look_into(tmp_path).problem
