from __future__ import annotations

from tests.control.company import EMPTY_REPORT
from zcluster.control.actions import Tell
from zcluster.control.detector import Peer
from zcluster.control.messages import Beat
from zcluster.supervisor.link_watch import LOOK_MS, SILENCES, LinkWatch

SILENCE_MS = 130
LIMIT_MS = SILENCES * SILENCE_MS


class Stage:
    def __init__(self) -> None:
        self.told: list[Tell] = []
        self.peers = [Peer(Beat(name, 1, 0, {}, EMPTY_REPORT)) for name in ("n2", "n3")]
        self.sequence = 0
        self.watch = LinkWatch(
            ("ring1", "service"), SILENCE_MS, lambda now_ms: self.peers, self.told.append, 0
        )

    def hear(self, now_ms: int, *links: str) -> None:
        self.sequence += 1
        for peer in self.peers:
            for link in links:
                peer.note_link(self.sequence, link, now_ms)

    def codes(self) -> list[str]:
        return [tell.code for tell in self.told]


def test_a_link_that_nobody_is_heard_on_is_told_once_and_its_return_once() -> None:
    stage = Stage()
    stage.hear(1000, "ring1", "service")
    stage.watch.run(1000)
    assert stage.codes() == []
    for now_ms in range(1020, 1020 + 3 * LIMIT_MS, 20):
        stage.hear(now_ms, "service")
        stage.watch.run(now_ms)
    assert stage.codes() == ["link-silent"]
    assert "ring1" in stage.told[0].text
    assert "2 of 2" in stage.told[0].text
    stage.hear(3000, "ring1", "service")
    stage.watch.run(3000)
    stage.watch.run(3010)
    assert stage.codes() == ["link-silent", "link-heard"]
    assert stage.told[1].facts["silent_ms"] == 2000


def test_one_peer_that_is_heard_is_enough() -> None:
    stage = Stage()
    stage.hear(1000, "ring1", "service")
    stage.peers[1].note_link(99, "ring1", 1000 + LIMIT_MS)
    stage.watch.run(1000 + LIMIT_MS)
    assert [tell.facts["link"] for tell in stage.told] == ["service"]


def test_without_peers_and_without_a_first_beat_nothing_is_told() -> None:
    stage = Stage()
    stage.watch.run(5000)
    stage.peers.clear()
    stage.watch.run(9000)
    assert stage.codes() == []
    assert stage.watch.deadline() == 9000 + LOOK_MS
