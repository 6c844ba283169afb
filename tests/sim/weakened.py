"""The production core with one rule of DESIGN.md section 4 removed, for the tests that show why the rule is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from zcluster.control.detector import Peer
from zcluster.control.document import Durable, Settings
from zcluster.control.messages import Beat
from zcluster.control.node import Node
from zcluster.control.units import GroupName, LinkName, NodeName
from zcluster.control.voter import Vote, Voter
from zcluster.simulator.host import Core, CoreFactory


class CarelessVoter(Voter):
    """Acknowledges whatever it hears: "I heard beat n" instead of "I granted this pair of beat n"."""

    def hear(
        self,
        holder: NodeName,
        incarnation: int,
        group: GroupName,
        counter: int,
        now_ms: int,
        may_grant_new: bool = True,
        keeps_longer: bool = False,
    ) -> Vote:
        vote = super().hear(holder, incarnation, group, counter, now_ms, may_grant_new, keeps_longer)
        return Vote.RENEWED if vote is Vote.REFUSED else vote


class CredulousPeer(Peer):
    """Takes a beat that is older than one already processed for news."""

    def is_newer(self, beat: Beat) -> bool:
        return beat.incarnation >= self.incarnation

    def take(self, beat: Beat, link: LinkName, now_ms: int) -> None:
        newest = self.sequence if beat.incarnation == self.incarnation else 0
        super().take(beat, link, now_ms)
        self.sequence = max(newest, beat.sequence)


def eager_voter(grant_ms: int, abstain_until_ms: int, floor: int) -> Voter:
    """Grants from its first moment on."""
    return Voter(grant_ms, 0, floor)


def weakened(
    make_voter: Callable[[int, int, int], Voter] = Voter,
    make_peer: Callable[[Beat], Peer] = Peer,
    forgets_ceiling: bool = False,
    grant_ms: int | None = None,
) -> CoreFactory:
    """Starts cores with those parts; `forgets_ceiling` loses the counters of the disk at every start."""

    def make_core(
        name: str,
        settings: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[str, bool],
        now_ms: int,
    ) -> Core:
        if forgets_ceiling:
            durable = replace(durable, ceiling=0)
        if grant_ms is not None:
            settings = replace(settings, timing=replace(settings.timing, grant_ms=grant_ms))
        return Node(
            name,
            settings,
            durable,
            incarnation,
            macs,
            links,
            now_ms,
            make_voter=make_voter,
            make_peer=make_peer,
        )

    return make_core
