"""Whether the daemon's user may write a file: asked of the kernel, which knows of access control lists, closed
directories above and read-only mounts; only where it cannot be asked, told from the file's mode.

What must hold: nothing is changed. What the service manager forbids the daemon alone (ReadWritePaths=) is not seen.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

DAEMON_USER = "zcluster"  # packaging/systemd/zcluster.service
LIMIT_S = 5


@dataclass(frozen=True, slots=True)
class Person:
    """As whom the data process opens files. `is_running`: seen of the process itself, not of the user's entry."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    is_running: bool


def daemon_person(pid: int | None) -> Person | None:
    """Of the process `pid`, else of the packaged user; None where there is neither."""
    return (_of_process(pid) if pid is not None else None) or _of_entry(DAEMON_USER)


def _of_process(pid: int) -> Person | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    said = {key: words.split() for key, _, words in (line.partition(":") for line in lines)}
    if not all(said.get(key) for key in ("Uid", "Gid")):
        return None
    uid, gid = int(said["Uid"][1]), int(said["Gid"][1])
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Person(name, uid, gid, (gid, *map(int, said.get("Groups", ()))), is_running=True)


def _of_entry(name: str) -> Person | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Person(
        name, entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)), is_running=False
    )


def may_write(path: Path, who: Person) -> bool:
    """Whether `who` may write `path` (in a directory: make files there). Raises OSError where it is not."""
    status = path.stat()
    modes = os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(status.st_mode) else 0)
    if os.geteuid() == who.uid:
        return os.access(path, modes, effective_ids=True)
    asked = _asked_as(who, path, modes) if os.geteuid() == 0 else None
    return asked if asked is not None else mode_lets_write(status, who.uid, who.groups)


def _asked_as(who: Person, path: Path, modes: int) -> bool | None:
    """What test(1) finds, run as that user; None where it cannot be run."""
    program = shutil.which("test")
    if program is None:
        return None
    letters = [letter for letter, bit in (("-r", os.R_OK), ("-w", os.W_OK), ("-x", os.X_OK)) if modes & bit]
    try:
        return all(
            subprocess.run(
                (program, letter, str(path)),
                user=who.uid,
                group=who.gid,
                extra_groups=who.groups,
                cwd="/",
                timeout=LIMIT_S,
                check=False,
            ).returncode
            == 0
            for letter in letters
        )
    except (OSError, subprocess.SubprocessError):
        return None


def mode_lets_write(status: os.stat_result, uid: int, groups: Collection[int]) -> bool:
    """Whether the mode alone lets that user write; access control lists are not seen."""
    if uid in (0, status.st_uid):
        return uid == 0 or bool(status.st_mode & stat.S_IWUSR)
    return bool(status.st_mode & (stat.S_IWGRP if status.st_gid in groups else stat.S_IWOTH))
