"""A limit of the whole cluster, held by switches that ask every 250 ms, while nodes and switches die."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.telephony.limits_world import SETTLED_MS, World

NAME = "outbound_carrier1"
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["start", "ring", "burst", "end", "kill", "crash", "revive", "wait", "wait"]),
        st.integers(1, 3),
        st.integers(0, 400),
    ),
    max_size=14,
)


def perform(world: World, step: Step, most: int) -> None:
    """And then look what every switch believes for a while."""
    act(world, step, most)
    watch(world, step[2] if step[0] != "wait" else SETTLED_MS + step[2])


def perform_unwatched(world: World, step: Step, most: int) -> None:
    act(world, step, most)
    world.run(step[2] if step[0] != "wait" else 5 * step[2])


def act(world: World, step: Step, most: int) -> None:
    what, number, amount = step
    node = f"n{number}"
    match what:
        case "start" | "ring":
            world.start(node, NAME, most, what == "start")
        case "burst":
            for count in range(amount % 20):
                world.start(world.names[count % len(world.names)], NAME, most)
        case "end":
            world.end(node, amount)
        case "kill":
            world.kill(node)
        case "crash":
            world.crash(node)
        case "revive":
            world.revive(node)


def watch(world: World, for_ms: int) -> None:
    """No switch may believe less than is true, except for calls that began a moment ago."""
    for _ in range(for_ms // 50):
        world.run(50)
        if world.now - world.last_start_ms > SETTLED_MS:
            truth = world.truth(NAME)
            for node, seen in world.views(NAME).items():
                assert seen >= truth or not world.is_told(node), (world.now, node, seen, truth)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), most=st.integers(1, 12), script=steps)
def test_no_session_is_forgotten_and_every_sum_comes_right(seed: int, most: int, script: list[Step]) -> None:
    world = World(seed, 3)
    for step in script:
        perform(world, step, most)
    watch(world, 11_500)
    truth = world.truth(NAME)
    for node, seen in world.views(NAME).items():
        assert seen == truth, node


@pytest.mark.parametrize("seed", range(examples(12)))
@pytest.mark.parametrize("fault", ["kill", "crash"])
def test_no_moment_counts_a_recovered_call_nowhere(fault: str, seed: int) -> None:
    world = World(seed, 3, slow_ms=150)
    for _ in range(4):
        assert world.start("n1", NAME, 10)
    watch(world, SETTLED_MS + 500)
    perform(world, (fault, 1, 0), 10)
    watch(world, 5000)
    assert world.truth(NAME) == 4
    assert set(world.views(NAME).values()) == {4}


@pytest.mark.parametrize("fault", ["kill", "crash"])
def test_what_nobody_recovers_stops_counting(fault: str) -> None:
    world = World(3, 3)
    for _ in range(4):
        assert world.start("n1", NAME, 10, is_bridged=False)
    world.run(1000)
    perform(world, (fault, 1, 0), 10)
    world.run(9000)
    assert set(world.views(NAME).values()) == {4}
    world.run(2000)
    assert world.truth(NAME) == 0
    assert set(world.views(NAME).values()) == {0}


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), most=st.integers(2, 20), slow_ms=st.sampled_from([0, 200]), script=steps)
def test_a_strict_limit_is_never_passed(seed: int, most: int, slow_ms: int, script: list[Step]) -> None:
    """`World.start` holds each call against the truth."""
    world = World(seed, 3, slow_ms=slow_ms, strict={NAME: most})
    for step in script:
        perform_unwatched(world, step, most)
    assert world.truth(NAME) <= most


@pytest.mark.parametrize("seed", range(examples(6)))
def test_a_strict_limit_is_never_passed_while_shares_wander(seed: int) -> None:
    """Masters fall idle and wake up in a burst, just when a share may be on its way to somebody else."""
    world = World(seed, 4, slow_ms=100, strict={NAME: 24})
    world.stalls = 0.2
    masters = world.names[:3]
    wakes_ms = dict.fromkeys(masters, 0)
    sleeps_ms = {node: world.random.randrange(1000, 6000) for node in masters}
    for elapsed_ms in range(0, 30_000, 50):
        for node in world.random.sample(masters, 3):
            if elapsed_ms >= sleeps_ms[node]:
                wakes_ms[node] = elapsed_ms + world.random.randrange(200, 3000)
                sleeps_ms[node] = wakes_ms[node] + world.random.randrange(100, 4000)
                world.hosts[node].switch.calls.clear()
            for _ in range(24 if elapsed_ms >= wakes_ms[node] else 0):
                world.start(node, NAME, 24)
        world.run(50)


def test_a_strict_limit_is_used_to_the_last_session_by_who_needs_it() -> None:
    world = World(2, 3, strict={NAME: 20})
    admitted = 0
    for _ in range(400):
        admitted += world.start("n1", NAME, 20)
        world.run(50)
    assert admitted == 19  # the other master keeps one
    assert world.start("n2", NAME, 20)
    assert not world.start("n2", NAME, 20)
    world.kill("n1")
    world.run(5000)
    assert world.truth(NAME) == 20
    assert not any(world.start(node, NAME, 20) for node in world.names)


def test_a_limit_of_ten_holds_after_a_node_died_with_four() -> None:
    world = World(7, 4)
    for node, count in (("n1", 4), ("n2", 3), ("n3", 3)):
        for _ in range(count):
            assert world.start(node, NAME, 10)
        world.run(500)
    assert not any(world.start(node, NAME, 10) for node in world.names)
    world.kill("n1")
    for _ in range(300):
        world.run(50)
        assert not any(world.start(node, NAME, 10) for node in world.names)
    assert world.truth(NAME) == 10
    heir = world.hosts[world.owner["g1"]]
    recovered = [call for call in heir.switch.calls if call.is_recovered]
    assert len(recovered) == 4
    heir.switch.calls.remove(recovered[0])
    world.run(600)
    assert [world.start(node, NAME, 10) for node in ("n2", "n3")] == [True, True] or world.truth(NAME) == 10
