"""Where the data process comes from: whether this node has one, and how it is started.

What must hold: without [switch] in the file there is none, and nothing of this node changes. Neither has a node that
never carries traffic one, nor one that observes: it would touch a switch in production. Each of its lives reads the
file as this daemon read it, whatever was written into it since: two that go by different files would not agree on
whose calls are whose. An edited file counts for both when the daemon begins anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from zcluster.adapters.child_process import ChildProcess, shed_capabilities, spawn
from zcluster.adapters.sealed_file import SealedFile
from zcluster.config.configuration import Configuration
from zcluster.control.actions import Tell
from zcluster.control.designation import may_carry
from zcluster.control.document import Settings
from zcluster.control.units import NodeName
from zcluster.supervisor.data_child import DataChild, DataDoors, NewsDoor
from zcluster.supervisor.loop import Loop
from zcluster.supervisor.side_thread import SideThread


def has_data_process(configuration: Configuration, settings: Settings, node: NodeName) -> bool:
    """Whether `node` watches a switch."""
    return configuration.switch is not None and not configuration.is_observing and may_carry(settings, node)


def starter_for(
    configuration: Configuration,
    settings: Settings,
    content: bytes | None,
    node: NodeName,
    priority: int,
    stack: ExitStack,
) -> DataStarter | None:
    """Where the data process comes from, on a node that has one; without the file's `content` there is none."""
    if content is None or not has_data_process(configuration, settings, node):
        return None
    return DataStarter(configuration, content, node, priority, stack)


def arguments(configuration: Configuration, file: Path, node: NodeName, descriptor: int) -> tuple[str, ...]:
    """The command line of the data process (`zcluster.wire.local_link`)."""
    return (
        sys.executable,
        "-P",  # no module of the directory that we happen to stand in
        "-m",
        "zcluster.data",
        "--fd",
        str(descriptor),
        "--config",
        str(file),
        "--node",
        node,
        "--run-dir",
        str(configuration.run_dir),
    )


class DataStarter:
    """Makes the keeper of the data process, and the thread that its lives are started in."""

    def __init__(
        self, configuration: Configuration, content: bytes, node: NodeName, priority: int, stack: ExitStack
    ) -> None:
        """`content`: the bytes that `configuration` was read from. Raises KernelRefused."""
        self._configuration = configuration
        self._node = node
        self._file = SealedFile("zcluster.toml", content)
        stack.callback(self._file.close)
        self._thread = SideThread("zcluster-data", priority)
        self._thread.submit(_shed)
        stack.callback(self._close)
        stack.callback(self._thread.stop)
        self._child: DataChild | None = None

    def child(
        self,
        news: NewsDoor,
        find_loop: Callable[[], Loop],
        tell: Callable[[Tell], None],
        clock: Callable[[], int],
    ) -> DataChild:
        """The keeper: a chore for the loop that is made after it."""
        doors = DataDoors(
            start=self._start,
            submit=self._thread.submit,
            watch=lambda descriptor, intake: find_loop().watch(descriptor, intake),
            forget=lambda descriptor: find_loop().forget(descriptor),
            tell=tell,
        )
        self._child = DataChild(doors, news, clock)
        return self._child

    def watch(self, loop: Loop) -> None:
        """Have the loop look at what the thread brings."""
        loop.watch(self._thread.fileno(), self._thread.receive)

    def _start(self, descriptor: int) -> ChildProcess:
        words = arguments(self._configuration, self._file.path, self._node, descriptor)
        return spawn(words, descriptor, self._file.fileno())

    def _close(self) -> None:
        if self._child is not None:
            self._child.close()


def _shed() -> None:
    shed_capabilities()
