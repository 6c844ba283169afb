from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from zcluster.config.fault import KeyPath, spoken_path
from zcluster.config.lines import key_lines, line_of

TEXT = '''\
a = 1
[cluster]
name = "x" # [not] = 3
"q.r".z = [
  "a", # c, [
  "b]c",
  [1,
   2],
]
t = """
[nope]
no = 1
"""
[[link]]
k = {a = 1, b = [1, 2]}
[link.sub]
z = 2
[[link]]
k = ["x", 'y']
[[link.sub]]
z = 3
[[link.sub]]
z = 4
'''


def test_tables_keys_and_items_have_their_lines() -> None:
    assert key_lines(TEXT) == {
        ("a",): 1,
        ("cluster",): 2,
        ("cluster", "name"): 3,
        ("cluster", "q.r", "z"): 4,
        ("cluster", "q.r", "z", 0): 5,
        ("cluster", "q.r", "z", 1): 6,
        ("cluster", "q.r", "z", 2): 7,
        ("cluster", "t"): 10,
        ("link", 0): 14,
        ("link", 0, "k"): 15,
        ("link", 0, "sub"): 16,
        ("link", 0, "sub", "z"): 17,
        ("link", 1): 18,
        ("link", 1, "k"): 19,
        ("link", 1, "k", 0): 19,
        ("link", 1, "k", 1): 19,
        ("link", 1, "sub", 0): 20,
        ("link", 1, "sub", 0, "z"): 21,
        ("link", 1, "sub", 1): 22,
        ("link", 1, "sub", 1, "z"): 23,
    }


def test_an_unknown_key_has_the_line_of_its_parent() -> None:
    lines = key_lines(TEXT)
    assert line_of(("link", 1, "gone", 4), lines) == 18
    assert line_of(("cluster", "q.r", "z", 1), lines) == 6
    assert line_of(("elsewhere",), lines) == 0
    assert line_of((), lines) == 0


def test_paths_are_spoken() -> None:
    assert spoken_path(("group", 1, "addresses", 0)) == "group[1].addresses[0]"
    assert spoken_path(()) == ""


def test_every_scalar_of_the_example_is_placed_where_it_stands() -> None:
    path = Path(__file__).resolve().parents[2] / "conf" / "example.toml"
    text = path.read_text(encoding="utf-8")
    lines, rows = key_lines(text), text.splitlines()
    checked = 0
    for key in leaves(tomllib.loads(text)):
        if isinstance(key[-1], str):
            assert rows[lines[key] - 1].lstrip().startswith(key[-1])
            checked += 1
    assert checked > 25


def leaves(value: object, path: KeyPath = ()) -> list[KeyPath]:
    """The paths of all values that hold no others."""
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, (*path, name))]
    if isinstance(value, list):
        return [leaf for place, inner in enumerate(value) for leaf in leaves(inner, (*path, place))]
    return [path]


_word = st.text("ab[]{},#=.\"' ", max_size=6)
_basic = _word.map(lambda text: '"' + text.replace('"', '\\"') + '"')
_literal = _word.map(lambda text: "'" + text.replace("'", "") + "'")
_spanning = _word.map(lambda text: '"""\n' + text.replace('"', "") + "\n[no]\nno = 1\n" + '"""')
_scalar = st.sampled_from(["1", "true", "1.5"]) | _basic | _literal | _spanning
_value = st.recursive(
    _scalar,
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n".join(items) + "]"),
    max_leaves=5,
)


@given(st.lists(_value, min_size=1, max_size=5))
def test_whatever_a_value_holds_the_next_key_is_found(values: list[str]) -> None:
    text = "".join(f"key{number} = {value}\n" for number, value in enumerate(values))
    assert set(tomllib.loads(text)) == {f"key{number}" for number in range(len(values))}
    lines, rows = key_lines(text), text.splitlines()
    tops = {path[0]: line for path, line in lines.items() if len(path) == 1}
    assert set(tops) == {f"key{number}" for number in range(len(values))}
    for name, line in tops.items():
        assert rows[line - 1].startswith(f"{name} =")
