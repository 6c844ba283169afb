"""What each `[[hook]]` must be to itself, to the others and to the groups.

What must hold: as in `zcluster.config.relations`: what is good in a bad table takes part, and each fault is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from zcluster.config.fault import Fault
from zcluster.config.schema import GroupTable, HookTable


def faults_around_hooks(hooks: Mapping[int, HookTable], groups: Mapping[int, GroupTable]) -> Iterator[Fault]:
    """Everything that disagrees; the tables are keyed by their place in the file, from 0."""
    yield from _repeated_names(hooks)
    for number, hook in hooks.items():
        yield from _one_way(number, hook)
        if all(group.has("name") for group in groups.values()):
            yield from _unknown_groups(number, hook, [group.name for group in groups.values()])


def _repeated_names(hooks: Mapping[int, HookTable]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, hook in hooks.items():
        if hook.has("name") and (first := seen.setdefault(hook.name, number)) != number:
            yield Fault(
                ("hook", number, "name"),
                f"the name {hook.name!r} is taken by hook[{first}]",
                "give each its own name: what is still to be done is kept under it",
            )


def _one_way(number: int, hook: HookTable) -> Iterator[Fault]:
    if not hook.has("command", "url"):
        return
    if hook.command is None and hook.url is None:
        yield Fault(
            ("hook", number),
            "it does nothing",
            'add command = ["/usr/local/bin/page"], or url = "https://alerts.example.net/zcluster"',
        )
    elif hook.command is not None and hook.url is not None:
        yield Fault(
            ("hook", number, "url"),
            "there is a command too, and a hook does one thing",
            "make it two hooks: each has its own order and its own retries",
        )


def _unknown_groups(number: int, hook: HookTable, names: list[str]) -> Iterator[Fault]:
    for place, pattern in enumerate(hook.groups if hook.has("groups") else ()):
        if names and not any(fnmatchcase(name, pattern) for name in names):
            yield Fault(
                ("hook", number, "groups", place),
                f"no group is called {pattern}",
                f"the groups are {', '.join(names)}",
            )
