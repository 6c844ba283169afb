"""Where a recording begins: a node's birth, or the whole node as it stood at that instant.

A node runs for weeks, a recording is bounded: so every segment begins with the node itself, pickled, and can be
replayed alone. What must hold: reading a recording that somebody else made runs nothing but the pure core's own
classes and functions (`_Loader` refuses every other name), so that it can at worst be wrong.
"""

from __future__ import annotations

import functools
import io
import pickle
from collections import deque
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from zcluster.control.document import Durable, Settings
from zcluster.control.node import Node
from zcluster.control.units import LinkName, NodeName
from zcluster.errors import RecordingError
from zcluster.recording.values import pack, unpack

PURE_ROOM = "zcluster.control."
PLAIN = {("collections", "deque"): deque, ("functools", "partial"): functools.partial}


class Birth(NamedTuple):
    """The arguments of a node's constructor."""

    name: NodeName
    settings: Settings
    durable: Durable
    incarnation: int
    macs: tuple[str, ...]
    links: Mapping[LinkName, bool]
    now_ms: int
    version: str

    def node(self, make_node: Callable[..., Node] = Node) -> Node:
        """A node that is born so."""
        return make_node(*self)


def pack_birth(birth: Birth) -> bytes:
    """The birth as bytes."""
    return pack(list(birth._replace(links=dict(birth.links))))


def unpack_birth(data: bytes) -> Birth:
    """The inverse; RecordingError."""
    try:
        return Birth(*unpack(data))
    except TypeError as error:
        raise RecordingError(f"the birth in the recording is malformed: {error}") from error


def freeze(node: Node) -> bytes | None:
    """The whole node; None while it holds something that cannot be written down (a wish for the document
    that is being made, for some seconds).
    """
    try:
        return pickle.dumps(node, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def thaw(data: bytes) -> Node:
    """The node of `freeze`; RecordingError where it is not one of this version."""
    try:
        node = _Loader(io.BytesIO(data)).load()
    except RecordingError:
        raise
    except Exception as error:  # bytes of unknown origin may fail in any way
        raise RecordingError(f"the node in the recording cannot be read: {error}") from error
    if not isinstance(node, Node):
        raise RecordingError("the recording does not begin with a node")
    return node


class _Loader(pickle.Unpickler):
    """Knows the core's own names, and nothing that could do anything."""

    def find_class(self, module: str, name: str) -> Any:
        plain = PLAIN.get((module, name))
        if plain is not None:
            return plain
        if module.startswith(PURE_ROOM) and "." not in name:
            found = getattr(import_module(module), name, None)
            if getattr(found, "__module__", "") == module and callable(found):
                return found
        raise RecordingError(f"the recording names {module}.{name}, which is no part of the core")
