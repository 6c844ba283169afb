from __future__ import annotations

import pytest

from zcluster.lab.verdict import (
    IN_FLIGHT_NS,
    Episode,
    Kind,
    Overlap,
    Sighting,
    episodes_of,
    find_overlap,
    judge,
)

MS = 1_000_000
ADDRESS = "10.77.9.101"


def seen(text: str, step_ms: int = 2) -> list[Sighting]:
    """ "aab": host a twice, then host b, `step_ms` apart."""
    return [Sighting(number * step_ms * MS, host, ADDRESS, Kind.TRAFFIC) for number, host in enumerate(text)]


def overlap(text: str, holders: str = "", step_ms: int = 2) -> Overlap | None:
    return find_overlap(ADDRESS, episodes_of(seen(text, step_ms)), list(holders))


def test_sightings_in_a_row_are_one_episode() -> None:
    assert episodes_of(seen("aaab")) == [Episode("a", 0, 4 * MS, 3), Episode("b", 6 * MS, 6 * MS, 1)]


def test_the_order_of_time_decides_not_that_of_reading() -> None:
    assert episodes_of(reversed(seen("aab"))) == episodes_of(seen("aab"))


@pytest.mark.parametrize("text", ["", "aaaa", "aaabbb", "aabbcc"])
def test_a_handover_is_no_overlap(text: str) -> None:
    assert overlap(text) is None


@pytest.mark.parametrize("text", ["aabab", "aaba", "aabbbba", "abcb", "aabcca"])
def test_a_host_that_answers_again_after_another_is(text: str) -> None:
    assert overlap(text) is not None


def test_it_is_said_who_and_after_whom() -> None:
    assert overlap("aabb" + "a") == Overlap(ADDRESS, "a", "b", 8 * MS)


@pytest.mark.parametrize(("text", "holders"), [("aabbaa", "aba"), ("aabbaa", "abca"), ("abab", "abab")])
def test_a_host_may_come_back_where_the_epochs_say_so(text: str, holders: str) -> None:
    assert overlap(text, holders) is None


@pytest.mark.parametrize(("text", "holders"), [("aabbaa", "ab"), ("ababab", "abab"), ("abab", "aab")])
def test_but_not_more_often(text: str, holders: str) -> None:
    assert overlap(text, holders) is not None


def test_a_packet_in_flight_at_the_handover_is_forgiven() -> None:
    late = Sighting(10 * MS + IN_FLIGHT_NS, "a", ADDRESS, Kind.TRAFFIC)
    first = Sighting(10 * MS, "b", ADDRESS, Kind.ARP)
    record = [*seen("aaa"), first, late, Sighting(20 * MS, "b", ADDRESS, Kind.TRAFFIC)]
    assert find_overlap(ADDRESS, episodes_of(record), []) is None


def test_a_packet_later_than_that_is_not() -> None:
    late = Sighting(10 * MS + IN_FLIGHT_NS + 1, "a", ADDRESS, Kind.TRAFFIC)
    record = [*seen("aaa"), Sighting(10 * MS, "b", ADDRESS, Kind.ARP), late]
    assert find_overlap(ADDRESS, episodes_of(record), []) is not None


def test_arp_and_neighbour_discovery_count_like_traffic() -> None:
    record = [*seen("aab"), Sighting(50 * MS, "a", ADDRESS, Kind.ARP)]
    assert [found.host for found in judge(record, {})] == ["a"]


def test_each_address_is_judged_for_itself() -> None:
    other = [Sighting(one.when_ns, one.host, "fd77:9::101", Kind.NEIGHBOUR) for one in seen("aaba")]
    assert [found.address for found in judge([*seen("aabb"), *other], {})] == ["fd77:9::101"]
    assert judge([*seen("aabb"), *other], {"fd77:9::101": ["a", "b", "a"]}) == []
