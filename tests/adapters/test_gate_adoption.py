"""A gate that a predecessor left open on purpose, taken over by the next life, in a real kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address
from random import Random

import pytest

from tests.adapters.test_gate import ALL, BOTH, LONG_MS, V4, answers, foreign
from tests.adapters.wire import Wire, add_address
from zcluster.adapters import nftables
from zcluster.adapters.gate import Gate, GateLost
from zcluster.adapters.gate_adoption import HALF, base_beyond, kernel_slot
from zcluster.adapters.netlink import text

KERNEL = pytest.mark.kernel


@pytest.fixture
def left(wire: Wire) -> Iterator[Gate]:
    """What a life left: open by the long slot of its beat 49, with usual and long elements around it."""
    with wire.host.inside():
        add_address("h0", V4, 32)
        add_address("h0", str(BOTH[1]), 128)
        last = Gate()
        last.install(BOTH, ["h0"])
    for beat in range(45, 52):
        last.arm(beat, BOTH, LONG_MS)
        last.arm(HALF | beat, BOTH, LONG_MS)
    last.point(BOTH, HALF | 49)
    yield last
    last.shut()


@pytest.fixture
def next_life(wire: Wire, left: Gate) -> Iterator[Gate]:
    with wire.host.inside():
        made = Gate()
    yield made
    made.shut()


def adopt(wire: Wire, gate: Gate, interfaces: tuple[str, ...] = ("h0",)) -> bool:
    with wire.host.inside():
        return gate.adopt(BOTH, interfaces, BOTH)


@KERNEL
def test_nothing_closes_when_the_next_life_takes_over(wire: Wire, next_life: Gate) -> None:
    assert answers(wire) == ALL
    assert adopt(wire, next_life)
    assert answers(wire) == ALL
    assert next_life.is_intact()
    assert next_life.egress_supported
    assert next_life.covered == ("h0",)
    next_life.arm(0, BOTH, LONG_MS)
    next_life.point(BOTH, 0)
    assert answers(wire) == ALL
    next_life.close(BOTH)
    assert answers(wire) == []


@KERNEL
def test_the_next_life_shortens_what_was_left(wire: Wire, next_life: Gate) -> None:
    assert adopt(wire, next_life)
    next_life.arm(0, BOTH, 60)
    next_life.point(BOTH, 0)
    time.sleep(0.08)
    assert answers(wire) == [], "the long element still runs, and nobody points at it"


@KERNEL
def test_the_same_numbers_again_never_meet_an_old_element(wire: Wire, next_life: Gate) -> None:
    """Each of the next life's slots runs out in its own time, although the last life's elements of the same
    numbers, in both halves, run for half a minute; and arming them is not refused."""
    assert adopt(wire, next_life)
    for beat in range(60):
        for slot in (beat, HALF | beat):
            next_life.arm(slot, BOTH, 20)
            next_life.point(BOTH, slot)
    time.sleep(0.04)
    assert answers(wire) == []


@KERNEL
def test_what_the_last_life_pointed_at_is_never_armed_again(wire: Wire, next_life: Gate) -> None:
    """The next life keeps the addresses pointed where they are and only arms: nothing prolongs them."""
    with wire.host.inside():
        third = Gate()
    assert adopt(wire, next_life)
    next_life.arm(0, BOTH, 20)
    next_life.point(BOTH, 0)
    assert adopt(wire, third)
    time.sleep(0.04)
    for beat in range(60):
        third.arm(beat, BOTH, LONG_MS)
        third.arm(HALF | beat, BOTH, LONG_MS)
    assert answers(wire) == [], "the entry of a life before points at a number that nobody uses again"
    third.shut()


@KERNEL
def test_what_is_not_kept_is_closed(wire: Wire, next_life: Gate) -> None:
    with wire.host.inside():
        assert next_life.adopt(BOTH, ["h0"], BOTH[:1])
    assert answers(wire) == ["arp", "ping 4"]


@KERNEL
@pytest.mark.parametrize("harm", ["rules gone", "dormant", "not managed", "table gone", "one map differs"])
def test_changed_rules_are_not_adopted(wire: Wire, next_life: Gate, harm: str) -> None:
    name, key = text(1, "zcluster"), nftables.element(BOTH[0].packed)
    delete = nftables.DELETE_ELEMENT
    messages = {
        "rules gone": nftables.request(8, 0, nftables.INET, name),
        "dormant": nftables.request(nftables.NEW_TABLE, 0, nftables.INET, name, nftables.number(2, 1)),
        "not managed": nftables.elements(delete, 0, nftables.INET, "zcluster", "managed4", key),
        "table gone": nftables.table(nftables.DELETE_TABLE, nftables.NETDEV, "zcluster"),
        "one map differs": nftables.elements(delete, 0, nftables.ARP, "zcluster", "pointed4", key),
    }
    foreign(wire, [messages[harm]])
    assert not adopt(wire, next_life)
    with wire.host.inside():
        next_life.install(BOTH, ["h0"])
    assert answers(wire) == []


@KERNEL
def test_other_arguments_are_not_adopted(wire: Wire, next_life: Gate) -> None:
    with wire.host.inside():
        assert not next_life.adopt(BOTH[:1], ["h0"], BOTH)
        assert not next_life.adopt(BOTH, ["h0", "lo"], BOTH)
        assert not next_life.adopt(BOTH, ["h0", "missing0"], BOTH)
        assert not next_life.adopt((*BOTH, ip_address("10.77.0.10")), ["h0"], BOTH)
    assert not next_life.is_intact()
    assert answers(wire) == ALL, "and nothing was changed"


@KERNEL
def test_rules_of_other_tools_do_not_hinder_and_the_comparison_leaves_nothing(
    wire: Wire, next_life: Gate
) -> None:
    foreign(wire, [nftables.table(nftables.NEW_TABLE, nftables.IPV4, "other")])
    assert adopt(wire, next_life)
    foreign(wire, [nftables.table(nftables.NEW_TABLE, nftables.IPV4, "other2")])
    next_life.arm(0, BOTH, LONG_MS)
    next_life.point(BOTH, 0)
    assert answers(wire) == ALL
    with wire.host.inside():
        nft = nftables.Nftables()
    assert all(not nft.listing(nftables.GET_TABLE, family, "zcluster-twin") for family in (1, 3, 5))
    nft.close()


@KERNEL
def test_a_flush_after_the_adoption_is_noticed(wire: Wire, next_life: Gate) -> None:
    assert adopt(wire, next_life)
    foreign(wire, [nftables.table(nftables.DELETE_TABLE, family, "zcluster") for family in (1, 3, 5)])
    with pytest.raises(GateLost):
        next_life.arm(0, BOTH, LONG_MS)


@KERNEL
def test_without_rules_there_is_nothing_to_adopt(wire: Wire) -> None:
    with wire.host.inside():
        gate = Gate()
        assert not gate.adopt(BOTH, ["h0"], BOTH)
    gate.shut()


def test_the_halves_stay_apart_and_the_numbers_go_round() -> None:
    assert kernel_slot(0, 52) == 52
    assert kernel_slot(HALF, 52) == HALF | 52
    assert kernel_slot(HALF - 1, 1) == 0
    assert kernel_slot(HALF | (HALF - 1), 1) == HALF


@pytest.mark.parametrize(
    ("slots", "base"),
    [([], 0), ([7], 8), ([3, 4, HALF | 49], 50), ([HALF - 2, HALF - 1, HALF | 0, 1], 2), ([HALF - 1], 0)],
)
def test_the_next_life_begins_behind_everything_old(slots: list[int], base: int) -> None:
    assert base_beyond(slots) == base


def test_any_old_number_is_far_ahead() -> None:
    random = Random(5)
    for _ in range(300):
        centre = random.randrange(HALF)
        old = [
            (random.choice((0, HALF))) | ((centre + random.randrange(700)) % HALF)
            for _ in range(random.randint(1, 400))
        ]
        base = base_beyond(old)
        nearest = min((slot - base) % HALF for slot in old)
        assert nearest > HALF // 2, "a year of beats until a number comes again"
