"""The kernel calls that make a world of one's own: unshare, setns, mount, sethostname, the death signal.

What must hold: nothing here outlives the processes that called it. No namespace is ever given a name in the
file system; a world is held by processes only, and a process that sets its death signal goes with its parent.

Python 3.11 has no `os.unshare`, `os.setns` or `mount`, so these few are taken from the C library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from pathlib import Path

from zcluster.errors import LabError

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000

PR_SET_PDEATHSIG = 1

HOST_NAMESPACES = CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS
WORLD_NAMESPACES = HOST_NAMESPACES | CLONE_NEWPID

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result == 0:
        return
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling process new namespaces (`CLONE_NEW*`). Raises OSError. See unshare(2)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def join(process_fd: int, flags: int) -> None:
    """Enter the namespaces of the process behind a pidfd (Linux 5.8). Raises OSError. See setns(2)."""
    _check(_libc.setns(ctypes.c_int(process_fd), ctypes.c_int(flags)), "setns")


def mount(source: str, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2). Raises OSError."""
    result = _libc.mount(
        source.encode(),
        str(target).encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _check(result, f"mount on {target}")


def set_host_name(name: str) -> None:
    """Name the calling process's UTS namespace. Raises OSError. See sethostname(2)."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends; end now if it already has.

    `parent` is the process id that the parent read of itself before the fork; see prctl(2), PR_SET_PDEATHSIG.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def enter_private_world() -> None:
    """Unshare network, mounts, host name and process ids; as an ordinary user inside a user namespace.

    The caller's next child is the first process of the new process-id namespace: when it ends, the kernel
    kills every other process in it.

    Raises:
        LabError: this kernel or container allows no namespaces.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(WORLD_NAMESPACES if user == 0 else WORLD_NAMESPACES | CLONE_NEWUSER)
        if user != 0:
            _become_root_inside(user, group)
        mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    except OSError as error:
        raise LabError(_refusal(error)) from error


def mount_own_processes() -> bool:
    """Show the new process-id namespace in /proc. False where a container's masked /proc forbids it."""
    try:
        mount("proc", Path("/proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        return False
    return True


def _become_root_inside(user: int, group: int) -> None:
    # user_namespaces(7): an unprivileged process may map its own id alone, and only after setgroups is denied.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _refusal(error: OSError) -> str:
    if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSPC):
        return f"the laboratory cannot have namespaces of its own: {error}"
    return (
        f"the laboratory may not have namespaces of its own ({error.strerror}). Run it as root, or allow user "
        "namespaces (sysctl user.max_user_namespaces above 0, and on Debian and Ubuntu "
        "kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0); a container "
        "needs to be started with the right to make namespaces."
    )
