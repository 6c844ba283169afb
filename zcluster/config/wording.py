"""pydantic's findings in our own words: what is wrong, and a way to mend it.

What must hold: every kind of finding gets a sentence that an operator understands without knowing pydantic. A
kind that is not listed here keeps pydantic's own sentence rather than being lost.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

from zcluster.config.fault import Fault, KeyPath
from zcluster.config.schema import Table
from zcluster.config.values import FAULT_TYPE

_TYPES = {
    "int_type": ("a whole number", "write it without quotes, for example 5"),
    "int_from_float": ("a whole number", "write it without a fraction, for example 5"),
    "string_type": ("a string", 'write it in quotes, for example "sip1"'),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "list_type": ("a list", 'write it in brackets, for example ["pbx-*"]'),
}


def fault_of(error: ErrorDetails, table: type[Table], prefix: KeyPath) -> Fault:
    """One finding of pydantic about `table`, which stands at `prefix` in the file."""
    path = (*prefix, *_file_path(error["loc"]))
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "missing":
            return Fault(path, "this key is missing", _missing_mend(str(path[-1]), table))
        case "extra_forbidden":
            return unknown_key(path, list(table_keys(table)))
        case "literal_error":
            return Fault(path, f"{given!r} is not known here", _choice_mend(given, str(context["expected"])))
        case "too_long":
            return Fault(
                path, "the list is too long", f"give it no more than {context['max_length']} entries"
            )
        case "too_short":
            return Fault(path, "the list is empty", f"give it at least {context['min_length']} entry")
        case _ if kind == FAULT_TYPE:
            return Fault(path, str(context["wrong"]), str(context["mend"]))
        case _ if kind in _TYPES:
            expected, mend = _TYPES[kind]
            return Fault(path, f"{given!r} is not {expected}", mend)
        case _ if kind in ("greater_than_equal", "less_than_equal"):
            return Fault(path, f"{given!r} is out of range", _range_mend(context))
        case _:
            return Fault(path, error["msg"], "")


def unknown_key(path: KeyPath, known: Sequence[str]) -> Fault:
    """A key that is not in the schema, with the nearest one that is."""
    return Fault(path, "this key is not known here", suggestion(str(path[-1]), known))


def suggestion(given: str, known: Sequence[str]) -> str:
    """`did you mean "network"?`, or the list of what there is when nothing is near."""
    spelled = given.lower().replace("_", "-")
    near = difflib.get_close_matches(spelled, known, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return "the keys here are " + ", ".join(known)


def table_keys(table: type[Table]) -> tuple[str, ...]:
    """The keys of a table as they are written in the file."""
    return tuple(field.alias or name for name, field in table.model_fields.items())


def _file_path(location: tuple[int | str, ...]) -> KeyPath:
    """pydantic names the branch of a union after the key; the file knows no such thing."""
    path: list[int | str] = []
    for part in location:
        if path and isinstance(part, str):
            break
        path.append(part)
    return tuple(path)


def _missing_mend(key: str, table: type[Table]) -> str:
    if key in _EXAMPLES:
        return f"add a line such as {_EXAMPLES[key]}"
    return f"add it; the keys here are {', '.join(table_keys(table))}"


_EXAMPLES = {
    "name": 'name = "one"',
    "expected-nodes": "expected-nodes = 3, the number of hosts that vote",
    "network": 'network = "10.77.1.0/24"',
    "nodes": 'nodes = ["pbx1", "pbx2"]',
    "addresses": 'addresses = ["10.77.9.101/24"]',
    "event": 'event = "sofia::gateway_state"',
}


def _choice_mend(given: object, expected: str) -> str:
    """`expected` is pydantic's own list: 'standard', 'fast' or 'patient'."""
    choices = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(given).lower(), choices, n=1, cutoff=0.6)
    listed = ", ".join(f'"{choice}"' for choice in choices)
    return f'did you mean "{near[0]}"? ({listed})' if near else f"write one of {listed}"


def _range_mend(context: Mapping[str, object]) -> str:
    if "ge" in context:
        return f"it must be at least {context['ge']}"
    return f"it must be at most {context['le']}"
