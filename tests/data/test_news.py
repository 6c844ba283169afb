from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from zcluster.data.news import News
from zcluster.streams.events import PeerFailed, PeerHeard
from zcluster.telephony.events import GroupLapsed, GroupLost, GroupOpened, GroupWon, PeersChanged
from zcluster.wire.local_link import Groups, OwnGroup, PeerPlace, Peers


def own(*groups: tuple[str, int, bool]) -> Groups:
    return Groups(tuple(OwnGroup(*group) for group in groups))


def peers(*nodes: str, holders: tuple[tuple[str, str], ...] = ()) -> Peers:
    return Peers(tuple(PeerPlace(node, 1, (("hb1", "10.0.0.1"),)) for node in nodes), holders)


def test_a_group_is_won_then_opened_lapses_opens_again_and_is_lost() -> None:
    news = News()
    assert news.take_groups(own(("blue", 7, False))) == [GroupWon("blue", 7)]
    assert news.take_groups(own(("blue", 7, True))) == [GroupOpened("blue", 7)]
    assert news.take_groups(own(("blue", 7, True))) == []
    assert news.take_groups(own(("blue", 7, False))) == [GroupLapsed("blue")]
    assert news.take_groups(own(("blue", 7, True))) == [GroupOpened("blue", 7)]
    assert news.take_groups(own()) == [GroupLost("blue")]


def test_another_ballot_is_a_loss_and_losses_come_first() -> None:
    news = News()
    news.take_groups(own(("blue", 7, True)))
    assert news.take_groups(own(("red", 3, True), ("blue", 8, True))) == [
        GroupLost("blue"),
        GroupWon("red", 3),
        GroupOpened("red", 3),
        GroupWon("blue", 8),
        GroupOpened("blue", 8),
    ]


@given(
    some.lists(
        some.dictionaries(
            some.sampled_from(["blue", "red"]),
            some.tuples(some.integers(min_value=1, max_value=3), some.booleans()),
        )
    )
)
def test_what_was_told_adds_up_to_the_last_state(states: list[dict[str, tuple[int, bool]]]) -> None:
    news = News()
    held: dict[str, list[object]] = {}
    for state in states:
        for event in news.take_groups(own(*((name, *rest) for name, rest in state.items()))):
            match event:
                case GroupWon(group, counter):
                    assert group not in held
                    held[group] = [counter, False]
                case GroupOpened(group, counter):
                    assert held[group] == [counter, False]
                    held[group][1] = True
                case GroupLapsed(group):
                    assert held[group][1]
                    held[group][1] = False
                case GroupLost(group):
                    del held[group]
        assert held == {name: list(rest) for name, rest in state.items()}


def test_the_first_word_of_the_peers_is_news_even_when_nobody_lives() -> None:
    news = News()
    was_known = news.are_peers_known
    told = news.take_peers(peers())
    assert (was_known, news.are_peers_known) == (False, True)
    assert told.changed == PeersChanged(())
    assert news.take_peers(peers()).changed is None


def test_peers_come_and_go() -> None:
    news = News()
    assert news.take_peers(peers("n2", "n3")).heard == (PeerHeard("n2"), PeerHeard("n3"))
    told = news.take_peers(peers("n3", "n4", holders=(("blue", "n3"),)))
    assert (told.failed, told.heard) == ((PeerFailed("n2"),), (PeerHeard("n4"),))
    assert told.changed == PeersChanged(("n3", "n4"), (("blue", "n3"),))
    assert news.alive == ("n3", "n4")
    # Who holds what is news for the telephony core alone.
    told = news.take_peers(peers("n3", "n4"))
    assert (told.failed, told.heard, told.changed) == ((), (), PeersChanged(("n3", "n4")))


def test_who_has_no_switch_is_no_peer() -> None:
    news = News(("w*",))
    told = news.take_peers(peers("n2", "w1"))
    assert told.heard == (PeerHeard("n2"),)
    assert told.changed == PeersChanged(("n2",))
    assert [place.node for place in told.places] == ["n2"]
    assert news.take_peers(peers("n2")).changed is None
