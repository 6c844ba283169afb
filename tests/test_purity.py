"""The cores (control, streams) read no clock, open nothing and draw no chance: their imports are on a short list.

import-linter forbids what is known to be impure; this list allows what is known to be pure, so that a module
nobody thought of is refused too.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import zcluster.control
import zcluster.streams

ALLOWED = frozenset(
    {
        "__future__",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "enum",
        "fnmatch",
        "functools",
        "hashlib",
        "heapq",
        "ipaddress",
        "itertools",
        "math",
        "struct",
        "types",
        "typing",
        "zlib",
    }
)
OUR_PURE_ROOMS = ("zcluster.control", "zcluster.errors", "zcluster.streams")
IMPURE_CALLS = frozenset({"__import__", "breakpoint", "eval", "exec", "globals", "input", "open", "print"})
ROOMS = tuple(Path(next(iter(room.__path__))) for room in (zcluster.control, zcluster.streams))
MODULES = sorted(path for room in ROOMS for path in room.rglob("*.py"))


def impurities(source: str) -> list[str]:
    """Imports and built-in calls of a module's source that the core may not have, in order."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if not _is_pure(name.name)]
            case ast.ImportFrom(module=module, level=level):
                if level or module is None or not _is_pure(module):
                    found.append("." * level + (module or ""))
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
                found.append(f"{name}()")
    return found


def _is_pure(module: str) -> bool:
    ours = any(module == room or module.startswith(room + ".") for room in OUR_PURE_ROOMS)
    return ours or module in ALLOWED


def test_the_cores_exist() -> None:
    assert {ROOMS[0] / "timing.py", ROOMS[1] / "replicator.py"} <= set(MODULES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_core_is_pure(path: Path) -> None:
    assert impurities(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("import time", ["time"]),
        ("from time import monotonic", ["time"]),
        ("import dataclasses, random", ["random"]),
        ("def act() -> None:\n    import socket", ["socket"]),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from datetime import datetime",
            ["datetime"],
        ),
        ("import zmq", ["zmq"]),
        ("from zcluster.adapters import bus", ["zcluster.adapters"]),
        ("import zcluster.controller", ["zcluster.controller"]),
        ("from . import lease", ["."]),
        ("__import__('os')", ["__import__()"]),
        ("open('/etc/passwd')", ["open()"]),
    ],
)
def test_a_planted_impurity_is_caught(planted: str, found: list[str]) -> None:
    assert impurities(planted) == found


def test_what_the_core_needs_is_allowed() -> None:
    assert impurities("from collections.abc import Mapping\nfrom zcluster.control.timing import Timing") == []
