"""Every code that is told has its recipe, and every recipe is of a code that is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.console.told_codes import Found, told_codes
from zcluster.cli import commands
from zcluster.codes.catalogue import CATALOGUE, nearest
from zcluster.codes.entry import Code, message_id
from zcluster.console import codes_page, explain, journal_catalog
from zcluster.console.words import WIDTH

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"[a-z]+(-[a-z]+)*")


@pytest.fixture(scope="module")
def found() -> Found:
    return told_codes()


def test_every_code_that_is_told_is_explained(found: Found) -> None:
    missing = sorted({*found.levels, *found.warned} - {*CATALOGUE})
    assert missing == [], "write a recipe for each in zcluster/codes/, then `make codes`"


def test_nothing_is_explained_that_nothing_tells(found: Found) -> None:
    assert sorted({*CATALOGUE} - {*found.levels, *found.warned}) == []


def test_the_levels_and_places_are_those_of_the_source(found: Found) -> None:
    for code in CATALOGUE.values():
        told, warned = found.levels.get(code.name, set()), found.warned.get(code.name, set())
        assert (code.name, set(code.levels)) == (code.name, told | warned)
        assert (code.name, code.in_story, code.in_status) == (code.name, bool(told), bool(warned))


def test_no_telling_is_left_unread(found: Found) -> None:
    assert found.unread == []


def test_the_reader_follows_choices_constants_and_parameters(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(
        "GONE = 'gone'\n"
        "def one(s, is_so):\n"
        "    s.tell('info' if is_so else 'alarm', 'left' if is_so else GONE, 'text')\n"
        "def two(self, code, text):\n"
        "    self.out.append(Tell('warning', code.partition(':')[0], text, {}))\n"
        "def three(self):\n"
        "    self.two('bad-name:x', 'text')\n"
        "def four(self, told):\n"
        "    tell(Tell(told.level, told.code, told.text, {}))\n"
        "def five(self):\n"
        "    return Warned('warning', 'seen', 'text')\n"
        "def six(self, level):\n"
        "    self.tell('alarm', self.code, 'text')\n"
        "    self.tell(self.level, 'late', 'text')\n"
    )
    found = told_codes(tmp_path)
    assert found.levels == {"left": {"info"}, "gone": {"alarm"}, "bad-name": {"warning"}}
    assert found.warned == {"seen": {"warning"}}
    assert [line.split(": ", 1)[1] for line in found.unread] == ["self.code", "self.level"]


@pytest.mark.parametrize("code", CATALOGUE.values(), ids=lambda code: code.name)
def test_each_recipe_is_fit_to_be_read_at_night(code: Code) -> None:
    assert NAME.fullmatch(code.name)
    assert code.levels == tuple(sorted(code.levels))
    for line in explain.page(code):
        assert len(line) <= WIDTH
        assert line.isprintable()
    if {"alarm", "warning"} & {*code.levels}:
        assert code.mend or code.name == "copy-settled"
    assert code.means.endswith(".")
    assert all(step.endswith((".", "?", ", or")) for step in code.mend), code.mend


@pytest.mark.parametrize("code", CATALOGUE.values(), ids=lambda code: code.name)
def test_the_commands_in_a_recipe_exist(code: Code) -> None:
    context = click.Context(commands)
    for text in (code.means, *code.mend):
        for words in re.findall(r"`zcluster ([^`]+)`", text):
            name, *rest = words.split()
            command = commands.get_command(context, name)
            assert command is not None, f"zcluster {words}"
            if isinstance(command, click.Group) and rest:
                command = command.get_command(context, rest[0])
                assert command is not None, f"zcluster {words}"
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("--")} <= options, f"zcluster {words}"


def test_the_page_of_codes_is_that_of_the_catalogue() -> None:
    assert (DOCS / "codes.md").read_text() == codes_page.document(), "write it anew: make codes"


def test_the_catalogue_of_the_journal_is_that_of_the_codes() -> None:
    text = (DOCS.parent / "packaging" / "systemd" / "zcluster.catalog").read_text()
    assert text == journal_catalog.document(), "write it anew: make codes"
    entries = re.findall(r"^-- ([0-9a-f]{32})$", text, re.MULTILINE)
    assert entries == [message_id(name) for name in CATALOGUE]
    assert sum(line.startswith("--") for line in text.splitlines()) == len(CATALOGUE)
    assert {*re.findall(r"@[A-Z_]+@", text)} == {"@ZCLUSTER_NODE@", "@ZCLUSTER_LEVEL@"}


def test_one_code_for_people_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.run("Gate-Failed", as_json=False) == 0
    out = capsys.readouterr().out
    assert out.startswith("gate-failed  (alarm; in the story)\n\nYou see   ")
    assert explain.run("gate-failed", as_json=True) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["schema"], body["ok"], [code["code"] for code in body["codes"]]) == (
        "zcluster.codes/1",
        True,
        ["gate-failed"],
    )


def test_without_a_code_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.run("", as_json=False) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in CATALOGUE)
    assert max(map(len, out.splitlines())) <= WIDTH
    assert explain.run("", as_json=True) == 0
    assert len(json.loads(capsys.readouterr().out)["codes"]) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("gate_failed", "gate-failed"),
        ("take-over", "takeover"),
        ("link", "link-silent"),
        ("conflict", "address-conflict"),
    ],
)
def test_another_word_gets_the_nearest(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.run(word, as_json=False) == 1
    assert meant in capsys.readouterr().err
    assert explain.run(word, as_json=True) == 1
    assert meant in json.loads(capsys.readouterr().out)["nearest"]


@given(some.text(max_size=200))
def test_any_word_is_answered(word: str) -> None:
    assert len(nearest(word)) <= 3
