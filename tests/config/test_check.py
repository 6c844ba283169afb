from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.config.texts import CLUSTER, GOOD, GROUP, RING, SERVICE, accepted
from zcluster.config.check import Endurance, endurance, warnings
from zcluster.config.host import HostFacts, KeyFileState, host_facts
from zcluster.config.keyfile import write_key

WELL = HostFacts(KeyFileState.GOOD, 0o600, real_time_permitted=True, tick_ms=1.0)
FIVE = GOOD.replace("= 3", "= 5")


def test_a_sound_cluster_has_no_warning() -> None:
    assert warnings(accepted(GOOD), WELL) == ()


def nodes(count: int, *lines: str) -> str:
    return GOOD.replace("= 3", "\n".join([f"= {count}", *lines]))


def more_groups(count: int) -> str:
    extra = (GROUP.replace("sip1", f"sip{n}").replace("101", f"{100 + n}") for n in range(2, count + 1))
    return GOOD + "".join(extra)


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        (nodes(1, "several-groups-per-node = true"), "cluster.expected-nodes", "one node alone"),
        (nodes(2), "cluster.expected-nodes", "two nodes without a witness"),
        (
            nodes(2, "survivor-claims = true").replace(SERVICE, SERVICE + 'reference = ["10.77.9.1"]'),
            "cluster.expected-nodes",
            "both serve their side until it heals",
        ),
        (
            nodes(3, "survivor-claims = true").replace(SERVICE, SERVICE + 'reference = ["10.77.9.1"]'),
            "cluster.survivor-claims",
            "means nothing while 3 nodes vote",
        ),
        (
            nodes(3, 'never-master = ["w1", "*"]', "several-groups-per-node = true"),
            "cluster.never-master[1]",
            "means every node",
        ),
        (
            GOOD + '[[site]]\nname = "a"\nnodes = ["n1", "n2"]\n[[site]]\nname = "b"\nnodes = ["n3", "n2"]',
            "site[1].nodes[1]",
            "already stands in site a",
        ),
        (nodes(63) + more_groups(20)[len(GOOD) :], "cluster.expected-nodes", "may not fit its datagram"),
        (nodes(4), "cluster.expected-nodes", "no more losses at once than 3"),
        (more_groups(3), "cluster.expected-nodes", "leave no slave"),
        (more_groups(4), "cluster.several-groups-per-node", "1 of them cannot be held"),
        (CLUSTER + SERVICE + GROUP, "link", "one link"),
        (
            CLUSTER
            + RING
            + RING.replace("ring1", "ring2").replace("77.1", "77.2")
            + GROUP
            + 'interface = "eth9"',
            "link",
            "no link is a service link",
        ),
        (GOOD.replace("239.77.9.1", "239.77.1.1"), "link[1].multicast", "also that of link ring1"),
        (GOOD.replace(SERVICE, SERVICE + "ttl = 2"), "link[1].ttl", "multicast router"),
        (GOOD + "[timing]\nlease-ms = 250", "timing.silence-ms", "does not fit a silence"),
        (GOOD + "[timing]\ntimer-a-ms = 100", "timing.timer-a-ms", "before it has heard every peer"),
        (GOOD.replace("9.101/24", "8.101/24"), "group[0].addresses[0]", "outside 10.77.9.0/24"),
        (GOOD + 'allowed = ["pbx*"]\npreferred = ["pbx*", "sip1"]', "group[0].preferred[1]", "not allowed"),
        (
            nodes(3, 'never-master = ["w1"]') + 'preferred = ["w1"]',
            "group[0].preferred[0]",
            "never-master forbids",
        ),
        (
            nodes(3, 'witnesses = ["w*"]') + 'preferred = ["w1"]',
            "group[0].preferred[0]",
            "a witness never holds",
        ),
    ],
)
def test_each_danger_names_its_key_and_a_mend(text: str, key: str, wrong: str) -> None:
    (warning,) = warnings(accepted(text), WELL)
    assert warning.key == key
    assert wrong in warning.wrong
    assert warning.mend


@pytest.mark.parametrize(
    ("state", "mode", "wrong"),
    [
        (KeyFileState.MISSING, None, "there is no key"),
        (
            KeyFileState.EXPOSED,
            0o640,
            "others than its owner can use the key /etc/zcluster/cluster.key (mode 0640)",
        ),
        (KeyFileState.UNREADABLE, 0o600, "cannot be read by this user"),
        (KeyFileState.NOT_A_KEY, 0o600, "is not a cluster key"),
    ],
)
def test_a_key_that_cannot_be_used_is_a_danger(state: KeyFileState, mode: int | None, wrong: str) -> None:
    (warning,) = warnings(accepted(GOOD), HostFacts(state, mode, real_time_permitted=True, tick_ms=1.0))
    assert warning.key == "cluster.key-file"
    assert wrong in warning.wrong


def test_a_margin_must_cover_a_late_tick_of_this_kernel() -> None:
    slow = replace(WELL, tick_ms=4.0)
    assert warnings(accepted(GOOD), slow) == ()
    (warning,) = warnings(accepted(nodes(3, 'preset = "fast"')), slow)
    assert (warning.key, "up to 20 ms late" in warning.wrong) == ("cluster.preset", True)
    (warning,) = warnings(accepted(GOOD), replace(WELL, tick_ms=10.0))
    assert (warning.key, warning.mend) == (
        "timing.margin-ms",
        "use a kernel of 1000 Hz, or set margin-ms to 50",
    )


def test_only_the_fast_preset_demands_real_time() -> None:
    plain = replace(WELL, real_time_permitted=False)
    assert warnings(accepted(GOOD), plain) == ()
    (warning,) = warnings(accepted(nodes(3, 'preset = "fast"')), plain)
    assert warning.key == "cluster.preset"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            GOOD,
            Endurance(
                nodes=3,
                groups=1,
                masters_possible=3,
                slaves=2,
                losses=1,
                losses_all_held=1,
                losses_in_turn=1,
                witnesses=0,
            ),
        ),
        (
            FIVE,
            Endurance(
                nodes=5,
                groups=1,
                masters_possible=5,
                slaves=4,
                losses=2,
                losses_all_held=2,
                losses_in_turn=3,
                witnesses=0,
            ),
        ),
        (
            nodes(2),
            Endurance(
                nodes=2,
                groups=1,
                masters_possible=2,
                slaves=1,
                losses=0,
                losses_all_held=0,
                losses_in_turn=0,
                witnesses=0,
            ),
        ),
        (
            nodes(20),
            Endurance(
                nodes=20,
                groups=1,
                masters_possible=20,
                slaves=19,
                losses=9,
                losses_all_held=9,
                losses_in_turn=18,
                witnesses=0,
            ),
        ),
        (
            more_groups(4).replace("= 3", "= 5"),
            Endurance(
                nodes=5,
                groups=4,
                masters_possible=5,
                slaves=1,
                losses=2,
                losses_all_held=1,
                losses_in_turn=3,
                witnesses=0,
            ),
        ),
        (
            more_groups(4).replace("= 3", "= 5\nseveral-groups-per-node = true"),
            Endurance(
                nodes=5,
                groups=4,
                masters_possible=5,
                slaves=1,
                losses=2,
                losses_all_held=2,
                losses_in_turn=3,
                witnesses=0,
            ),
        ),
        (
            nodes(3, 'never-master = ["w1", "x*"]'),
            Endurance(
                nodes=3,
                groups=1,
                masters_possible=2,
                slaves=1,
                losses=1,
                losses_all_held=1,
                losses_in_turn=1,
                witnesses=0,
            ),
        ),
        (
            nodes(3, 'witnesses = ["w*"]'),
            Endurance(
                nodes=3,
                groups=1,
                masters_possible=2,
                slaves=1,
                losses=1,
                losses_all_held=1,
                losses_in_turn=1,
                witnesses=1,
            ),
        ),
        (
            more_groups(4),
            Endurance(
                nodes=3,
                groups=4,
                masters_possible=3,
                slaves=-1,
                losses=1,
                losses_all_held=0,
                losses_in_turn=1,
                witnesses=0,
            ),
        ),
    ],
)
def test_what_a_cluster_survives(text: str, expected: Endurance) -> None:
    assert endurance(accepted(text)) == expected


def test_the_facts_of_this_host(tmp_path: Path) -> None:
    key = tmp_path / "cluster.key"
    configuration = replace(accepted(GOOD), key_file=key)
    assert host_facts(configuration).key_state is KeyFileState.MISSING
    write_key(key)
    facts = host_facts(configuration)
    assert (facts.key_state, facts.key_mode) == (KeyFileState.GOOD, 0o600)
    key.chmod(0o644)
    assert host_facts(configuration).key_state is KeyFileState.EXPOSED
    key.chmod(0o600)
    key.write_text("zck1:short")
    assert host_facts(configuration).key_state is KeyFileState.NOT_A_KEY
    below_a_file = replace(configuration, key_file=key / "below")
    assert host_facts(below_a_file).key_state is KeyFileState.UNREADABLE
