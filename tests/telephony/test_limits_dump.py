"""hash_dump's text: the switch's own bytes, hostile ones, and what a remote reads back."""

from __future__ import annotations

import shlex

from hypothesis import given
from hypothesis import strategies as st

from tests.switch.recorded import blocks, received
from zcluster.telephony import hash_dump
from zcluster.telephony.hash_dump import NOTHING, Dump, Usage, parse, write

counts = st.integers(0, hash_dump.LARGEST_COUNT)
names = st.text(min_size=1, max_size=60)


def as_mod_hash_reads(text: str) -> dict[str, int]:
    """limit_remote_thread: lines, each split at slashes into five; quotes and backslashes are the splitter's."""
    found = {}
    for line in text.split("\n"):
        if line.startswith("L"):
            splitter = shlex.shlex(line[2:], posix=True)
            splitter.whitespace, splitter.whitespace_split = "/", True
            splitter.quotes, splitter.commenters = "'", ""
            fields = list(splitter)
            if len(fields) >= 5:
                found[fields[0].strip(" ")] = int(fields[1])
    return found


def test_what_the_real_switch_said() -> None:
    said = [block.body.decode() for block in blocks(received("api-limit")) if block.body.startswith(b"L/")]
    assert len(said) == 2
    assert [parse(text) for text in said] == [Dump({"outbound_carrier1": Usage(2)}, 0)] * 2
    assert write({"outbound_carrier1": 2}) == said[0]


def test_nothing_used_is_no_failure_but_no_mod_hash_is() -> None:
    assert parse("-ERR no reply\n") == Dump({}, 0)
    assert parse("") == Dump({}, 0)
    assert parse(NOTHING) == Dump({}, 0)
    assert parse("-ERR hash_dump Command not found!\n") is None
    assert parse("Usage: all|limit|db [<realm>]\n") is None


def test_a_name_may_have_slashes_and_a_number_too_many_digits() -> None:
    text = "L/a/b_c/3/7/1/1795459049\nD/zc_k/v\nL/x_y/-1/0/0/0\nL/x_z/" + "9" * 20 + "/0/0/0\nL/x_q/1/0/0\n"
    assert parse(text) == Dump(
        {"a/b_c": Usage(3, 7, 1, 1795459049), "x_y": Usage(0), "x_z": Usage(hash_dump.LARGEST_COUNT)}, 2
    )


def test_what_mod_hash_would_misread_is_left_out() -> None:
    odd = {"a/b_c": 1, "it's_x": 2, "a\\_b": 3, " a_b": 4, "a\n_b": 5, "a_b": 6, "": 7}
    assert write(odd) == "L/a_b/6/0/0/0\n"
    assert write({"a/b_c": 1}) == NOTHING
    assert write({}) == NOTHING


def test_names_are_bounded() -> None:
    text = "".join(f"L/r_{number}/1/0/0/0\n" for number in range(hash_dump.LARGEST_NAMES + 3))
    dump = parse(text + f"L/{'x' * 300}_a/1/0/0/0\n")
    assert dump is not None
    assert (len(dump.usages), dump.skipped) == (hash_dump.LARGEST_NAMES, 4)


@given(st.text())
def test_whatever_a_switch_says(text: str) -> None:
    dump = parse(text)
    assert dump is None or all(usage.sessions >= 0 for usage in dump.usages.values())


@given(st.dictionaries(names, counts, max_size=5))
def test_mod_hash_reads_what_was_written_and_nothing_more(sessions: dict[str, int]) -> None:
    text = write(sessions)
    assert text.endswith("\n")
    told = {name: count for name, count in sessions.items() if hash_dump.is_tellable(name)}
    assert as_mod_hash_reads(text) == told
    dump = parse(text)
    assert dump is not None
    assert {name: usage.sessions for name, usage in dump.usages.items()} == told
