"""`zcluster lab shell`: from another terminal into a host of the laboratory that runs.

What must hold: it only visits. The shell is inside the laboratory's process-id namespace, so it ends with it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from zcluster.errors import LabError
from zcluster.lab import namespaces
from zcluster.lab.laboratory import CONFIG_FILE, HOSTS_FILE
from zcluster.lab.world import RunningWorld, newest_world


def enter_host(name: str, command: Sequence[str]) -> int:
    """Run a command, or the user's shell, inside a host of the newest laboratory; returns its exit status.

    Raises:
        LabError: no laboratory runs, or it has no such host.
    """
    world = newest_world()
    holder = _holder_of(world, name)
    _join_world(world)
    child = os.fork()  # only a child is inside the process-id namespace that was joined
    if child == 0:
        _become(name, holder, command, world.directory / CONFIG_FILE)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _holder_of(world: RunningWorld, name: str) -> int:
    try:
        holders = json.loads((world.directory / HOSTS_FILE).read_text())
    except OSError as error:
        raise LabError("the laboratory is still being built: try again in a second") from error
    if name not in holders:
        raise LabError(f"there is no host {name!r} in the laboratory: {', '.join(sorted(holders))}")
    return int(holders[name])


def _join_world(world: RunningWorld) -> None:
    flags = namespaces.WORLD_NAMESPACES
    if os.geteuid() != 0:
        flags |= namespaces.CLONE_NEWUSER
    try:
        descriptor = os.pidfd_open(world.process)
        namespaces.join(descriptor, flags)
        os.close(descriptor)
    except OSError as error:
        raise LabError(f"cannot enter the laboratory: {error}") from error


def _become(name: str, holder: int, command: Sequence[str], config_file: Path) -> NoReturn:
    status = 1
    try:
        namespaces.join(os.pidfd_open(holder), namespaces.HOST_NAMESPACES)
        words = list(command) or _shell()
        beside_us = str(Path(sys.executable).parent)
        environment = {
            **os.environ,
            "PATH": f"{beside_us}:{os.environ.get('PATH', os.defpath)}",
            "PS1": f"{name}:\\w\\$ ",
            "ZCLUSTER_CONFIG": str(config_file),
        }
        os.execvpe(words[0], words, environment)
    except OSError as error:
        print(f"zcluster: cannot run in {name}: {error}", file=sys.stderr)
    finally:
        os._exit(status)


def _shell() -> list[str]:
    shell = os.environ.get("SHELL", "/bin/sh")
    # A start-up file would put its own prompt in place of the host's name.
    return [shell, "--norc"] if Path(shell).name == "bash" else [shell]
