"""Voter, lease and designation beside dumb twins: the same answers from code too simple to be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zcluster.control.designation import Candidate, designate, matches, successor
from zcluster.control.document import GroupSettings, Settings
from zcluster.control.lease import SENT_BEATS_KEPT, Lease, SentBeats
from zcluster.control.messages import Claim
from zcluster.control.timing import PRESETS, Timing
from zcluster.control.units import majority
from zcluster.control.voter import Vote, Voter

GRANT_MS = 170
NODES = ("n1", "n2", "n3")
GROUPS = ("g", "h")


# ---- the voter


@dataclass(frozen=True)
class Heard:
    """One beat of (holder, incarnation) that lists `pairs`, processed `later_ms` after the one before."""

    later_ms: int
    holder: str
    incarnation: int
    pairs: tuple[tuple[str, int], ...]
    hears_us: bool


@dataclass
class DumbVoter:
    """Keeps the whole history of a voter's grants and reads every answer off it."""

    abstain_until_ms: int
    floor: int
    ceiling: int
    history: list[tuple[str, int, str, int, int]] = field(default_factory=list)
    released: set[tuple[str, int, str, int]] = field(default_factory=set)

    def _last(self, group: str) -> tuple[str, int, str, int, int] | None:
        own = [grant for grant in self.history if grant[0] == group]
        return own[-1] if own else None

    def binds(self, group: str, now_ms: int) -> bool:
        last = self._last(group)
        return last is not None and last[:4] not in self.released and now_ms - last[4] <= GRANT_MS

    def hear(self, heard: Heard, group: str, counter: int, now_ms: int) -> bool:
        name = (group, counter, heard.holder, heard.incarnation)
        last = self._last(group)
        if last is not None and last[:4] == name:
            if name in self.released:
                return False
        else:
            if any((g[1], g[2]) >= (counter, heard.holder) for g in self.history if g[0] == group):
                return False
            is_same_life = last is not None and last[2:4] == name[2:4]
            if self.binds(group, now_ms) and not is_same_life:
                return False
            if (
                now_ms < self.abstain_until_ms
                or not heard.hears_us
                or not self.floor < counter <= self.ceiling
            ):
                return False
        self.history.append((*name, now_ms))
        return True

    def omit(self, heard: Heard) -> None:
        listed = {group for group, _ in heard.pairs}
        for group in GROUPS:
            last = self._last(group)
            if last is not None and last[2:4] == (heard.holder, heard.incarnation) and group not in listed:
                self.released.add(last[:4])


beats = st.builds(
    Heard,
    later_ms=st.sampled_from([0, 1, 20, 60, 169, 170, 171, 172, 300]),
    holder=st.sampled_from(NODES),
    incarnation=st.integers(1, 2),
    pairs=st.lists(
        st.tuples(st.sampled_from(GROUPS), st.integers(1, 9)), max_size=2, unique_by=lambda p: p[0]
    ).map(tuple),
    hears_us=st.booleans() | st.just(True),
)


@settings(max_examples=examples(400))
@given(st.lists(beats, max_size=25), st.integers(0, 400), st.integers(0, 3), st.integers(0, 6))
def test_the_voter_answers_like_its_twin(
    heard: list[Heard], abstain_until_ms: int, floor: int, reserve: int
) -> None:
    voter = Voter(GRANT_MS, abstain_until_ms, floor)
    voter.ceiling = floor + reserve
    twin = DumbVoter(abstain_until_ms, floor, floor + reserve)
    now_ms = 0
    for beat in heard:
        now_ms += beat.later_ms
        claims = tuple(Claim(group, counter, False) for group, counter in beat.pairs)
        voter.omit(beat.holder, beat.incarnation, claims, now_ms)
        twin.omit(beat)
        for group, counter in beat.pairs:
            vote = voter.hear(beat.holder, beat.incarnation, group, counter, now_ms, beat.hears_us)
            assert (vote is not Vote.REFUSED) == twin.hear(beat, group, counter, now_ms)
        for group in GROUPS:
            assert voter.is_free(group, now_ms) != twin.binds(group, now_ms)
        shown = {grant.group: grant.is_live for grant in voter.grants(now_ms)}
        assert shown == {group: twin.binds(group, now_ms) for group in GROUPS if twin._last(group)}


@settings(max_examples=examples(200))
@given(st.lists(beats, max_size=25))
def test_a_voter_never_binds_itself_to_two(heard: list[Heard]) -> None:
    """What S1 rests on: within one grant of a vote for one life, no other life gets a vote unless it released."""
    voter = Voter(GRANT_MS, 0, 0)
    voter.ceiling = 100
    granted: dict[str, tuple[str, int, int]] = {}
    highest: dict[str, tuple[int, str]] = {}
    now_ms = 0
    for beat in heard:
        now_ms += beat.later_ms
        voter.omit(beat.holder, beat.incarnation, tuple(Claim(g, c, False) for g, c in beat.pairs), now_ms)
        for group, last in list(granted.items()):
            if last[:2] == (beat.holder, beat.incarnation) and group not in dict(beat.pairs):
                del granted[group]
        for group, counter in beat.pairs:
            if voter.hear(beat.holder, beat.incarnation, group, counter, now_ms) is Vote.REFUSED:
                continue
            last = granted.get(group, (beat.holder, beat.incarnation, -GRANT_MS - 1))
            assert last[:2] == (beat.holder, beat.incarnation) or now_ms - last[2] > GRANT_MS
            assert (counter, beat.holder) >= highest.get(group, (0, ""))
            granted[group] = (beat.holder, beat.incarnation, now_ms)
            highest[group] = (counter, beat.holder)


# ---- the lease


@given(
    roster=st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=7, unique=True),
    first=st.integers(1, 20),
    acks=st.lists(st.tuples(st.sampled_from("abcdefgxy"), st.integers(1, 60)), max_size=60),
)
def test_the_lease_rests_on_the_newest_beat_that_a_majority_acknowledged(
    roster: list[str], first: int, acks: list[tuple[str, int]]
) -> None:
    lease = Lease(first)
    quorum = majority(len(roster))
    for voter, sequence in acks:
        lease.acknowledge(voter, sequence)
    counted = [(voter, sequence) for voter, sequence in acks if sequence >= first and voter in roster]

    def is_acknowledged(beat: int) -> bool:
        return len({voter for voter, sequence in counted if sequence >= beat}) >= quorum

    newest = max((beat for beat in range(first, 61) if is_acknowledged(beat)), default=0)
    assert lease.newest_majority(set(roster), quorum) == newest
    assert lease.is_granted(set(roster), quorum) == (newest > 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60)), max_size=60))
def test_the_lease_never_goes_back(acks: list[tuple[str, int]]) -> None:
    lease = Lease(5)
    before = 0
    for voter, sequence in acks:
        lease.acknowledge(voter, sequence)
        newest = lease.newest_majority({"a", "b", "c"}, 2)
        assert newest >= before
        before = newest


@given(st.integers(1, 2000), st.integers(1, 40))
def test_sent_beats_are_kept_for_longer_than_any_lease(count: int, interval_ms: int) -> None:
    sent = SentBeats()
    for sequence in range(1, count + 1):
        sent.record(sequence, sequence * interval_ms)
    for sequence in range(max(1, count - SENT_BEATS_KEPT + 1), count + 1):
        assert sent.sent_ms(sequence) == sequence * interval_ms
    assert sent.sent_ms(count + 1) is None
    assert sent.sent_ms(count - SENT_BEATS_KEPT) is None
    for timing in PRESETS.values():
        assert SENT_BEATS_KEPT * timing.beat_ms > 2 * timing.lease_ms


# ---- designation

names = st.lists(st.integers(1, 8), min_size=0, max_size=7, unique=True)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Settings, list[Candidate], dict[str, str]]:
    groups = tuple(
        GroupSettings(
            f"g{number}",
            (f"10.0.0.{number}",),
            "service",
            priority=draw(st.integers(1, 3)),
            allowed=draw(st.sampled_from([("*",), ("n[1-4]",), ("n1", "n2")])),
            preferred=draw(st.sampled_from([(), ("n3",), ("n[56]",)])),
        )
        for number in range(1, draw(st.integers(1, 4)) + 1)
    )
    held = draw(st.sets(st.sampled_from([group.name for group in groups])))
    candidates = [
        Candidate(f"n{number}", draw(st.integers(1, 5)), draw(st.booleans()), ()) for number in draw(names)
    ]
    for group in sorted(held):
        if candidates:
            at = draw(st.integers(0, len(candidates) - 1))
            candidates[at] = candidates[at]._replace(holds=(*candidates[at].holds, group))
    vacant = {
        group.name: draw(st.sampled_from(["", "n1", "n3"])) for group in groups if group.name not in held
    }
    file = Settings(
        "c",
        7,
        PRESETS["standard"],
        groups,
        ("red",),
        ("service",),
        never_master=draw(st.sampled_from([(), ("n2",)])),
        several_groups=draw(st.booleans()),
    )
    return file, candidates, vacant


def fits(file: Settings, candidate: Candidate, group: GroupSettings) -> bool:
    """Written out without patterns, for the few that the strategy draws."""
    allowed = {
        ("*",): True,
        ("n[1-4]",): candidate.name in ("n1", "n2", "n3", "n4"),
        ("n1", "n2"): candidate.name in ("n1", "n2"),
    }[group.allowed]
    return candidate.is_ready and allowed and candidate.name not in file.never_master


@settings(max_examples=examples(400))
@given(situations())
def test_designation_names_exactly_those_who_may(
    situation: tuple[Settings, list[Candidate], dict[str, str]],
) -> None:
    file, candidates, vacant = situation
    plan = designate(file, candidates, vacant)
    for group in file.groups:
        if group.name not in vacant:
            assert group.name not in plan.claimants
            continue
        may = {c.name for c in candidates if fits(file, c, group) and (not c.holds or file.several_groups)}
        order = plan.claimants[group.name]
        assert len(order) == len(set(order))
        assert set(order) == may
        idle = {c.name for c in candidates if not c.holds}
        assert [name in idle for name in order] == sorted((name in idle for name in order), reverse=True)


@given(situations(), st.data())
def test_builds_change_an_order_only_where_it_is_free(
    situation: tuple[Settings, list[Candidate], dict[str, str]], data: st.DataObject
) -> None:
    file, candidates, vacant = situation
    marked = [c._replace(build=data.draw(st.sampled_from(["", "x", "y"]))) for c in candidates]
    plain = designate(file, candidates, vacant)
    assert designate(file, marked, vacant) == plain
    assert designate(file, candidates, vacant, (), dict.fromkeys(vacant, "x")) == plain
    first = max((g for g in file.groups if g.name in vacant), key=lambda g: g.priority, default=None)
    if first is None:
        return
    fresh = designate(file, marked, {first.name: ""}, (), {first.name: "x"}).claimants[first.name]
    build = {c.name: c.build for c in marked}
    idle = [name for name in fresh if name in {c.name for c in candidates if not c.holds}]
    is_other = {c.name: not matches(c.name, first.preferred) for c in candidates}
    assert idle == sorted(idle, key=lambda name: (is_other[name], build[name] != "x"))


@settings(max_examples=examples(400))
@given(situations())
def test_designation_wants_one_group_a_slave_and_favours_priority(
    situation: tuple[Settings, list[Candidate], dict[str, str]],
) -> None:
    file, candidates, vacant = situation
    plan = designate(file, candidates, vacant)
    idle = {c.name for c in candidates if not c.holds}
    meant = [name for name in plan.wanted.values() if name in idle]
    assert file.several_groups or len(meant) == len(set(meant))
    for group in file.groups:
        if group.name not in vacant or group.name in plan.wanted:
            continue
        earlier = {
            plan.wanted[other.name]
            for other in file.groups
            if other.name in plan.wanted and (-other.priority, other.name) < (-group.priority, group.name)
        }
        could = {c.name for c in candidates if fits(file, c, group) and not c.holds}
        assert could <= earlier, f"{group.name} goes without although somebody is left for it"


@given(situations(), st.randoms(use_true_random=False))
def test_designation_is_the_same_for_everybody(
    situation: tuple[Settings, list[Candidate], dict[str, str]], random: Random
) -> None:
    file, candidates, vacant = situation
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert designate(file, shuffled, vacant) == designate(file, candidates, vacant)


@given(situations())
def test_a_successor_is_never_the_one_who_leaves(
    situation: tuple[Settings, list[Candidate], dict[str, str]],
) -> None:
    file, candidates, _ = situation
    for group in file.groups:
        for leaver in (c.name for c in candidates):
            named = successor(file, group.name, candidates, leaver)
            assert named != leaver
            others = [c for c in candidates if c.name != leaver and fits(file, c, group)]
            assert (named == "") == (not [c for c in others if not c.holds or file.several_groups])


# ---- the arithmetic between the two


@given(
    timing=st.sampled_from(list(PRESETS.values())),
    holder_rate=st.floats(0.998, 1.002),
    voter_rate=st.floats(0.998, 1.002),
    sent=st.floats(0, 1e6),
    flight=st.floats(0, 1000),
)
def test_a_grant_always_outlives_the_lease_that_rests_on_it(
    timing: Timing, holder_rate: float, voter_rate: float, sent: float, flight: float
) -> None:
    """In true time: the holder arms when it sends, the voter binds itself when it hears; clocks differ in rate and
    are read in whole milliseconds, rounded down.
    """
    lease_ends = sent + timing.lease_ms / holder_rate
    heard_ms = int((sent + flight) * voter_rate)
    free = (heard_ms + timing.grant_ms + 1) / voter_rate
    assert free > lease_ends
