from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from zcluster.console.why import render
from zcluster.console.words import WIDTH

SILENT: dict[str, Any] = {
    "group": "blue",
    "epoch": 8,
    "from_node": "n2",
    "to_node": "n4",
    "why": "silence",
    "silent_ms": 201,
    "links": {"hb1": 201, "hb2": 203, "lan": 214},
    "probes_ms": [-40, -22],
    "quiet_ms": 4,
    "votes": {"n4": 0, "n3": 3, "n1": 2},
    "won_ms": 3,
    "open_ms": 6,
    "quorum": 3,
    "roster": 5,
}
MOVED: dict[str, Any] = {
    "group": "blue",
    "epoch": 9,
    "from_node": "n4",
    "to_node": "n2",
    "why": "released: operator",
    "released_ms": 1,
    "quiet_ms": 2,
    "votes": {"n2": 0, "n1": 2, "n3": 2},
    "won_ms": 2,
    "open_ms": 5,
    "quorum": 3,
    "roster": 5,
}


def record(at_ms: int, node: str, level: str, code: str, text: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"at_ms": at_ms, "node": node, "level": level, "code": code, "text": text, "facts": facts}


def clock(at_ms: int) -> str:
    return f"03:12:{at_ms // 1000:02d}.{at_ms % 1000:03d}"


NIGHT = [
    record(1000, "n4", "info", "state", "n4: STARTING -> SLAVE", {}),
    record(44_190, "n1", "warning", "silent", "n2 fell silent: last heard on hb1 201 ms ago", {"node": "n2"}),
    record(44_220, "n4", "notice", "takeover", "blue: n4 holds epoch 8 after n2 (silence)", SILENT),
    record(50_000, "n3", "alarm", "stranger", "blue: a stranger uses the address (aa:bb); not opening", {}),
    record(59_990, "n4", "notice", "released", "blue: epoch 8 closed and released (operator)", {}),
    record(59_999, "n2", "notice", "takeover", "blue: n2 holds epoch 9 after n4", MOVED),
]

STORY = """\
Group blue changed holder 2 times; the latest stands last.

03:12:44.190  n1: n2 fell silent: last heard on hb1 201 ms ago

03:12:44.220  blue: n4 holds epoch 8 after n2 (silence)
    n2 was last heard 201 ms before the claim (per link: hb1 201 ms, hb2 203 ms,
      lan 214 ms)
    claimed at 0 ms; votes: n4 0 ms, n1 2 ms, n3 3 ms (3 of 5 needed); won at
      3 ms
    asked the network who uses the addresses at -40 ms and -22 ms: nobody; quiet
      at 4 ms
    addresses open and announced at 6 ms, 207 ms after the last sign of the old
      holder

03:12:50.000  n3: ALARM: blue: a stranger uses the address (aa:bb); not opening
03:12:59.990  n4: blue: epoch 8 closed and released (operator)

03:12:59.999  blue: n2 holds epoch 9 after n4
    n4 closed and released it (an operator asked for the move) 1 ms before the
      claim
    claimed at 0 ms; votes: n2 0 ms, n1 2 ms, n3 2 ms (3 of 5 needed); won at
      2 ms
    the last holder's kernel had confirmed its closing, so the network was not
      asked
    addresses open and announced at 5 ms, 6 ms after the release"""


def test_a_night() -> None:
    lines = render(NIGHT, "blue", clock)
    assert "\n".join(lines) == STORY
    assert max(map(len, lines)) <= WIDTH


def test_a_quiet_night() -> None:
    assert render(NIGHT[:1], "", clock) == ["The cluster's groups changed no holder that this node knows of."]


def test_what_several_nodes_say_at_once_is_one_line() -> None:
    said = [
        record(1000 + number, node, "warning", "silent", f"n5 fell silent, {number}", {"node": "n5"})
        for number, node in enumerate(("n2", "n1", "n3", "n2"))
    ]
    other = record(1002, "n1", "warning", "silent", "n4 fell silent", {"node": "n4"})
    later = record(9000, "n1", "warning", "silent", "n5 fell silent again", {"node": "n5"})
    assert render([*said[:2], other, *said[2:], later], "", clock)[2:] == [
        "03:12:01.000  n2, n1, n3: n5 fell silent, 0",
        "03:12:01.002  n1: n4 fell silent",
        "03:12:09.000  n1: n5 fell silent again",
    ]


def test_many_records_are_cut_from_the_front() -> None:
    nights = [{**entry, "at_ms": entry["at_ms"] + 100_000 * night} for night in range(30) for entry in NIGHT]
    lines = render(nights, "", clock)
    assert lines[1] == "(90 older records are left out; --json has them all.)"
    assert lines[-1].endswith("after the release")


values = some.none() | some.integers() | some.text(max_size=3) | some.lists(some.integers(), max_size=2)


@settings(deadline=None)  # the machine may be busy with others
@given(
    some.dictionaries(some.sampled_from(sorted(SILENT)), values), some.sets(some.sampled_from(sorted(SILENT)))
)
def test_odd_facts_never_hide_the_record(changed: dict[str, Any], left_out: set[str]) -> None:
    facts = {key: value for key, value in {**SILENT, **changed}.items() if key not in left_out}
    lines = render([record(1, "n4", "notice", "takeover", "blue: n4 holds epoch 8", facts)], "", clock)
    assert "03:12:00.001  blue: n4 holds epoch 8" in lines


RECOVERED: dict[str, Any] = {
    "group": "blue",
    "counter": 8,
    "recovered": 42,
    "lost": 5,
    "reasons": {"it was ringing": 4, "its codec cannot be recovered": 1},
}


def lost(number: int) -> dict[str, Any]:
    text = f"a call of 100{number} to 2000 is lost: it was ringing"
    return record(45_000 + number, "n4", "notice", "call-lost", text, {"group": "blue", "uuid": str(number)})


def test_a_takeover_tells_what_became_of_the_calls() -> None:
    text = "42 legs of blue came back in 380 ms, 5 are lost"
    unended = "3 legs of blue could not be ended, or its profiles not put to rest"
    night = [
        NIGHT[2],
        *map(lost, range(5)),
        record(46_000, "n4", "notice", "calls-recovered", text, RECOVERED),
        record(46_001, "n2", "alarm", "calls-not-ended", unended, {"group": "blue", "legs": 3}),
        NIGHT[3],
    ]
    lines = render(night, "blue", clock)
    assert lines[-10:] == [
        "    calls: 42 legs of blue came back in 380 ms, 5 are lost (it was ringing: 4,",
        "      its codec cannot be recovered: 1)",
        "    calls: a call of 1000 to 2000 is lost: it was ringing",
        "    calls: a call of 1001 to 2000 is lost: it was ringing",
        "    calls: a call of 1002 to 2000 is lost: it was ringing",
        "    calls: 2 more are lost: `zcluster calls --lost` on n4",
        "    ALARM: n2: 3 legs of blue could not be ended, or its profiles not put to",
        "      rest",
        "",
        "03:12:50.000  n3: ALARM: blue: a stranger uses the address (aa:bb); not opening",
    ]
    assert max(map(len, lines)) <= WIDTH


def test_calls_of_another_group_or_an_earlier_epoch_stand_for_themselves() -> None:
    other = record(46_000, "n4", "notice", "calls-recovered", "7 of red", {"group": "red", "counter": 8})
    earlier = record(46_001, "n4", "notice", "calls-recovered", "9 of blue", {**RECOVERED, "counter": 7})
    before = record(1, "n4", "notice", "call-lost", "long ago", {"group": "blue"})
    lines = render([before, NIGHT[2], other, earlier], "", clock)
    assert lines[2] == "03:12:00.001  n4: long ago"
    assert lines[-2:] == ["03:12:46.000  n4: 7 of red", "03:12:46.001  n4: 9 of blue"]


def test_for_a_group_the_links_of_its_nodes_are_told() -> None:
    silent = [
        record(43_000, node, "warning", "link-silent", f"hb1: nobody is heard ({node})", {"link": "hb1"})
        for node in ("n2", "n4", "n5")
    ]
    heard = record(60_000, "n4", "notice", "link-heard", "hb1: heard again", {"link": "hb1"})
    lines = render([*silent, NIGHT[2], heard], "blue", clock)
    assert [line[14:] for line in lines if "hb1: " in line] == [
        "n2: hb1: nobody is heard (n2)",
        "n4: hb1: nobody is heard (n4)",
        "n4: hb1: heard again",
    ]
    assert len([line for line in render(silent, "blue", clock) if "hb1: " in line]) == 3
    assert len([line for line in render([*silent, NIGHT[2]], "", clock) if "hb1: " in line]) == 3


def test_no_word_of_another_node_steers_a_terminal() -> None:
    told = {
        "at_ms": 1,
        "node": "n2\x1b[2J",
        "level": "alarm",
        "code": "x",
        "text": "a\x1b]0;b\x07",
        "facts": {},
    }
    for group in ("", "blue\x1b"):
        assert all(line.isprintable() for line in render([told], group))
