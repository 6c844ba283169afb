"""Beats for the tests of the wire: one that is ordinary, and a strategy for every one that is allowed."""

from __future__ import annotations

from hypothesis import strategies as st

from zcluster.control.document import Acceptance, Document, Freeze, Pin, Proposal
from zcluster.control.frozen import LARGEST_REASON_BYTES, LARGEST_WHO_BYTES
from zcluster.control.messages import Ack, Ask, Beat, Claim, FoundingView, Grant, Release, Report
from zcluster.control.units import Ballot, NodeState, Pair

WALL_MS = 1_790_000_000_000

ORDINARY_REPORT = Report(
    cluster_id="c1",
    generation=3,
    state=NodeState.MASTER,
    claims=(Claim("g1", 17, True),),
    grants=(Grant("g1", 17, "a", True), Grant("g2", 4, "b", False)),
    releases=(Release("g3", 9, "b", "health"),),
    asks=(Ask("ask-1", "g1", ""),),
    unready=("no service reference",),
    macs=("52:54:00:12:34:56", "00:00:00:00:00:01"),
    founding=FoundingView("c1", ("a", "b", "c"), True),
    document=Document("c1", 3, ("a", "b", "c")),
    version="0.1.0",
    settings_digest="9f86d081",
    floor=0,
    ceiling=1000,
    stored_generation=3,
)
ORDINARY = Beat(
    "a",
    WALL_MS,
    41,
    {"b": Ack(WALL_MS - 5, 40, (Pair("g2", 4),)), "c": Ack(WALL_MS + 5, 0, ())},
    ORDINARY_REPORT,
)

names = st.text("abcXYZ019._-", min_size=1, max_size=64)
names_or_empty = st.just("") | names
cluster_ids = names_or_empty | st.just("n" * 64 + "-" + "f" * 14)
counters = st.integers(0, 2**48)
flags = st.booleans()
printable = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=64)
pairs = st.lists(st.builds(Pair, names, counters), max_size=4).map(tuple)
rosters = st.lists(names, max_size=6, unique=True).map(tuple)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
states = st.sampled_from([state for state in NodeState if state is not NodeState.UNKNOWN])

letters = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
freezes = st.builds(
    Freeze,
    st.text(letters, max_size=LARGEST_REASON_BYTES // 4),
    st.text(letters, max_size=LARGEST_WHO_BYTES // 4),
    names,
    st.integers(0, 2**53 - 1),
    st.integers(0, 2**53 - 1),
    st.lists(st.builds(Pin, names, names), max_size=3, unique_by=lambda pin: pin.group).map(tuple),
    flags,
)
documents = st.builds(
    Document,
    cluster_ids,
    counters,
    rosters,
    forgotten=rosters,
    pins=st.lists(st.builds(Pin, names, names), max_size=2).map(tuple),
    is_forced=flags,
    freeze=st.none() | freezes,
)
ballots = st.builds(Ballot, counters, names_or_empty)

reports = st.builds(
    Report,
    cluster_id=cluster_ids,
    generation=counters,
    state=states,
    claims=st.lists(st.builds(Claim, names, counters, flags), max_size=4).map(tuple),
    grants=st.lists(st.builds(Grant, names, counters, names, flags), max_size=4).map(tuple),
    releases=st.lists(st.builds(Release, names, counters, names_or_empty, names_or_empty), max_size=3).map(
        tuple
    ),
    asks=st.lists(st.builds(Ask, names, names, names_or_empty), max_size=3).map(tuple),
    unready=st.lists(printable, max_size=2).map(lambda found: tuple(each[:32] for each in found)),
    macs=st.lists(macs, max_size=4).map(tuple),
    founding=st.none() | st.builds(FoundingView, cluster_ids, rosters, flags),
    document=st.none() | documents,
    version=printable,
    settings_digest=names_or_empty,
    floor=counters,
    ceiling=counters,
    stored_generation=counters,
    proposal=st.none() | st.builds(Proposal, counters, ballots, st.none()),
    acceptance=st.none() | st.builds(Acceptance, counters, ballots, ballots, st.none()),
    is_amnesiac=flags,
    asks_long=flags,
    continues=st.integers(0, 2**53 - 1),
    build=printable.map(lambda found: found[:32]),
    switchname=printable,
    minor=counters,
)
beats = st.builds(
    Beat,
    node=names,
    incarnation=st.integers(0, 2**53 - 1),
    sequence=st.integers(0, 2**40 - 1),
    acks=st.dictionaries(
        names, st.builds(Ack, st.integers(0, 2**53 - 1), st.integers(0, 2**40 - 1), pairs), max_size=4
    ),
    report=reports,
)
