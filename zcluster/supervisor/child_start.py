"""Where the children of this daemon are started: a thread that has given up what they shall not have.

What must hold: the loop waits for no start. Each life of a child reads the file as this daemon read it, whatever was
written into it since: two that go by different files would not agree on whose calls are whose. An edited file counts
for all of them when the daemon begins anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from zcluster.adapters.child_process import ChildProcess, Standing, shed_capabilities, spawn
from zcluster.adapters.sealed_file import SealedFile
from zcluster.control.actions import Tell
from zcluster.control.events import Event
from zcluster.control.units import NodeName
from zcluster.supervisor.loop import Loop
from zcluster.supervisor.side_thread import Errand, SideThread


@dataclass(frozen=True, slots=True)
class ChildDoors:
    """What a child's keeper works with.

    `start` makes the process with that descriptor; it raises KernelRefused, and is called in a side thread, by
    `submit`. `watch` and `forget` are the loop's.
    """

    start: Callable[[int], ChildProcess]
    submit: Callable[[Errand], bool]
    watch: Callable[[int, Callable[[], Sequence[Event]]], None]
    forget: Callable[[int], None]
    tell: Callable[[Tell], None]


@dataclass(frozen=True, slots=True)
class ChildKind:
    """A program of ours: `module` is run by our interpreter, with further `words` behind what all of them take."""

    module: str
    standing: Standing
    words: tuple[str, ...] = ()

    def arguments(self, file: Path, node: NodeName, run_dir: Path, descriptor: int) -> tuple[str, ...]:
        """Its command line."""
        return (
            sys.executable,
            "-P",  # no module of the directory that we happen to stand in
            "-m",
            self.module,
            "--fd",
            str(descriptor),
            "--config",
            str(file),
            "--node",
            node,
            "--run-dir",
            str(run_dir),
            *self.words,
        )


class ChildStarter:
    """The thread and the file of all children. Keepers are closed once nothing is being started any more."""

    def __init__(
        self, content: bytes, node: NodeName, run_dir: Path, priority: int, stack: ExitStack
    ) -> None:
        """`content`: the file's bytes. Raises KernelRefused."""
        self._node = node
        self._run_dir = run_dir
        self._file = SealedFile("zcluster.toml", content)
        self._thread = SideThread("zcluster-child", priority)
        self._thread.submit(_shed)
        self._closers: list[Callable[[], None]] = []
        stack.callback(self._close)

    def doors(
        self, kind: ChildKind, find_loop: Callable[[], Loop], tell: Callable[[Tell], None]
    ) -> ChildDoors:
        """For a keeper, which is a chore of the loop that is made after it."""
        return ChildDoors(
            start=lambda descriptor: self._start(kind, descriptor),
            submit=self._thread.submit,
            watch=lambda descriptor, intake: find_loop().watch(descriptor, intake),
            forget=lambda descriptor: find_loop().forget(descriptor),
            tell=tell,
        )

    def closes(self, close: Callable[[], None]) -> None:
        """A keeper's own end."""
        self._closers.append(close)

    def watch(self, loop: Loop) -> None:
        """Have the loop look at what the thread brings."""
        loop.watch(self._thread.fileno(), self._thread.receive)

    def _start(self, kind: ChildKind, descriptor: int) -> ChildProcess:
        words = kind.arguments(self._file.path, self._node, self._run_dir, descriptor)
        return spawn(words, descriptor, self._file.fileno(), standing=kind.standing)

    def _close(self) -> None:
        self._thread.stop()
        for close in self._closers:
            close()
        self._file.close()


def _shed() -> None:
    shed_capabilities()
