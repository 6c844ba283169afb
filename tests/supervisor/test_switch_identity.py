from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from zcluster.supervisor.switch_identity import build_mark, short_name
from zcluster.wire.bounds import MAX_BUILD_CHARACTERS, MAX_TOKEN_CHARACTERS

ANSWER = "FreeSWITCH Version 1.11.3-dev~64bit ( 64bit)"


def test_a_mark_begins_with_the_version_and_differs_where_any_word_does() -> None:
    mark = build_mark(ANSWER)
    assert mark.startswith("1.11.3-dev:")
    assert mark == build_mark(ANSWER)
    assert mark != build_mark(ANSWER.replace("( 64bit)", "(git cc93a68 64bit)"))


def test_what_is_not_known_has_no_mark() -> None:
    assert (build_mark(""), short_name("")) == ("", "")


@given(st.text(max_size=300), st.text(max_size=300))
def test_different_texts_have_different_marks_that_fit_a_beat(one: str, other: str) -> None:
    assume(one != other)
    assert build_mark(one) != build_mark(other)
    assert short_name(one) != short_name(other)
    assert len(build_mark(one)) <= MAX_BUILD_CHARACTERS
    assert len(short_name(one)) <= MAX_TOKEN_CHARACTERS
