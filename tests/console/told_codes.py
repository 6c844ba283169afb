"""Every code that the source tells or warns of, found in its syntax trees, with its levels.

A telling is a call whose argument is a level ("info" to "alarm", or a choice of two) followed by a code. A code may
be a word, a choice of words, a constant of its module, or a parameter of the function around the call: then every
call of that function within the file is looked at in turn. Whatever cannot be followed is reported as `unread`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

LEVELS = ("info", "notice", "warning", "alarm")
SOURCE = Path(__file__).parents[2] / "zcluster"
# Rooms that tell of no live cluster.
LEFT_OUT = ("lab", "simulator", "console")
# Where what was told elsewhere is read back or told on: (file, expression of the level or code).
RELAYS = {
    ("control/membership.py", "self._entered"),  # the code of `_enter`, kept until it is on disk
    ("wire/local_link.py", "str(level)"),
}
# What tells, whatever its arguments look like; `Warned` is a warning of the status document.
TELLERS = ("Tell", "Told", "tell", "tell_once")
WARNED = "Warned"
# Rooms with classes of those names that are something else; what they tell has a level that is a word.
OTHER_NAMES = ("tools",)


@dataclass
class Found:
    """`levels` of what is told and of what is `warned`, by code; `unread`: where a level or code is not plain."""

    levels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    warned: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unread: list[str] = field(default_factory=list)


def told_codes(root: Path = SOURCE) -> Found:
    """All of them."""
    found = Found()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in LEFT_OUT:
            _File(str(place), ast.parse(path.read_text()), found).read()
    return found


class _File:
    """One file being read."""

    def __init__(self, place: str, tree: ast.Module, found: Found) -> None:
        self._place = place
        self._tree = tree
        self._found = found
        self._constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def read(self) -> None:
        """Each function's tellings, and the calls of functions that tell for others."""
        for function in self._functions():
            for call in _calls_in(function):
                self._read_call(function, call)

    def _read_call(self, function: ast.FunctionDef, call: ast.Call) -> None:
        arguments = list(call.args)
        for at, argument in enumerate(arguments[:-1]):
            levels = self._words(argument)
            if levels and set(levels) <= set(LEVELS):
                found = self._found.warned if _name(call) == WARNED else self._found.levels
                for level, code in _branches(argument, arguments[at + 1]):
                    for name in self._codes(code, function, 0):
                        found[name].update(self._words(level))
                return
        if self._place.split("/")[0] in OTHER_NAMES:
            return
        if (
            _name(call) in (*TELLERS, WARNED)
            and len(arguments) > 1
            and not self._is_relay(function, arguments)
        ):
            self._give_up(arguments[0])

    def _is_relay(self, function: ast.FunctionDef, arguments: list[ast.expr]) -> bool:
        """Whether level and code are those of something that was told already: of a parameter, or a loop's value."""
        parts = [ast.unparse(argument) for argument in arguments[:2]]
        own = [argument.arg for argument in function.args.args]
        return parts[0] in own or (parts[0].endswith(".level") and parts[1].endswith(".code"))

    def _words(self, node: ast.expr) -> list[str]:
        """The texts that an expression may be; none where it is anything else."""
        match node:
            case ast.Constant(value=str(word)):
                return [word]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self._words(body), *self._words(orelse)]
            case ast.JoinedStr(values=[ast.Constant(value=str(word)), *_]) if ":" in word:
                return [word.partition(":")[0]]  # a code, and what it is about
            case ast.Name(id=name) if name in self._constants:
                return self._words(self._constants[name])
        return []

    def _codes(self, node: ast.expr, function: ast.FunctionDef, depth: int) -> Iterator[str]:
        assert depth < 5, f"{self._place}: a code comes from too far"
        words = self._words(node)
        if words:
            yield from words
            return
        parameter = _parameter(node, function)
        if parameter is None:
            self._give_up(node)
            return
        for caller in self._functions():
            for call in _calls_in(caller):
                if _name(call) == function.name:
                    for code in self._codes(_argument(call, function, parameter), caller, depth + 1):
                        yield code.partition(":")[0]

    def _give_up(self, node: ast.expr) -> None:
        expression = ast.unparse(node)
        if (self._place, expression) not in RELAYS:
            self._found.unread.append(f"{self._place}:{node.lineno}: {expression}")

    def _functions(self) -> Iterator[ast.FunctionDef]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef):
                yield node


def _calls_in(function: ast.FunctionDef) -> Iterator[ast.Call]:
    """Calls of the function's own body, not of functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if _is_call(node):
            yield node
        waiting.extend(
            child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.FunctionDef)
        )


def _branches(level: ast.expr, code: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Level and code that stand together, where one condition chooses both."""
    match level, code:
        case ast.IfExp(), ast.IfExp() if ast.dump(level.test) == ast.dump(code.test):
            return [(level.body, code.body), (level.orelse, code.orelse)]
    return [(level, code)]


def _is_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call)


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _parameter(node: ast.expr, function: ast.FunctionDef) -> str | None:
    """The function's parameter that the code is (or begins)."""
    text = ast.unparse(node).removesuffix(".partition(':')[0]")
    return text if text in [argument.arg for argument in function.args.args] else None


def _argument(call: ast.Call, function: ast.FunctionDef, parameter: str) -> ast.expr:
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    for keyword in call.keywords:
        if keyword.arg == parameter:
            return keyword.value
    return call.args[names.index(parameter)]
