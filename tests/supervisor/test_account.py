"""What a node says of its links and of its own stalls, in words that are said once."""

from __future__ import annotations

from zcluster.control.actions import Tell
from zcluster.supervisor.account import link_warnings, stall_teller
from zcluster.supervisor.transport import ALL_LINKS


def texts(problem: str, is_up: bool, interface: str = "ring1", name: str = "ring1") -> list[tuple[str, str]]:
    found = link_warnings({name: problem}, {name: interface}, {name: is_up})
    return [(warned.code, warned.text) for warned in found]


def test_a_link_is_named_once_with_its_interface() -> None:
    problem = "ring1: cannot send to 239.77.1.1: Network is unreachable"
    assert texts(problem, is_up=False) == [("link-broken", "link ring1 (interface ring1) is down")]
    assert texts(problem, is_up=True) == [
        ("link-broken", "link ring1 (interface ring1): cannot send to 239.77.1.1: Network is unreachable")
    ]
    assert texts("hb: cannot publish", True, "eth1", "hb") == [
        ("link-broken", "link hb (interface eth1): cannot publish")
    ]
    assert link_warnings({"hb": "gone"}, {}, {})[0].text == "link hb: gone"


def test_beats_that_cannot_be_sent_are_no_link() -> None:
    assert texts("too long", is_up=False, name=ALL_LINKS) == [
        ("beats-unsendable", f"link {ALL_LINKS}: too long")
    ]


def test_a_stall_is_told_in_words() -> None:
    told: list[Tell] = []
    tell = stall_teller("n5", told.append)
    tell(83, 1)
    tell(10, 320_909)
    assert [each.text for each in told] == [
        "n5 was not given a processor for 83 ms",
        "n5 was busy, or interrupted at work, for 5 min 20 s",
    ]
