"""Where a switch keeps its core database, and whether that can be one switch's own.

What must hold: a database that other hosts can reach is refused with the reason. `sofia recover` takes every row
whose runtime_uuid is not its own: in a shared one these are the live calls of the other masters, which it would call
anew and delete. Looking changes nothing, and is for another process than the one that works on the file (see
`core_db_table`).

Sources: switch_core_sqldb.c (_switch_cache_db_get_db_handle_dsn_ex), proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from zcluster.adapters.core_db_statements import LOG
from zcluster.adapters.core_db_table import LOCK_WAIT_S, missing_columns

MOUNTS = Path("/proc/self/mountinfo")
DATABASE_NAME = "core"
SHARED_FILESYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"}
    | {"orangefs", "smb3", "vboxsf", "virtiofs"}
)
# A fuse filesystem says in its type what it is; these keep their files on one host.
LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.overlayfs", "fuse.lxcfs", "fuse.bindfs", "fuse.ntfs-3g"})

_ESCAPED = re.compile(r"\\([0-7]{3})")
_MOST_HOSTS = 8


@dataclass(frozen=True, slots=True)
class CoreDbLook:
    """What stands in the file. `problem`: why it could not be looked into, "" if it could.

    `hosts`: the host names under which switches registered their interfaces here since their last start.
    """

    problem: str = ""
    missing: tuple[str, ...] = ()
    rows: int = 0
    is_logged: bool = False
    hosts: tuple[str, ...] = ()


def refusal_of_dsn(dsn: str) -> str:
    """Why a switch with this `core-db-dsn` cannot be in a cluster, "" if it keeps a file of its own."""
    scheme, colon, rest = dsn.partition("://")
    if scheme.lower() == "sqlite" and colon:
        if rest.lower().startswith("memory://"):
            return (
                f"its core database is in its own memory ({dsn}), where no row can be put before a recovery"
            )
        return ""
    if colon or ":" in dsn[2:]:
        kind = scheme if colon else "odbc"
        return (
            f"its core database is on a server ({kind}), which other switches can share: recover would take "
            "the live calls of the other masters, and delete them"
        )
    return ""


def path_of(dsn: str, name: str, directory: str) -> Path:
    """The file that a switch with these settings uses; `directory` is its `db_dir`. For a dsn without a refusal.

    Source: switch_core_db_open_file: a name that begins with no slash stands in db_dir and gets ".db".
    """
    wanted = dsn.partition("://")[2] if dsn.lower().startswith("sqlite://") else dsn
    wanted = wanted or name or DATABASE_NAME
    return Path(wanted) if wanted.startswith("/") else Path(directory) / f"{wanted}.db"


def network_filesystem(path: Path, mounts: str | None = None) -> str:
    """The type of the filesystem that `path` is on if other hosts can have it too, else "".

    `mounts`: the text of /proc/self/mountinfo; None reads it. Unknown counts as local.
    """
    kind = filesystem_of(path, MOUNTS.read_text() if mounts is None else mounts)
    is_remote_fuse = kind.startswith("fuse.") and kind not in LOCAL_FUSE
    return kind if kind in SHARED_FILESYSTEMS or is_remote_fuse else ""


def filesystem_of(path: Path, mounts: str) -> str:
    """The type of the filesystem at `path` ("ext4"), "" if the text of mountinfo does not tell."""
    found, depth = "", -1
    where = path.resolve()
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # of several mounts on one point the last is the one on top
        if (point == where or point in where.parents) and len(point.parts) >= depth:
            found, depth = after.split(" ")[0], len(point.parts)
    return found


def look_into(path: Path) -> CoreDbLook:
    """Read a few facts, with the file opened for reading alone. Never raises."""
    if not path.exists():
        return CoreDbLook(f"there is no file {path}")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10 * LOCK_WAIT_S)
    except sqlite3.Error as error:
        return CoreDbLook(f"{path} cannot be opened: {error}")
    try:
        return _facts(connection)
    except sqlite3.Error as error:
        return CoreDbLook(f"{path} cannot be read: {error}")
    finally:
        connection.close()


def _facts(connection: sqlite3.Connection) -> CoreDbLook:
    if missing := missing_columns(connection):
        return CoreDbLook(missing=missing)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master").fetchall()}
    hosts: list[tuple[object]] = []
    if "interfaces" in tables:
        question = f"SELECT DISTINCT hostname FROM interfaces ORDER BY hostname LIMIT {_MOST_HOSTS}"
        hosts = connection.execute(question).fetchall()
    rows = connection.execute("SELECT count(*) FROM recovery").fetchone()[0]
    return CoreDbLook(
        rows=rows, is_logged=LOG in tables, hosts=tuple(str(host[0]) for host in hosts if host[0])
    )
