from __future__ import annotations

from random import Random

import pytest

from tests.examples import examples
from tests.streams.world import NAME, World
from zcluster.streams.units import body_of, group_of, record_key

SEEDS = range(examples(30))


def stir(world: World, steps: int, random: Random) -> None:
    """Ordinary life: phones register, refresh, go."""
    for _ in range(steps):
        group = random.choice(world.groups)
        world.write(group, random.randrange(40), remove=random.random() < 0.2)
        world.run(world.now + random.randrange(6))


def break_something(world: World, random: Random) -> None:
    names = [host.name for host in world.living()]
    match random.randrange(8):
        case 0 if len(names) > 2:
            world.kill(random.choice(names))
        case 1:
            dead = [host for host in world.hosts.values() if host.replicator is None]
            if dead:
                world.start(random.choice(dead))
        case 2:
            world.cuts.add(frozenset(random.sample(sorted(world.hosts), 2)))
        case 3:
            world.cuts.clear()
        case 4:
            world.give(random.choice(world.groups), random.choice(names))
        case 5:
            world.reroute()
        case 6:
            world.restart(random.choice(names))
        case _:
            world.loss, world.double = random.choice([(0.0, 0.0), (0.3, 0.2), (0.05, 0.05)])
    if random.random() < 0.7:
        world.notice()
    if random.random() < 0.6:
        for group in world.groups:
            if world.owner.get(group) is None:
                world.give(group, random.choice([host.name for host in world.living()]))


@pytest.mark.parametrize("seed", SEEDS)
def test_after_healing_every_copy_equals_its_writers(seed: int) -> None:
    random = Random(seed)
    world = World(seed, random.randrange(3, 7))
    for _ in range(12):
        stir(world, random.randrange(1, 40), random)
        break_something(world, random)
    world.heal()
    assert world.faults() == []
    stir(world, 40, random)
    world.run(world.now + 3000)
    assert world.faults() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_record_is_lost_that_reached_one_survivor(seed: int) -> None:
    """A master dies while its changes are half sent; some reached one node only, and another adopts."""
    random = Random(seed)
    world = World(seed, random.randrange(3, 7))
    stir(world, 150, random)
    world.run(world.now + 2000)
    assert world.faults() == []
    world.loss, world.double = 0.4, 0.1
    victim = world.owner[world.groups[0]]
    assert victim is not None
    for _ in range(30):
        world.write(world.groups[0], random.randrange(40), remove=random.random() < 0.2)
        world.run(world.now + random.randrange(8))
    group = world.groups[0]
    group_key = group.encode()
    world.kill(victim)
    world.run(world.now + random.randrange(300))
    reached = {
        key: body
        for key, body in world.truth.items()
        if group_of(key) == group_key and world.reached(key, body)
    }
    assert reached
    world.loss = random.choice([0.0, 0.2])
    world.notice()
    survivors = [host.name for host in world.living()]
    adopter = random.choice(survivors)
    world.give(group, adopter)
    if random.random() < 0.5:
        world.run(world.now + random.randrange(50))
        world.write(group, 50)
    world.run(world.now + 4000)
    seen = world.view(world.hosts[adopter])
    assert {key: seen.get(key) for key in reached} == reached
    world.heal()
    assert world.faults() == []
    seen = world.view(world.hosts[victim])
    assert {key: seen.get(key) for key in reached} == reached


@pytest.mark.slow
def test_a_reader_never_has_neither_nor_both_while_a_group_changes_hands() -> None:
    for seed in range(10):
        world = World(seed, 4)
        for number in range(60):
            world.write("g1", number)
        world.run(3000)
        want = {record_key("g1", b"phone%d" % number) for number in range(60)}
        world.loss = 0.2
        for _ in range(3):
            host = world.owner["g1"]
            assert host is not None
            world.kill(host)
            for step in range(60):
                if step == 10:
                    world.notice()
                if step == 20:
                    world.give("g1", world.living()[step % 2].name)
                world.run(world.now + 5)
                for each in world.living():
                    tables = each.replicator.tables[NAME] if each.replicator else None
                    if tables is not None and any(copy.is_readable for copy in tables.copies.values()):
                        seen = {key for key in world.view(each) if group_of(key) == b"g1"}
                        assert seen == want, (seed, step, each.name, len(seen))
            world.loss = 0.0
            world.heal(3000)
            world.loss = 0.2


@pytest.mark.slow
def test_a_data_process_that_begins_anew_tells_what_its_switch_knows_and_no_more() -> None:
    world = World(4, 3)
    for number in range(30):
        world.write("g1", number)
    world.run(3000)
    for number in range(10):
        world.truth.pop(record_key("g1", b"phone%d" % number))
    world.restart("n1")
    while world.now < 8000:
        world.run(world.now + 1)
        assert len(world.view(world.hosts["n2"])) in (30, 20)
    assert world.faults() == []
    assert all(world.view(host) == world.truth for host in world.living())


@pytest.mark.slow
@pytest.mark.parametrize("age_ms", [1500, 3000], ids=["before it claimed", "after it claimed"])
def test_a_host_that_comes_back_with_its_group_gets_its_records_from_the_others(age_ms: int) -> None:
    """It died whole and nobody took over: the others remember what it forgot."""
    world = World(5, 3)
    for number in range(30):
        world.write("g1", number)
    world.run(age_ms)
    world.kill("n1")
    world.run(age_ms + 500)
    world.notice()
    world.start(world.hosts["n1"])
    world.notice()
    world.give("g1", "n1")
    while world.now < 9000:
        world.run(world.now + 1)
        assert len(world.view(world.hosts["n2"])) == 30
    assert world.faults() == []
    assert all(world.view(host) == world.truth for host in world.living())


def test_a_superseded_writer_that_lives_gives_its_records_up() -> None:
    world = World(1, 3)
    for number in range(20):
        world.write("g1", number)
    world.run(3000)
    world.give("g1", "n3")
    world.write("g1", 5, remove=True)
    world.run(5000)
    host = world.hosts["n1"].replicator
    assert host is not None
    assert host.tables[NAME].own.table.claims == {b"g1": 1}
    world.run(14_000)
    assert host.tables[NAME].own.table.claims == {}
    assert not [key for key, _ in host.tables[NAME].own.table.items() if group_of(key) == b"g1"]
    assert len(world.view(world.hosts["n2"])) == 19
    assert world.faults() == []


def test_what_a_master_lost_and_won_again_is_what_the_other_left() -> None:
    world = World(2, 3)
    world.write("g1", 1)
    world.write("g1", 2)
    world.run(3000)
    world.give("g1", "n2")
    world.write("g1", 1, remove=True)
    world.write("g1", 3)
    world.write("g1", 2)
    fresh = world.truth[record_key("g1", b"phone2")]
    world.run(4000)
    world.give("g1", "n1")
    world.run(5000)
    for host in world.living():
        seen = {key: body for key, body in world.view(host).items() if group_of(key) == b"g1"}
        assert seen == {
            record_key("g1", b"phone2"): fresh,
            record_key("g1", b"phone3"): world.truth[record_key("g1", b"phone3")],
        }


def test_the_own_switch_cannot_change_a_group_that_is_not_ours() -> None:
    world = World(3, 3)
    world.write("g1", 1)
    world.run(1000)
    world.owner["g1"] = "n2"
    world.write("g1", 1, remove=True)
    world.run(2000)
    other = world.hosts["n2"].replicator
    assert other is not None
    assert other.counts["record of a group not ours"] == 1
    entry = other.tables[NAME].get(record_key("g1", b"phone1"))
    assert entry is not None
    assert body_of(entry.record) == b"version 1"
    assert entry.stream.node == "n1"


@pytest.mark.parametrize("remove", [False, True], ids=["refreshed", "removed"])
def test_the_adopters_own_switch_has_the_last_word(remove: bool) -> None:
    """What reached another survivor only comes after the adopter's switch spoke of the same phones."""
    world = World(6, 3)
    for number in range(5):
        world.write("g1", number)
    world.run(3000)
    world.cuts.add(frozenset(("n1", "n2")))
    world.write("g1", 1)
    world.write("g1", 2)
    world.write("g1", 7)
    world.run(3020)
    world.kill("n1")
    world.cuts.clear()
    world.notice()
    world.give("g1", "n2")
    world.write("g1", 1, remove=remove)
    world.write("g1", 7, remove=True)
    world.run(7000)
    key = record_key("g1", b"phone1")
    for host in world.living():
        seen = {key: body for key, body in world.view(host).items() if group_of(key) == b"g1"}
        assert seen == {key: body for key, body in world.truth.items() if group_of(key) == b"g1"}
        assert (key in seen) is not remove


def test_a_registration_that_only_one_survivor_knew_reaches_the_adopter() -> None:
    world = World(7, 4)
    world.write("g1", 1)
    world.run(3000)
    world.cuts |= {frozenset(("n1", "n2")), frozenset(("n1", "n4"))}
    world.write("g1", 1, remove=True)
    world.write("g1", 2)
    world.run(3020)
    world.kill("n1")
    world.cuts.clear()
    world.notice()
    world.give("g1", "n2")
    world.run(5000)
    for host in world.living():
        assert world.view(host).keys() == {record_key("g1", b"phone2")}


def test_an_adopter_that_knew_nothing_learns_it_later() -> None:
    """It claimed with empty hands, cut off from the one who had the records; then they hear each other."""
    world = World(8, 3)
    for number in range(30):
        world.write("g1", number)
    world.run(3000)
    world.kill("n1")
    world.kill("n2")
    world.cuts.add(frozenset(("n2", "n3")))
    world.start(world.hosts["n2"])
    world.notice()
    world.give("g1", "n2")
    world.write("g1", 99)
    world.run(6000)
    assert len(world.view(world.hosts["n2"])) == 1
    world.cuts.clear()
    world.notice()
    world.run(10_000)
    for host in world.living():
        assert {key for key in world.view(host) if group_of(key) == b"g1"} == world.truth.keys()
