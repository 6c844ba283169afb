"""The pages that `fs_cli` shows: whatever was told, the switch can hold them and a terminal can show them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.switch_scene import HOSTILE, LOST, SCENE, TAKEOVER
from tests.tools.test_switch_words import RECORDS
from zcluster.adapters.journal import Record
from zcluster.codes.catalogue import CATALOGUE
from zcluster.switch.commands import set_global
from zcluster.tools import switch_pages as pages

STATUS = json.loads((Path(__file__).parent / "status.json").read_text())
WALL_MS = 1_795_721_725_000
ROOT = Path(__file__).parents[2]
SUBCLASS = re.compile(r"zcluster::([a-z-]+)")


def holdable(page: str) -> bool:
    set_global("zcluster", page)
    return (
        len(page.encode()) <= pages.LARGEST_PAGE_BYTES + 64
        and all(line.isprintable() for line in page.splitlines())
        and "${" not in page
    )


@given(st.lists(RECORDS, max_size=3), st.sampled_from(["", "sip1"]))
def test_any_story_can_be_shown(records: list[Record], group: str) -> None:
    assert holdable(pages.why_text(records, group))
    assert holdable(pages.story_text(records))


@given(st.text(max_size=100), st.text(max_size=20))
def test_any_status_can_be_shown(problem: str, name: str) -> None:
    assert holdable(pages.status_text({**STATUS, "node": name, "cluster": problem}, WALL_MS, problem))


def test_the_status_is_that_of_the_command_and_says_how_old_it_is() -> None:
    text = pages.status_text(STATUS, WALL_MS, "")
    assert "GROUP" in text
    assert "Written anew every 10 s" in text
    assert "2026-11-26" in text


def test_a_daemon_that_does_not_answer_is_said_first() -> None:
    text = pages.status_text(STATUS, WALL_MS, "is it stopped?")
    assert text.startswith("ZCLUSTER'S DAEMON ON THIS HOST DOES NOT ANSWER: is it stopped?")
    assert pages.shape(text) != pages.shape(pages.status_text(STATUS, WALL_MS, ""))


@pytest.mark.parametrize(
    "document", [{}, {"groups": 1}, {**STATUS, "groups": [{}]}, {**STATUS, "mode": None}]
)
def test_a_status_of_another_version_is_no_failure(document: dict[str, object]) -> None:
    assert holdable(pages.status_text(document, WALL_MS, ""))


def test_time_alone_changes_no_shape() -> None:
    later = {**STATUS, "up_ms": STATUS["up_ms"] + 1234}
    later["groups"] = [{**group, "since_ms": group["since_ms"] and 99_000} for group in STATUS["groups"]]
    first = pages.status_text(STATUS, WALL_MS, "")
    assert pages.shape(first) == pages.shape(pages.status_text(later, WALL_MS + 5000, ""))
    moved = {**later, "groups": [{**group, "holder": "n9"} for group in STATUS["groups"]]}
    assert pages.shape(first) != pages.shape(pages.status_text(moved, WALL_MS, ""))


def test_why_is_told_for_one_group() -> None:
    other = TAKEOVER._replace(facts={**TAKEOVER.facts, "group": "sip2"}, text="pbx3 took sip2 over")
    text = pages.why_text([other, TAKEOVER], "sip1")
    assert "pbx2 took sip1 over from pbx1" in text
    assert "votes: pbx2 0 ms, pbx3 2 ms" in text
    assert "sip2" not in text


def test_the_story_ends_with_the_newest() -> None:
    text = pages.story_text([LOST._replace(text=f"number {number}") for number in range(100)])
    assert text.rstrip().endswith("number 99 (call-lost)")
    assert "number 79" not in text


def test_the_newest_stands_when_not_all_fits() -> None:
    text = pages.why_text([LOST._replace(text="word " * 70 + str(n)) for n in range(60)], "")
    assert text.startswith("(More does not fit here.)")
    assert text.rstrip().endswith(" 59")


def test_nothing_in_a_page_is_expanded_or_an_order() -> None:
    for page in (pages.why_text(SCENE, ""), pages.story_text([HOSTILE])):
        assert "$ {system(reboot)}" in page
        assert "reload the event socket" in " ".join(page.split())


def test_the_shipped_keys_name_pages_and_codes_that_there_are() -> None:
    keys = re.findall(r"^key\w+ +=> (.*)$", (ROOT / "conf/freeswitch/fs_cli.conf").read_text(), re.MULTILINE)
    words = {key for key in keys if key.startswith("zcluster")}
    assert words == {"zcluster", "zcluster why", "zcluster story", "zcluster help"}
    (live,) = [key for key in keys if key.startswith("/event")]
    assert len(live) < 1000  # fs_cli keeps 1024 of a line
    assert set(SUBCLASS.findall(live)) <= set(CATALOGUE)


@pytest.mark.parametrize("text", [pages.HELP, (ROOT / "docs/freeswitch.md").read_text()])
def test_what_is_written_about_events_names_codes_that_there_are(text: str) -> None:
    assert set(SUBCLASS.findall(text)) <= set(CATALOGUE)


def test_the_words_of_help_fit_the_page() -> None:
    assert all(len(line) <= 80 for line in pages.help_text().splitlines())
