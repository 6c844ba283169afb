"""Where the data process comes from: whether this node has one, and how it is started.

What must hold: without [switch] in the file there is none, and nothing of this node changes. Neither has a node that
never carries traffic one, nor one that observes: it would touch a switch in production.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from zcluster.adapters.child_process import ChildProcess, shed_capabilities, spawn
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
        self, make_arguments: Callable[[int], Sequence[str]], priority: int, stack: ExitStack
    ) -> None:
        self._make_arguments = make_arguments
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
        return spawn(self._make_arguments(descriptor), descriptor)

    def _close(self) -> None:
        if self._child is not None:
            self._child.close()


def _shed() -> None:
    shed_capabilities()
