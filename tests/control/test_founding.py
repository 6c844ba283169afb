"""Founding: all expected nodes, both ways, durably, once."""

from __future__ import annotations

from tests.control.company import EMPTY_REPORT, INCARNATION, LINKS, Company, settings
from zcluster.control.actions import Action, SendBeat, StoreDurable
from zcluster.control.document import Document, Durable
from zcluster.control.events import BeatReceived, Event, Stored, Tick
from zcluster.control.messages import Ack, Beat, FoundingView, Report
from zcluster.control.node import Node
from zcluster.control.units import NodeState

NAMES = ("a", "b", "c", "d", "e")


class Unfounded:
    """The node `a` with nothing on disk, and four peers to be spoken for."""

    def __init__(self, durable: Durable | None = None) -> None:
        self.node = Node("a", settings(), durable or Durable(), INCARNATION, (), LINKS, 0)
        self.now_ms = 0
        self.sequence = 0
        self.actions: list[Action] = []
        self.do(Tick())

    def do(self, event: Event) -> None:
        done = self.node.handle(event, self.now_ms)
        self.actions += done
        for action in done:
            if isinstance(action, StoreDurable):
                self.do(Stored(action.number))

    def hear(self, name: str, report: Report, is_confirming: bool = True) -> None:
        self.sequence += 1
        acks = {"a": Ack(INCARNATION, 1, ())} if is_confirming else {}
        self.do(BeatReceived(Beat(name, 100 + ord(name), self.sequence, acks, report), "ring"))

    def tick(self) -> None:
        self.now_ms += 20
        self.do(Tick())

    def view(self) -> FoundingView | None:
        beats = [a.beat for a in self.actions if isinstance(a, SendBeat)]
        return beats[-1].report.founding


def unfounded(view: FoundingView | None = None) -> Report:
    return EMPTY_REPORT._replace(cluster_id="", generation=0, state=NodeState.STARTING, founding=view)


def test_nothing_is_proposed_before_all_are_heard_both_ways() -> None:
    a = Unfounded()
    for name in "bcd":
        a.hear(name, unfounded())
    a.hear("e", unfounded(), is_confirming=False)
    a.tick()
    assert a.view() is None
    a.hear("e", unfounded())
    a.tick()
    view = a.view()
    assert view is not None
    assert view.names == NAMES
    assert not view.is_accepted


def test_agreed_on_disk_by_all_and_only_then_founded() -> None:
    a = Unfounded()
    for name in "bcde":
        a.hear(name, unfounded())
    a.tick()
    view = a.view()
    assert view is not None
    for name in "bcd":
        a.hear(name, unfounded(view))
    a.tick()
    assert a.view() == view, "one has not proposed the same yet"
    a.hear("e", unfounded(view))
    a.tick()
    accepted = view._replace(is_accepted=True)
    assert a.view() == accepted
    assert a.node.situation.document is None
    for name in "bcde":
        a.hear(name, unfounded(accepted))
    assert a.node.situation.document == Document(view.cluster_id, 1, NAMES)


def test_more_nodes_than_expected_is_refused_with_an_alarm() -> None:
    a = Unfounded()
    for name in "bcdef":
        a.hear(name, unfounded())
    a.tick()
    assert a.view() is None
    assert any(getattr(action, "code", "") == "too-many-nodes" for action in a.actions)


def test_names_once_agreed_to_are_never_exchanged() -> None:
    a = Unfounded(Durable(accepted_id="a-1", accepted_names=("a", "b", "c", "d", "x")))
    for name in "bcde":
        a.hear(name, unfounded())
    a.tick()
    assert a.view() is None
    assert any(getattr(action, "code", "") == "founding-refused" for action in a.actions)


def test_a_member_that_lost_its_disk_joins_again() -> None:
    a = Unfounded()
    document = Document("b-9", 1, NAMES)
    a.hear("b", EMPTY_REPORT._replace(cluster_id="b-9", document=document))
    assert a.node.situation.document == document


def test_a_node_that_is_no_member_is_not_admitted_by_itself() -> None:
    a = Unfounded()
    document = Document("b-9", 1, ("b", "c", "d", "e", "f"))
    a.hear("b", EMPTY_REPORT._replace(cluster_id="b-9", document=document))
    a.tick()
    assert a.node.situation.document is None
    assert "not admitted" in a.node.situation.unready


def test_another_cluster_with_the_same_key_is_ignored_with_an_alarm() -> None:
    company = Company()
    company.start()
    stranger = Beat("z", 1, 1, {}, EMPTY_REPORT._replace(cluster_id="z-1"))
    company.do(BeatReceived(stranger, "ring"))
    assert "z" not in company.node.situation.detector.peers
    assert company.told("foreign-cluster")
