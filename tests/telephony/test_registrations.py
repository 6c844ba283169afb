"""What a real switch was heard to say, and what it is told: events to records, records to injections and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.switch.as_the_switch_reads import read_packet
from tests.switch.recorded import received, sent
from tests.telephony.sofia_twin import destination
from zcluster.errors import BadMessage, CommandRefused
from zcluster.lab.switch_configuration import ProfilePlan, SwitchPlan, switch_files
from zcluster.streams.actions import GroupAdopted, Replicated
from zcluster.streams.tables import Entry
from zcluster.streams.units import BUCKETS, MARK_BYTES, REGISTRATIONS, Key, StreamId, body_of
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import ApiResponse
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, ChangeRecords, Run, StreamIsWhole, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    GroupWon,
    Happened,
    Moment,
    PeersChanged,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.registration_audit import FORGET_AFTER_MS
from zcluster.telephony.registration_contact import (
    contact_through,
    copied_contact,
    is_direct,
    transport_of,
)
from zcluster.telephony.registration_injection import put
from zcluster.telephony.registration_listing import is_listing, read_profile, read_rows
from zcluster.telephony.registration_placement import TURN_ROWS, WINDOW
from zcluster.telephony.registration_record import (
    LARGEST_BINDINGS,
    Binding,
    Place,
    Registration,
    key_of,
    pack,
    place_of,
    unpack,
)
from zcluster.telephony.registrations import UNLISTED_MS, Registrations
from zcluster.telephony.settings import GroupSettings, TelephonySettings

WALL_MS = 1_795_459_000_000
NOW = Moment(5_000, WALL_MS)
GROUPS = (
    GroupSettings("east", ("vip1",), ("10.77.0.100",)),
    GroupSettings("west", ("vip2",), ("10.77.0.200",)),
)
PLACE = Place("east", "vip1", "1000", "lab.test")
MINE = StreamId("a", 1, REGISTRATIONS)
THEIRS = StreamId("b", 1, REGISTRATIONS)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


@dataclass(slots=True)
class Table:
    """The records that a node knows, in one stream."""

    stream: StreamId = MINE
    records: dict[Key, bytes] = field(default_factory=dict)

    def entries(self, name: str) -> Iterator[Entry]:
        return iter([Entry(self.stream, key, record, False) for key, record in self.records.items()])

    def get(self, name: str, key: Key) -> Entry | None:
        record = self.records.get(key)
        return None if record is None else Entry(self.stream, key, record, False)

    def bucket(self, name: str, place: int) -> list[Entry]:
        return list(self.entries(name)) if place == 0 else []

    def put(self, place: Place, *bindings: Binding) -> Key:
        key = key_of(place)
        self.records[key] = bytes(MARK_BYTES) + pack(Registration(bindings))
        return key

    def registration(self, place: Place = PLACE) -> Registration:
        return unpack(body_of(self.records[key_of(place)]))


class Bench:
    """One node, with its actions performed as the shell does; orders are kept, and answered when told to."""

    def __init__(self, *held: str, stream: StreamId = MINE) -> None:
        self.table = Table(stream)
        self.part = Registrations(TelephonySettings("a", GROUPS), self.table)
        self.now = NOW
        self.runs: list[Run] = []
        self.said: list[Action] = []
        for group in held:
            self.do(GroupWon(group, 1))

    def do(self, event: Event) -> list[Action]:
        actions = self.part.handle(event, self.now)
        for action in actions:
            match action:
                case ChangeRecords(_, changes):
                    for key, body in changes:
                        self.table.records.pop(key, None)
                        if body is not None:
                            self.table.records[key] = bytes(MARK_BYTES) + body
                case Run():
                    self.runs.append(action)
                case _:
                    self.said.append(action)
        return actions

    def open(self) -> None:
        self.do(SwitchOpened("core", "1.11", "fsB", True))

    def pass_ms(self, ms: int) -> None:
        self.now = Moment(self.now.mono_ms + ms, self.now.wall_ms + ms)
        self.do(Tick())

    def settle(self) -> list[dict[str, str]]:
        """Answers everything and waits two seconds; what the switch was told of registrations meanwhile."""
        found = []
        for _ in range(50):
            taken, self.runs = self.runs, []
            for run in taken:
                if run.purpose.startswith("registrations:put:"):
                    found.append(injected(run))
                self.do(Answered(run.purpose, ""))
            self.pass_ms(40)
        return found


def injected(run: Run) -> dict[str, str]:
    packet, _ = read_packet(run.command.data)
    assert packet is not None
    return dict(packet.headers)


def events(name: str) -> list[SwitchEvent]:
    return [frame for frame in EslReader().feed(received(name)) if isinstance(frame, SwitchEvent)]


def answers(name: str) -> list[str]:
    return [frame.body for frame in EslReader().feed(received(name)) if isinstance(frame, ApiResponse)]


def binding(**changes: object) -> Binding:
    usual = Binding(
        "call-1",
        '"" <sip:1000@10.77.0.21:5062>',
        "phone",
        "Registered(UDP)",
        WALL_MS + 600_000,
        "10.77.0.21",
        "5072",
        "b",
    )
    return usual._replace(**changes)  # type: ignore[arg-type]


HIDDEN = binding(
    contact='"" <sip:1000@192.168.1.5:5060;fs_nat=yes;fs_path=sip%3A1000%40192.0.2.7%3A4000>',
    status="Registered(UDP-NAT)",
    network_ip="192.0.2.7",
)


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_recorded_register_refresh_and_unregister(form: str) -> None:
    bench = Bench("east")
    for name in ("register", "reregister"):
        for event in events(f"{name}.{form}"):
            bench.do(Happened(event))
        (found,) = bench.table.registration().bindings
        assert found.call_id == "reg-1000@10.77.0.21"
        assert found.contact == '"" <sip:1000@10.77.0.21:5062>'
        assert (found.network_ip, found.network_port, found.node) == ("10.77.0.21", "5072", "a")
        assert found.expires_ms == WALL_MS + (3600 + 60) * 1000
        assert is_direct(found)
    assert len(next(iter(bench.table.records.values()))) < 200
    for event in events(f"unregister.{form}"):
        bench.do(Happened(event))
    assert not bench.table.records


def test_a_recorded_expiry_ends_it() -> None:
    bench = Bench("east")
    register, expire = events("expire-flush.plain")
    bench.now = Moment(5_000, 1_795_459_004_308)
    bench.do(Happened(register))
    assert bench.table.registration(PLACE._replace(user="1001")).bindings
    bench.do(Happened(expire))
    assert not bench.table.records


def test_a_row_of_an_earlier_registration_ends_nothing() -> None:
    """A profile that wakes from standby drops rows that its phone has long since refreshed elsewhere."""
    bench = Bench("east")
    register, expire = events("expire-flush.plain")
    bench.now = Moment(5_000, 1_795_459_004_308 + 600_000)
    bench.do(Happened(register))
    bench.do(Happened(expire))
    assert bench.table.registration(PLACE._replace(user="1001")).bindings
    assert bench.part.counts["old row expired"] == 1


@pytest.mark.parametrize("name", ["register", "unregister", "expire-flush"])
def test_what_a_profile_of_others_says_is_not_passed_on(name: str) -> None:
    bench = Bench("west")
    assert not [each for event in events(f"{name}.plain") for each in bench.do(Happened(event))]


def test_an_injection_is_what_a_real_switch_took() -> None:
    """The recorded injection, but for what the switch never reads."""
    recorded = next(
        one.data
        for one in sent("registration-inject")
        if b"sofia::register" in one.data and b"Orig-" in one.data
    )
    packet, _ = read_packet(recorded)
    assert packet is not None
    event = SwitchEvent(
        {name.removeprefix("Orig-"): value for name, value in packet.headers if name.startswith("Orig-")}
    )
    bench = Bench("east")
    bench.do(Happened(SwitchEvent(dict(event.headers) | {"Event-Subclass": "sofia::register"})))
    found = bench.table.registration()
    command = put("vip1", PLACE, found.bindings[0], found.presence_hosts, "fsA", WALL_MS + 60_000)
    ours, _ = read_packet(command.data)
    assert ours is not None
    written = dict(ours.headers)
    for name, value in packet.headers:
        if name in written and name not in ("Orig-presence-hosts", "Orig-FreeSWITCH-Hostname"):
            assert written[name] == value
    assert written["Orig-mwi-account"] == "1000@lab.test"


def test_recorded_listings() -> None:
    texts = answers("api-registered")
    (row,) = [row for text in texts if is_listing(text) for row in read_rows(text)]
    assert (row.call_id, row.user, row.host) == ("reg-1000@10.77.0.21", "1000", "lab.test")
    assert row.contact == '"" <sip:1000@10.77.0.21:5062>'
    assert (row.status, row.left_s, row.network_port) == ("Registered(UDP)", 3654, "5072")
    (profile,) = [found for found in map(read_profile, texts) if found is not None]
    assert profile == (1, "10.77.0.100:5060")


def test_what_was_there_before_is_learned_and_then_the_stream_is_whole() -> None:
    bench = Bench("east")
    bench.open()
    assert StreamIsWhole(REGISTRATIONS) not in bench.said
    texts = answers("api-registered")
    bench.do(Answered("registrations:profile:vip1", next(text for text in texts if read_profile(text))))
    bench.do(Answered("registrations:rows:vip1", next(text for text in texts if is_listing(text))))
    bench.do(Tick())
    assert bench.table.registration().bindings[0].expires_ms == WALL_MS + 3654_000
    assert StreamIsWhole(REGISTRATIONS) in bench.said


def test_who_holds_nothing_is_whole_at_once_and_orders_nothing() -> None:
    bench = Bench(stream=THEIRS)
    bench.table.put(PLACE, binding())
    bench.open()
    assert StreamIsWhole(REGISTRATIONS) in bench.said
    assert not bench.settle()


def test_too_many_to_list_is_told() -> None:
    bench = Bench("east")
    bench.open()
    text = "<profile>\n<url>sip:x@10.0.0.1:5060</url>\n<registrations>50001</registrations>"
    bench.do(Answered("registrations:profile:vip1", text))
    assert [each.code for each in bench.said if isinstance(each, Tell)] == ["registrations-too-many"]
    bench.pass_ms(UNLISTED_MS - 1)
    assert StreamIsWhole(REGISTRATIONS) not in bench.said
    bench.pass_ms(1)
    assert StreamIsWhole(REGISTRATIONS) in bench.said


def test_a_direct_contact_and_one_through_the_holder() -> None:
    bench = Bench("west", stream=THEIRS)
    bench.table.put(PLACE, binding())
    hidden = PLACE._replace(user="1001")
    bench.table.put(hidden, HIDDEN)
    bench.open()
    told = {each["Orig-from-user"]: each for each in bench.settle()}
    assert {each["Orig-profile-name"] for each in told.values()} == {"vip2"}
    assert told["1000"]["Orig-contact"] == '"zcluster copy" <sip:1000@10.77.0.21:5062>'
    assert told["1001"]["Orig-contact"].endswith(";fs_path=sip%3A10.77.0.100%3A5060%3Blr>")
    assert destination(told["1001"]["Orig-contact"]) == ("sip:1001@lab.test", "sip:10.77.0.100:5060;lr")
    assert all(each["Orig-FreeSWITCH-Hostname"] != "fsB" for each in told.values())
    assert all(each["Orig-call-id"].startswith("zcluster:") for each in told.values())


def test_the_dialplans_leave_out_our_copies_by_their_name() -> None:
    """What we ship, what the laboratory's switch has, and what every copy bears."""
    shipped = (Path(__file__).parents[2] / "conf/freeswitch/zcluster/dialplan.xml").read_text()
    plan = SwitchPlan(
        "a", Path("/lab"), Path("/fs"), (ProfilePlan("vip1", "10.77.0.100"),), "10.0.0.1:5060", "p"
    )
    (laboratory,) = switch_files(plan).values()
    for text in (shipped, laboratory):
        (excluded,) = re.findall(r'"sip_exclude_contact=([^"]+)"', text)
        assert excluded in copied_contact(binding().contact)
        assert excluded in contact_through(PLACE, "10.77.0.100:5060")
        assert excluded not in binding().contact


def test_a_copy_that_ends_in_our_switch_changes_nothing() -> None:
    bench = Bench("west", stream=THEIRS)
    key = bench.table.put(PLACE, binding())
    headers = {"Event-Name": "CUSTOM", "Event-Subclass": "sofia::expire", "profile-name": "vip2"}
    headers |= {"user": "1000", "host": "lab.test", "call-id": "zcluster:0:east/vip1/1000@lab.test"}
    assert not bench.do(Happened(SwitchEvent(headers)))
    assert key in bench.table.records


def test_an_adopted_group_goes_into_its_own_profile_under_our_name_for_its_keep_alives() -> None:
    bench = Bench("east")
    bench.table.put(PLACE, HIDDEN)
    bench.open()
    bench.settle()
    bench.do(GroupAdopted(REGISTRATIONS, "east", 1, THEIRS, 1))
    (told,) = bench.settle()
    assert told["Orig-profile-name"] == "vip1"
    assert told["Orig-FreeSWITCH-Hostname"] == "fsB"
    assert told["Orig-call-id"] == "call-1"
    assert told["Orig-contact"] == HIDDEN.contact
    assert "fs_nat=yes" in told["Orig-contact"]


def test_a_removed_record_is_removed_from_the_switch() -> None:
    bench = Bench("west", stream=THEIRS)
    key = bench.table.put(PLACE, binding())
    bench.open()
    bench.settle()
    del bench.table.records[key]
    bench.do(Replicated(THEIRS, (key, None)))
    (told,) = bench.settle()
    assert told["Orig-Event-Subclass"] == "sofia::unregister"
    assert told["Orig-call-id"] == "zcluster:0:east/vip1/1000@lab.test"


def test_a_record_that_nobody_ended_is_forgotten_by_its_owner_alone() -> None:
    for held, left in (("east", 0), ("west", 1)):
        bench = Bench(held)
        bench.table.put(PLACE, binding(node="a"))
        bench.now = Moment(NOW.mono_ms, WALL_MS + 600_000 + FORGET_AFTER_MS)
        for _ in range(BUCKETS):
            bench.pass_ms(300)
        assert len(bench.table.records) == left


def test_the_switch_is_not_flooded() -> None:
    bench = Bench("west", stream=THEIRS)
    for number in range(2000):
        bench.table.put(PLACE._replace(user=str(number)), binding())
    bench.open()
    for _ in range(400):
        before = len(bench.runs)
        bench.pass_ms(40)
        assert len(bench.runs) - before <= TURN_ROWS + LARGEST_BINDINGS
    assert len([run for run in bench.runs if "put" in run.purpose]) <= WINDOW + LARGEST_BINDINGS
    for run in list(bench.runs):
        bench.do(Unanswered(run.purpose, "late"))
    before = len(bench.runs)
    bench.pass_ms(40)
    assert len(bench.runs) > before


def test_a_user_who_comes_with_a_new_call_id_is_asked_about() -> None:
    bench = Bench("east")
    bench.open()
    for _ in range(3):
        # Not before the walk after the opening is over: what we put there must be there.
        bench.settle()
    bench.table.put(PLACE, binding(node="a"))
    event = events("register.plain")[0]
    bench.do(Happened(event))
    (asked,) = [run for run in bench.runs if run.purpose.startswith("registrations:user:")]
    assert asked.command.data == b"api sofia xmlstatus profile vip1 user 1000@lab.test\n\n"
    listing = next(text for text in answers("api-registered") if is_listing(text))
    bench.do(Answered(asked.purpose, listing))
    assert [each.call_id for each in bench.table.registration().bindings] == ["reg-1000@10.77.0.21"]


def test_a_connection_is_marked_when_its_holder_is_gone() -> None:
    bench = Bench("east")
    cut = binding(status="Registered(TCP)", contact='"" <sip:1000@10.77.0.21:5062;transport=tcp>')
    bench.table.put(PLACE, cut)
    (row,) = bench.part.rows(NOW)
    assert (row.aor, row.transport, row.node, row.is_cut) == ("1000@lab.test", "tcp", "a", True)
    assert (row.expires_in_s, row.via) == (600, "10.77.0.100:5060")


@pytest.mark.parametrize(
    ("status", "contact", "transport", "direct"),
    [
        ("Registered(UDP)", '"" <sip:1@10.77.0.21:5062>', "udp", True),
        ("Registered(UDP)", '"a <sip:x@1.2.3.4>" <sip:10.77.0.21>', "udp", False),
        ("Registered(UDP)", '"" <sip:1@10.77.0.22:5062>', "udp", False),
        ("Registered(AUTO-NAT)", '"" <sip:1@10.77.0.21:5062;fs_nat=yes>', "udp", False),
        ("Registered(TLS)", '"" <sips:1@10.77.0.21:5062>', "tls", False),
        ("Registered(WSS-NAT)", '"" <sip:1@df7jal23ls0d.invalid;transport=wss>', "wss", False),
        ("Registered(UDP)", '"" <sip:1@10.77.0.21;transport=TCP>', "tcp", False),
    ],
)
def test_who_is_reached_directly(status: str, contact: str, transport: str, direct: bool) -> None:
    one = binding(status=status, contact=contact)
    assert (transport_of(one), is_direct(one)) == (transport, direct)


def test_a_phone_with_an_address_of_ipv6() -> None:
    one = binding(contact='"" <sip:1@[2001:db8::7]:5062>', network_ip="2001:db8::7")
    assert is_direct(one)
    contact = contact_through(PLACE, "[2001:db8::1]:5060")
    assert destination(contact) == ("sip:1000@lab.test", "sip:[2001:db8::1]:5060;lr")


@given(TEXT, TEXT, WORD, WORD)
def test_a_record_comes_back_as_it_was(contact: str, agent: str, user: str, host: str) -> None:
    place = Place("east", "vip1", user, host)
    kept = Registration((binding(contact=contact, agent=agent), binding(call_id=contact)), agent)
    assert unpack(pack(kept)) == kept
    try:
        assert place_of(key_of(place)) == place
    except BadMessage:
        assert len(f"{user}{host}".encode()) > 400


@given(st.binary(max_size=80))
def test_a_strangers_body_is_refused_or_read(body: bytes) -> None:
    try:
        unpack(body)
    except BadMessage:
        return


@given(TEXT, TEXT, WORD)
def test_an_injection_says_exactly_what_it_should_or_nothing(contact: str, agent: str, user: str) -> None:
    place = PLACE._replace(user=user)
    try:
        command = put("vip2", place, binding(contact=contact, agent=agent), "", "zcluster:b", WALL_MS)
    except CommandRefused:
        assert any(set(text) & set("\r\n\0") or text.startswith(" ") for text in (contact, agent, user))
        return
    packet, left = read_packet(command.data)
    assert packet is not None
    assert not left
    headers = dict(packet.headers)
    assert len(headers) == len(packet.headers) == 21
    assert headers["Orig-contact"] == contact
    assert (headers["Orig-user-agent"], headers["Orig-from-user"]) == (agent, user)


@given(st.dictionaries(st.sampled_from(["from-user", "from-host", "contact", "call-id", "expires"]), TEXT))
def test_whatever_an_event_says_nothing_is_raised(headers: dict[str, str]) -> None:
    bench = Bench("east")
    usual = dict(events("register.plain")[0].headers)
    bench.do(Happened(SwitchEvent(usual | headers)))
    bench.do(Replicated(THEIRS, (b"east\0vip1\0x", b"short", b"west", None)))
    bench.open()
    bench.do(PeersChanged(()))
    bench.settle()
