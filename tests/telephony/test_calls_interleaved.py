"""Takeovers in every order of things: what must hold is asserted while they run (see calls_world) and at the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.telephony.calls_world import World, answered_without_row, bridged, record_of, ringing
from tests.telephony.twin_switch import TwinSwitch
from zcluster.streams.units import record_key
from zcluster.telephony.call_record import CallRecord

BOTH = ("g1", "g2")


def their_calls() -> dict[str, dict[str, CallRecord]]:
    first: dict[str, CallRecord] = {}
    for place in range(3):
        first |= bridged(f"a{place}", f"b{place}", "sip1", "sip1b" if place == 1 else "sip1")
    cross = bridged("x1", "x2", "sip1", "sip2")
    first |= {"lone": record_of("lone"), "rang": ringing(), "bare": answered_without_row(), "x1": cross["x1"]}
    first["old"] = record_of("old", build="another")
    return {"g1": first, "g2": bridged("c", "d", "sip2") | {"x2": cross["x2"]}}


class Story(World):
    """What the script may do."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.withdrawn: set[str] = set()
        self.brought: set[str] = set()
        self.late = 0
        self.own = 0
        self.theirs = their_calls()

    def act(self, what: str, place: int) -> None:
        group = BOTH[place % 2]
        match what:
            case "win":
                self.win(group)
            case "open":
                self.open(group)
            case "lapse":
                self.lapse(group)
            case "lose":
                self.lose(group)
            case "work":
                for _ in range(place + 1):
                    self.work(place)
            case "events":
                self.tell_events()
            case "rows":
                self.tell_rows()
            case "wait":
                self.wait((1, 10, 100, 250, 600, 2100, 50, 500)[place])
            case "forget":
                self.lose_events()
            case "restart":
                self.kill_switch()
                self.open_switch()
            case "kill":
                self.kill_switch()
            case "disconnect":
                self.disconnect()
            case "connect":
                self.open_switch()
            case "pause":
                self.pause(("inbound", "outbound")[place % 2])
            case "resume":
                self.resume()
            case "lock":
                self.is_table_locked = place % 2 == 0
            case "late":
                self.late += 1
                uuid = f"late{self.late}"
                self.theirs["g1"][uuid] = record_of(uuid)
                self.give_calls({uuid: record_of(uuid)})
            case "withdraw":
                uuid = sorted(self.theirs["g1"])[place]
                self.withdrawn.add(uuid)
                self.send([record_key("g1", uuid.encode()), None])
            case "bye" if self.switch.sessions:
                uuids = sorted(self.switch.sessions)
                uuid = uuids[place % len(uuids)]
                self.withdrawn.add(uuid)
                self.switch.hang_up(uuid)
            case "call" if group in self.held and self.is_open:
                self.own += 1
                self.switch.begin(f"own{self.own}", {"g1": "sip1", "g2": "sip2"}[group], ringing=place > 4)
        self.brought |= self.switch.sessions.keys()

    def heal(self) -> None:
        self.resume()
        self.pause_raced = True
        self.is_table_locked = False
        self.open_switch()
        self.settle(20_000)
        self.brought |= self.switch.sessions.keys()


WORDS = (
    *("win", "open", "work", "work", "work", "work", "events", "rows", "wait", "wait"),
    *("lapse", "lose", "forget", "restart", "kill", "disconnect", "connect", "pause", "resume"),
    *("lock", "late", "withdraw", "bye", "call"),
)
SCRIPTS = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 7)), max_size=70)


@settings(max_examples=examples(100), deadline=None)
@given(SCRIPTS)
def test_each_call_comes_back_or_is_lost_once_whatever_happens(script: list[tuple[str, int]]) -> None:
    world = Story()
    world.open_switch()
    world.settle(100)
    world.claim_theirs(*BOTH)
    for group, records in world.theirs.items():
        world.give_calls(records, group)
    world.die()
    world.act("win", 0)
    for what, place in script:
        world.act(what, place)
    world.heal()
    lost = world.lost()
    switch: TwinSwitch = world.switch
    for group, profiles in (("g1", {"sip1", "sip1b"}), ("g2", {"sip2"})):
        living = {uuid for uuid, each in switch.sessions.items() if each.profile in profiles}
        if group not in world.held:
            assert not living, "what lives here of a group that is not ours"
            assert profiles <= switch.standby
            continue
        # What was won and not opened waits, with its rows in the table.
        is_open = not profiles & switch.standby
        assert living <= world.records(group)
        if is_open and world.calls._lanes[group]._is_open:
            assert world.records(group) == living, "a record of no call"
            for uuid in world.theirs[group].keys() - world.withdrawn:
                assert (uuid in living) != (uuid in lost), uuid
    words = {what for what, _ in script}
    if not words & {"lose", "bye", "withdraw", "restart", "kill", "pause"}:
        assert not switch.mute(), "half a bridge"
    foreign = [row.uuid for row in switch.rows if row.runtime_uuid != switch.core_uuid]
    if all(lane._is_open or lane.counter is None for lane in world.calls._lanes.values()):
        assert not foreign, "left in the table, to be recovered by accident"
