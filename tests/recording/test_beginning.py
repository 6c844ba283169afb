from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path

import pytest

from tests.recording.recorded import Archive
from zcluster.control import council
from zcluster.control.document import Document
from zcluster.control.node import Node
from zcluster.control.units import NodeState
from zcluster.errors import RecordingError
from zcluster.recording.beginning import freeze, thaw
from zcluster.recording.replay import Replay


def a_node(tmp_path: Path) -> Node:
    archive = Archive(tmp_path)
    archive.play(2)
    replay = Replay(archive.segments()[0])
    for _ in replay.play():
        pass
    return replay.node


class Wicked:
    """Runs a command when it is read by an ordinary unpickler."""

    def __init__(self, call: object, *arguments: object) -> None:
        self._what = (call, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self._what


def test_a_node_comes_back_as_it_was(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    frozen = freeze(node)
    assert frozen is not None
    again = thaw(frozen)
    assert again.situation.sequence == node.situation.sequence
    assert again.situation.state is node.situation.state
    assert freeze(again) == freeze(thaw(frozen))


@pytest.mark.parametrize("call", [os.system, eval, getattr, partial(os.system, "true"), open])
def test_a_recording_can_run_nothing(call: object) -> None:
    with pytest.raises(RecordingError, match="no part of the core"):
        thaw(pickle.dumps(Wicked(call, "true")))


def test_names_that_a_core_module_only_imported_are_refused() -> None:
    smuggled = pickle.dumps(NodeState.SLAVE).replace(b"NodeState", b"StrEnum")
    wanted = smuggled.replace(b"\x8c\x09StrEnum", b"\x8c\x07StrEnum")
    with pytest.raises(RecordingError):
        thaw(wanted)


@pytest.mark.parametrize("data", [b"", b"\x80\x05N.", b"\xff", pickle.dumps(3)])
def test_what_is_no_node_is_refused(data: bytes) -> None:
    with pytest.raises(RecordingError):
        thaw(data)


def test_a_wish_that_can_be_written_down_comes_back(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    node.council.want("", "add x", partial(council.with_member, name="x"))
    frozen = freeze(node)
    assert frozen is not None
    thaw(frozen)


def test_a_wish_that_cannot_be_written_down_is_waited_for(tmp_path: Path) -> None:
    def change(document: Document) -> Document | None:
        return document

    node = a_node(tmp_path)
    node.council.want("", "anything", change)
    assert freeze(node) is None
