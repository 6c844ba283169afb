"""Bytes into keys, and lines into bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.top.screens import LARGE, SMALL, documents, moment
from zcluster.console.top.frame import frame
from zcluster.console.top.keys import ESCAPE_MS, Keys
from zcluster.console.top.lines import Line, Piece, Tone, line
from zcluster.console.top.paint import Colours, Painter, picture, plain
from zcluster.console.top.state import ViewState

KNOWN = {
    b"q": ["q"],
    b"\x03": ["ctrl-c"],
    b"\t": ["tab"],
    b"\r": ["enter"],
    b"\x1b[A\x1b[B": ["up", "down"],
    b"\x1bOA": ["up"],
    b"\x1b[1;5C": ["right"],
    b"\x1b[Z": ["backtab"],
    b"\x1b[5~\x1b[6~": ["pageup", "pagedown"],
    b"\x1b[1~\x1b[4~\x1b[H\x1bOF": ["home", "end", "home", "end"],
    b"\x1b[200~": [],
    "ä日".encode(): ["ä", "日"],
    b"\xff\xfe": [],
    b"\x7f\x08": ["backspace", "backspace"],
    b"\x1bq": ["escape", "q"],
    b"\x00\x01": [],
}


@pytest.mark.parametrize(("data", "keys"), KNOWN.items())
def test_keys(data: bytes, keys: list[str]) -> None:
    assert Keys().feed(data, 0) == keys


@pytest.mark.parametrize("data", [data for data in KNOWN if len(data) > 1 and data != b"\x1bq"])
def test_a_key_may_come_in_pieces(data: bytes) -> None:
    keys, found = Keys(), []
    for at in range(len(data)):
        found += keys.feed(data[at : at + 1], 0)
    assert found == KNOWN[data]


def test_a_lone_escape_is_one_after_a_while() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b", 1000) == []
    assert keys.deadline() == 1000 + ESCAPE_MS
    assert keys.expire(1000 + ESCAPE_MS - 1) == []
    assert keys.expire(1000 + ESCAPE_MS) == ["escape"]
    assert keys.deadline() is None


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_no_bytes_break_it_and_nothing_unprintable_comes_out(pieces: list[bytes]) -> None:
    keys = Keys()
    for at, data in enumerate(pieces):
        for key in [*keys.feed(data, at * 100), *keys.expire(at * 100 + 99)]:
            assert key.isprintable()


def screen_of(data: bytes, height: int) -> dict[int, str]:
    """What stands where, of the painter's own few codes."""
    found: dict[int, str] = {}
    for row, text in re.findall(r"\x1b\[(\d+);1H(.*?)(?=\x1b\[\d+;1H|$)", data.decode(), re.DOTALL):
        assert 1 <= int(row) <= height
        found[int(row)] = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    return found


def test_the_first_frame_is_written_in_full_and_then_only_what_changed() -> None:
    painter, known = Painter(Colours.SIXTEEN), documents()
    first = frame(known, ViewState(), SMALL, moment())
    assert list(screen_of(painter.paint(first), 24).values()) == [each.text for each in first]
    assert painter.paint(first) == b""
    later = [*first[:5], line("other".ljust(80)), *first[6:]]
    assert screen_of(painter.paint(later), 24) == {6: "other".ljust(80)}
    painter.forget()
    assert len(screen_of(painter.paint(later), 24)) == 24


def test_the_screen_is_never_cleared_by_a_frame() -> None:
    painter, known = Painter(Colours.SIXTEEN), documents()
    for keys in (ViewState(), ViewState(is_wide=True)):
        assert not re.search(rb"\x1b\[\d*[JK]", painter.paint(frame(known, keys, LARGE, moment())))


def test_without_colour_no_colour_is_set_and_what_is_loud_is_reversed() -> None:
    data = (
        Painter(Colours.NONE)
        .paint([Line((Piece("NO HOLDER", Tone.LOUD_BAD), Piece(" x", Tone.BAD)))])
        .decode()
    )
    codes = {int(code) for group in re.findall(r"\x1b\[([0-9;]+)m", data) for code in group.split(";")}
    assert 7 in codes
    assert not {code for code in codes if code >= 30}


def test_a_terminal_without_utf_8_gets_what_it_can_show() -> None:
    data = Painter(Colours.NONE, "ascii").paint([line("cut…", Piece(" büro"))])
    assert b"cut~ b?ro" in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", data)


def test_a_frame_for_a_pipe_has_no_codes_and_a_picture_is_svg() -> None:
    lines = frame(documents(), ViewState(is_interactive=False), SMALL, moment())
    assert "\x1b" not in plain(lines)
    assert len(plain(lines).split("\n")) == 24
    drawn = picture(lines, "zcluster top")
    assert drawn.lstrip().startswith("<svg")
    assert "DEGRADED" in drawn
