from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.recording.recorded import Archive
from zcluster.cli import commands
from zcluster.control.document import Durable, GroupSettings, Settings
from zcluster.control.events import LinkChanged
from zcluster.control.node import Node
from zcluster.control.ownership import OPEN_PHASES
from zcluster.control.timing import PRESETS
from zcluster.control.voter import Vote, Voter
from zcluster.errors import RecordingError
from zcluster.recording.beginning import Birth
from zcluster.recording.replay import Replay
from zcluster.simulator.continuation import Translated, ending, go_on, translation
from zcluster.simulator.mix import LINKS


class Reluctant(Voter):
    """A core that grants nothing new."""

    def hear(self, *arguments: Any, **keywords: Any) -> Vote:
        vote = super().hear(*arguments, **keywords)
        return Vote.REFUSED if vote is Vote.GRANTED else vote


def holding(path: Path) -> bool:
    end = ending(path)
    return any(tenure.phase in OPEN_PHASES for tenure in end.node.holder.tenures.values())


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that ends while its node holds a group, in the middle of its life."""
    for seed in range(2, 12):
        archive = Archive(tmp_path_factory.mktemp("held"), largest_bytes=3000)
        archive.play(seed)
        for path in archive.segments():
            if not Replay(path).begins_with_birth and holding(path) and ending(path).steps > 50:
                return path
    pytest.fail("no seed leaves such a recording")


def test_the_holder_goes_on_holding_what_its_kernel_has(held: Path) -> None:
    end = ending(held)
    for group, tenure in end.node.holder.tenures.items():
        if tenure.phase in OPEN_PHASES:
            assert end.kernel.answers_until(group) > 0.0


def test_many_futures_are_safe(held: Path) -> None:
    outcomes = [go_on(seed, held) for seed in range(6)]
    assert [outcome.violation for outcome in outcomes if outcome.violation] == []
    assert sum(outcome.openings for outcome in outcomes) >= len(outcomes)
    assert sum(sum(outcome.faults.values()) for outcome in outcomes) > 20


def test_a_future_is_the_same_every_time(held: Path) -> None:
    assert go_on(3, held, is_told=True) == go_on(3, held, is_told=True)


def test_the_story_begins_with_the_recorded_holder(held: Path) -> None:
    name = ending(held).node.situation.name
    story = go_on(1, held, is_told=True).story
    assert story
    assert name in story


def test_another_core_than_the_recorded_is_not_continued(tmp_path: Path) -> None:
    archive = Archive(tmp_path, make_node=partial(Node, make_voter=Reluctant))
    archive.run(2)
    refused = 0
    for path in archive.segments():
        try:
            ending(path)
        except RecordingError as error:
            refused += "decided otherwise" in str(error)
    assert refused


def test_every_recorded_link_is_meant_by_some_link_of_the_world() -> None:
    settings = Settings(
        "c",
        3,
        PRESETS["standard"],
        (GroupSettings("g", ("10.0.0.1",), "svc"),),
        ("a", "b", "c"),
        ("svc", "svc2"),
    )
    assert translation(settings) == {"red": ("a", "c"), "blue": ("b",), "service": ("svc", "svc2")}
    alone = Settings("c", 3, PRESETS["standard"], (), (), ("svc",))
    assert translation(alone) == {"red": ("svc",), "blue": ("svc",), "service": ("svc",)}
    node = Birth(
        "x", settings, Durable(), 7, (), dict.fromkeys(("a", "b", "c", "svc", "svc2"), True), 0, ""
    ).node()
    core = Translated(node, settings)
    core.handle(LinkChanged("service", False), 1)
    assert not node.health.links["svc"]
    assert not node.health.links["svc2"]
    assert core.deadline() == node.deadline()
    assert tuple(translation(settings)) == LINKS


def test_the_command_says_plainly_what_it_is(held: Path) -> None:
    result = CliRunner().invoke(
        commands, ["simulate", "--from", str(held), "--seeds", "2", "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "start anew at that instant" in result.output
    assert "S1 and S2 broken in 0" in result.output
