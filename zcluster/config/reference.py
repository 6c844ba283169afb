"""Every key of the cluster's file with its type, its default and its meaning: docs/configuration.md and man pages.

What must hold: type and default come from the schema itself; every key of every table has a meaning here, and
nothing else has (a test says which is missing). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from zcluster.config import schema, values
from zcluster.config.hook_values import CodePattern, UrlText
from zcluster.config.meanings import MEANINGS, TABLES
from zcluster.config.wording import table_keys
from zcluster.control.timing import PRESETS

_WORDS: tuple[tuple[object, str], ...] = (
    (values.Name, "name"),
    (values.Pattern, "name pattern"),
    (values.Milliseconds, f"milliseconds, 1 to {values.MOST_MILLISECONDS}"),
    (values.Port, "port"),
    (values.AbsolutePath, "path from the root"),
    (values.NetworkText, "network (CIDR)"),
    (values.AddressText, "address"),
    (values.MulticastText, "multicast address"),
    (values.PeerText, "address or DNS name"),
    (values.FloatingText, "address with its prefix"),
    (values.PlaceText, "network (CIDR), or an interface's name"),
    (values.SocketText, "address:port"),
    (values.EventText, "event of the switch"),
    (values.LimitText, "realm_resource"),
    (values.MatchTable, "table of headers"),
    (UrlText, "http:// or https:// address"),
    (CodePattern, "code, or a pattern of codes"),
    (bool, "true or false"),
    (int, "whole number"),
    (str, "text"),
)
_REQUIRED = "(required)"
_WIDTH = 138
_INTRODUCTION = (
    "One TOML file, the same bytes on every host: `/etc/zcluster/zcluster.toml`. `zcluster init` proposes a first one, "
    "`zcluster check` says everything that is wrong or dangerous in one, with its line and a mend, and "
    "`conf/example.toml` shows the keys in place. An unknown key is an error. Secrets are never in it, only the paths "
    "of their files."
)
_MADE = "This page is made from the schema by `make reference`; a test holds the two together."


class Key(NamedTuple):
    """One key: how it is written, what may stand there, what it is when left out ("" for nothing)."""

    name: str
    type: str
    default: str
    meaning: str


class Section(NamedTuple):
    """One table: its head as in the file, what it is, and its keys in the schema's order."""

    head: str
    about: str
    keys: tuple[Key, ...]


def sections() -> Iterator[Section]:
    """The whole file, table by table."""
    for head, about, table in TABLES:
        hints = get_type_hints(table, include_extras=True)
        keys = []
        for name, field in table.model_fields.items():
            written = field.alias or name
            if (meaning := MEANINGS[head].get(written)) is not None:
                default = _default(head, name, field)
                keys.append(Key(written, type_words(hints[name]), default, meaning))
        yield Section(head, about, tuple(keys))


def undescribed() -> list[str]:
    """Keys of the schema without a meaning, and meanings of no key: both must be nothing."""
    found = []
    for head, _about, table in TABLES:
        in_schema = {key for key in table_keys(table) if (head, key) != ("[switch]", "condition")}
        found += sorted(f"{head} {key}" for key in in_schema ^ set(MEANINGS[head]))
    described = {table for _, _, table in TABLES}
    found += [table.__name__ for table in schema.Table.__subclasses__() if table not in described]
    return found


def type_words(hint: Any) -> str:
    """What may stand for a value of that type, in words."""
    for known, words in _WORDS:
        if hint == known:
            return words
    if get_origin(hint) is Annotated:
        basis, *marks = get_args(hint)
        return type_words(basis) + _bounds(marks)
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(type_words(part) for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is Literal:
        return ", ".join(f'"{choice}"' for choice in get_args(hint))
    if get_origin(hint) is list:
        return f"list of: {type_words(get_args(hint)[0])}"
    raise TypeError(f"no words for {hint!r}: give it some in zcluster.config.reference")


def _bounds(marks: list[Any]) -> str:
    found: dict[str, int] = {}
    for mark in marks:
        for bound in mark.metadata if isinstance(mark, FieldInfo) else ():
            for name in ("ge", "le", "min_length", "max_length"):
                if (value := getattr(bound, name, None)) is not None:
                    found[name] = value
    if "ge" in found and "le" in found:
        return f", {found['ge']} to {found['le']}"
    if "min_length" in found and "max_length" in found:
        return f" ({found['min_length']} to {found['max_length']} of them)"
    if "max_length" in found:
        return f" (at most {found['max_length']})"
    return f" (at least {found['min_length']})" if "min_length" in found else ""


def _default(head: str, name: str, field: FieldInfo) -> str:
    if head == "[timing]":
        return ", ".join(f"{preset} {getattr(timing, name)}" for preset, timing in PRESETS.items())
    if field.is_required():
        return _REQUIRED
    return _written(field.default)


def _written(value: object) -> str:
    """As it would stand in the file."""
    match value:
        case None | () | {}:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case list():
            return f"[{', '.join(map(_written, value))}]"
    return f'"{value}"'


def as_markdown() -> str:
    """docs/configuration.md."""
    lines = ["# The cluster's file, key by key", "", *wrap(_INTRODUCTION, _WIDTH), "", *wrap(_MADE, _WIDTH)]
    for section in sections():
        lines += [
            "",
            f"## `{section.head}`",
            "",
            section.about,
            "",
            "| key | what may stand there | default | |",
            "|---|---|---|---|",
        ]
        for key in section.keys:
            default = (
                key.default
                if key.default in ("", _REQUIRED) or section.head == "[timing]"
                else f"`{key.default}`"
            )
            lines.append(f"| `{key.name}` | {_cell(key.type)} | {default} | {_cell(key.meaning)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
