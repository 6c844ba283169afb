"""Runs the real daemon as its service unit does: no root, three capabilities, the key from the service manager.

Started as root on a host of the laboratory, with the cluster's file and key as arguments. On the host n2 /proc/sys is
read-only, as in many containers. What systemd does by ambient capabilities across exec is done here without one, so
that the interpreter may lie where only root can read.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

from zcluster.lab import namespaces
from zcluster.supervisor.daemon import run

USER = 65534
CAPABILITIES = (12, 13, 23)  # CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_NICE (linux/capability.h)
MASK = sum(1 << number for number in CAPABILITIES)
WITHOUT_SETTINGS = "n2"
CREDENTIALS = Path("/run/credentials")

_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_SET_KEEPCAPS, _DROP_BOUNDING, _NO_NEW_PRIVILEGES = 8, 24, 38  # linux/prctl.h
_MS_RDONLY, _MS_REMOUNT = 0x1, 0x20
_LIBC = ctypes.CDLL(None, use_errno=True)


def prepare(config: Path, key: Path) -> Path:
    """What root, or the service manager, does before; the file's new place."""
    CREDENTIALS.mkdir(mode=0o500)
    shutil.copy(key, CREDENTIALS / "cluster.key")
    (CREDENTIALS / "cluster.key").chmod(0o400)
    copy = CREDENTIALS / "zcluster.toml"
    text = config.read_text().replace(str(key), "/etc/zcluster/cluster.key")  # a place that it cannot read
    copy.write_text(text)
    for path in (CREDENTIALS, *CREDENTIALS.iterdir(), Path("/run/zcluster"), Path("/run/zcluster-state")):
        os.chown(path, USER, USER)
    if socket.gethostname() == WITHOUT_SETTINGS:
        settings = Path("/proc/sys")
        namespaces.mount(str(settings), settings, None, namespaces.MS_BIND)
        namespaces.mount(str(settings), settings, None, namespaces.MS_BIND | _MS_REMOUNT | _MS_RDONLY)
    os.environ["CREDENTIALS_DIRECTORY"] = str(CREDENTIALS)
    return copy


def make_readable(*places: Path) -> None:
    """Show these directories to everybody where one above them is its owner's alone; on this host, nowhere else."""
    hidden: dict[Path, tuple[Path, Path]] = {}
    for place in dict.fromkeys(path.resolve() for path in places):
        closed = [above for above in place.parents if not above.stat().st_mode & stat.S_IXOTH]
        if closed:
            kept = Path(f"/run/shown-{len(hidden)}")
            kept.mkdir()
            namespaces.mount(str(place), kept, None, namespaces.MS_BIND)
            hidden[place] = (kept, closed[-1])
    for above in {above for _, above in hidden.values()}:
        namespaces.mount("tmpfs", above, "tmpfs", 0, "mode=755")
    for place, (kept, _) in hidden.items():
        place.mkdir(parents=True, exist_ok=True)
        namespaces.mount(str(kept), place, None, namespaces.MS_BIND)


def become_the_service() -> None:
    """Give everything up but the three capabilities, for good."""
    for number in range(_LAST_CAPABILITY + 1):
        if number not in CAPABILITIES:
            _LIBC.prctl(_DROP_BOUNDING, number, 0, 0, 0)  # EINVAL beyond the kernel's last one
    _checked(_LIBC.prctl(_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(
        MASK, MASK, MASK, 0, 0, 0
    )  # effective, permitted, inheritable; low then high
    _checked(_LIBC.capset(header, data))
    _checked(_LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    config_file = prepare(Path(sys.argv[1]), Path(sys.argv[2]))
    make_readable(Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[2])
    become_the_service()
    sys.exit(run(config_file))
