from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.texts import GOOD, GROUP, RING, SERVICE, accepted, one_fault, refused
from zcluster.config.check import warnings
from zcluster.config.configuration import Limit, SocketAddress, SwitchCondition, SwitchSettings
from zcluster.config.host import HostFacts, KeyFileState, host_facts
from zcluster.config.load import load, read_bytes
from zcluster.config.passwordfile import Ordinary

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "example.toml"
WELL = HostFacts(KeyFileState.GOOD, 0o600, real_time_permitted=True, tick_ms=1.0)
SWITCH = '[switch]\npassword-file = "/etc/zcluster/event-socket.password"\n'
CONDITION = (
    '[[switch.condition]]\nevent = "sofia::gateway_state"\nmatch = { Gateway = "trunk1", State = "DOWN" }\n'
)
LIMIT = '[[limit]]\nname = "outbound_gateway1"\nrate = 30\n'
STRICT = '[[limit]]\nname = "outbound_trunk"\nsessions = 100\n'
CALLING = GOOD + 'profiles = ["sip1"]\n'
WHOLE = CALLING + SWITCH + CONDITION + LIMIT
SECOND = GROUP.replace("sip1", "sip2").replace("101", "102")


def test_without_the_section_there_is_no_switch() -> None:
    configuration = accepted(GOOD)
    assert configuration.switch is None
    assert configuration.limits == ()
    assert configuration.group("sip1").profiles == ()
    assert configuration.link("ring1").data_port == 7702


def test_an_empty_section_means_the_switch_of_this_host_as_it_is_shipped() -> None:
    assert accepted(CALLING + "[switch]\n").switch == SwitchSettings(
        event_socket=SocketAddress(ip_address("127.0.0.1"), 8021),
        core_db=Path("/var/lib/freeswitch/db/core.db"),
        password_file=None,
        pulse_ms=50,
        pulse_limit_ms=500,
        limits_port=8022,
        batch_calls=50,
        conditions=(),
    )


def test_everything_that_can_be_said() -> None:
    text = CALLING.replace(RING, RING + "bus-port = 7801\n").replace(SERVICE, SERVICE + "data-port = 7900\n")
    text += (
        '[switch]\nevent-socket = "[::1]:8031"\npassword-file = "/etc/p"\ncore-db = "/db/core.db"\npulse-ms = 50\n'
        "pulse-limit-ms = 250\nlimits-port = 8032\nbatch-calls = 20\n"
    )
    text += CONDITION + '[[switch.condition]]\nevent = "SHUTDOWN"\n' + LIMIT
    configuration = accepted(text)
    switch = configuration.switch
    assert switch is not None
    assert switch.event_socket == (ip_address("::1"), 8031)
    assert str(switch.event_socket) == "[::1]:8031"
    assert (switch.password_file, switch.core_db) == (Path("/etc/p"), Path("/db/core.db"))
    assert (switch.pulse_ms, switch.pulse_limit_ms) == (50, 250)
    assert (switch.limits_port, switch.batch_calls) == (8032, 20)
    assert switch.conditions == (
        SwitchCondition("sofia::gateway_state", (("Gateway", "trunk1"), ("State", "DOWN"))),
        SwitchCondition("SHUTDOWN"),
    )
    assert configuration.limits == (Limit("outbound_gateway1", 30),)
    both = accepted(text + STRICT + '[[limit]]\nname = "sessions-per-second"\nrate = 90\n')
    assert both.limits[1:] == (Limit("outbound_trunk", None, 100), Limit("sessions-per-second", 90))
    assert configuration.link("ring1").data_port == 7802
    assert configuration.link("service").data_port == 7900


def test_the_example_has_a_switch_and_profiles() -> None:
    example = load(EXAMPLE)
    assert example.switch is not None
    assert str(example.switch.event_socket) == "127.0.0.1:8021"
    assert [group.profiles for group in example.groups] == [("sip1",), ("sip2",), ()]


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        (CALLING + '[switch]\nevent-socket = "127.0.0.1"', "switch.event-socket", "not an address with its port"),
        (CALLING + '[switch]\nevent-socket = "pbx1:8021"', "switch.event-socket", "not an address with its port"),
        (CALLING + '[switch]\nevent-socket = "127.0.0.1:0"', "switch.event-socket", "not an address"),
        (CALLING + '[switch]\nevent-socket = "127.0.0.1:65536"', "switch.event-socket", "not an address"),
        (CALLING + '[switch]\nevent-socket = "::1:8021"', "switch.event-socket", "not an address"),
        (CALLING + '[switch]\nevent-socket = "[127.0.0.1]:8021"', "switch.event-socket", "not an address"),
        (CALLING + "[switch]\nevent-socket = 8021", "switch.event-socket", "not a string"),
        (CALLING + '[switch]\npassword-file = "secret"', "switch.password-file", "relative path"),
        (CALLING + '[switch]\ncore-db = "core.db"', "switch.core-db", "relative path"),
        (CALLING + '[switch]\npassword = "ClueCon"', "switch.password", "not known"),
        (CALLING + "[switch]\npulse-ms = 5", "switch.pulse-ms", "out of range"),
        (CALLING + "[switch]\npulse-ms = 300", "switch.pulse-limit-ms", "hangs on a single one"),
        (CALLING + "[switch]\nlimits-port = 8021", "switch.limits-port", "the switch's own event socket"),
        (CALLING + "[switch]\nbatch-calls = 0", "switch.batch-calls", "out of range"),
        (CALLING + "[[switch]]", "switch[0]", "not a table"),
        (CALLING + "[switch.condition]\nevent = 'A'", "switch.condition", "several of these"),
        (CALLING + "[switch]\ncondition = [7]", "switch.condition[0]", "not a table"),
        (WHOLE.replace('event = "sofia::gateway_state"', ""), "switch.condition[0].event", "missing"),
        (WHOLE.replace('"sofia::gateway_state"', '"two words"'), "switch.condition[0].event", "not an event"),
        (
            WHOLE.replace("sofia::gateway_state", "zcluster::takeover"),
            "switch.condition[0].event",
            "told by zcluster itself",
        ),
        (WHOLE.replace('"DOWN"', "7"), "switch.condition[0].match", "cannot be the value of the header State"),
        (WHOLE.replace('"DOWN"', '"a\\nb"'), "switch.condition[0].match", "cannot be the value"),
        (WHOLE.replace("State =", '"St ate" ='), "switch.condition[0].match", "cannot be the name of a header"),
        (WHOLE.replace("{", "[{").replace("}", "}]"), "switch.condition[0].match", "not a table of headers"),
        (CALLING + SWITCH + CONDITION * 65, "switch.condition[64]", "there are 65"),
        (WHOLE.replace("outbound_gateway1", "gateway1"), "limit[0].name", "not what a dialplan limits"),
        (WHOLE.replace("outbound_gateway1", "out bound_1"), "limit[0].name", "not what a dialplan limits"),
        (WHOLE.replace("rate = 30", "rate = 0"), "limit[0].rate", "out of range"),
        (WHOLE.replace("rate = 30", ""), "limit[0]", "no number to keep to"),
        (WHOLE.replace("rate = 30", "sessions = 0"), "limit[0].sessions", "out of range"),
        (WHOLE.replace("rate = 30", "sessions = true"), "limit[0].sessions", "not a whole number"),
        (WHOLE.replace("way1", "way1#"), "limit[0].rate", "cannot be a variable"),
        (WHOLE + STRICT.replace("outbound_trunk", "sessions-per-second"), "limit[1].sessions", "the core's own rate"),
        (WHOLE + STRICT.replace("trunk", "gateway1"), "limit[1].name", "already limited by limit[0]"),
        (CALLING + SWITCH + "".join(LIMIT.replace("way1", str(n)) for n in range(257)), "limit[256]", "there are 257"),
        (WHOLE + LIMIT, "limit[1].name", "already limited by limit[0]"),
        (GOOD + 'profiles = ["sip1", "sip1"]', "group[0].profiles[1]", "already stands in group[0]"),
        (CALLING + SECOND + 'profiles = ["x", "sip1"]', "group[1].profiles[1]", "already stands in group[0]"),
        (GOOD + 'profiles = ["a b"]', "group[0].profiles[0]", "cannot be a name"),
        (GOOD.replace(RING, RING + "data-port = 7701\n"), "link[0].data-port", "7701 is the bus-port"),
        (GOOD.replace(RING, RING + "data-port = 7700\n"), "link[0].data-port", "7701 is the bus-port"),
        (GOOD.replace(RING, RING + "data-port = 65535\n"), "link[0].data-port", "there is none"),
        (WHOLE.replace(RING, RING + "bus-port = 65534\n"), "link[0].data-port", "there is none"),
    ],
)  # fmt: skip
def test_each_fault_names_its_key_and_a_mend(text: str, key: str, wrong: str) -> None:
    fault = one_fault(text)
    assert fault.key == key
    assert wrong in fault.wrong
    assert fault.mend
    assert fault.line


def test_a_port_that_nothing_listens_on_is_no_fault() -> None:
    assert accepted(GOOD.replace(RING, RING + "bus-port = 65535\n")).switch is None


def test_one_fault_of_the_switch_hides_no_other() -> None:
    text = (
        GOOD.replace("9.101/24", "9.301/24")
        + 'profiles = ["sip1"]\n'
        + SECOND
        + 'profiles = ["sip1"]\n[switch]\npulse-ms = "often"\nlimits-port = 8021\n'
        + CONDITION.replace("sofia::gateway_state", "no event")
        + LIMIT.replace("30", "-1")
        + LIMIT
    )
    assert [fault.key for fault in refused(text)] == [
        "group[0].addresses[0]",
        "group[1].profiles[0]",
        "switch.pulse-ms",
        "switch.limits-port",
        "switch.condition[0].event",
        "limit[0].rate",
        "limit[1].name",
    ]


_values = st.booleans() | st.integers(-5, 70_000) | st.text("aZ:_.[]{} \\/1\n", max_size=12)
_KEYS = [
    "event-socket",
    "password-file",
    "core-db",
    "pulse-ms",
    "limits-port",
    "event",
    "match",
    "name",
    "rate",
    "sessions",
]
_table = st.dictionaries(
    st.sampled_from(_KEYS), _values | st.dictionaries(st.text("aZ: \n", max_size=4), _values, max_size=3)
)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@given(switch=_table, condition=_table, limit=_table)
def test_any_table_is_accepted_or_refused_with_words(
    switch: dict[str, object], condition: dict[str, object], limit: dict[str, object]
) -> None:
    tables = (("[switch]", switch), ("[[switch.condition]]", condition), ("[[limit]]", limit))
    text = CALLING + "".join(
        f"{header}\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
        for header, table in tables
    )
    reading = read_bytes(text.encode())
    assert (reading.configuration is None) == bool(reading.faults)
    for fault in reading.faults:
        assert fault.wrong
        assert fault.mend
        assert fault.line


def test_a_switch_with_its_own_password_has_no_warning() -> None:
    assert warnings(accepted(WHOLE), WELL) == ()


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        (CALLING, "group[0].profiles", "their calls do not"),
        (GOOD + LIMIT, "limit[0]", "nobody counts"),
        (GOOD + SWITCH, "switch", "no group names a profile"),
        (WHOLE + SECOND + STRICT.replace("100", "1"), "limit[1].sessions", "cannot be parted among 2 groups"),
        (WHOLE.replace("30", "1") + SECOND, "limit[0].rate", "cannot be parted among 2 groups"),
        (CALLING + "[switch]\n", "switch.password-file", "that every FreeSWITCH is shipped with"),
        (
            CALLING + SWITCH + 'event-socket = "10.77.9.9:8021"',
            "switch.event-socket",
            "would watch one switch",
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
        (KeyFileState.MISSING, None, "there is no password"),
        (KeyFileState.EXPOSED, 0o644, "(mode 0644)"),
        (KeyFileState.UNREADABLE, 0o600, "cannot be read by this user"),
        (KeyFileState.NOT_A_KEY, 0o600, "holds no password"),
    ],
)
def test_a_password_that_cannot_be_used_is_a_danger(
    state: KeyFileState, mode: int | None, wrong: str
) -> None:
    facts = replace(WELL, password_state=state, password_mode=mode)
    (warning,) = warnings(accepted(WHOLE), facts)
    assert warning.key == "switch.password-file"
    if state in (KeyFileState.MISSING, KeyFileState.NOT_A_KEY):
        assert "`zcluster_password` of vars.xml" in warning.mend
        assert "conf/freeswitch/zcluster/event_socket.xml" in warning.mend
    assert wrong in warning.wrong


def test_what_stands_in_the_password_file_of_this_host(tmp_path: Path) -> None:
    file = tmp_path / "password"
    configuration = accepted(WHOLE.replace("/etc/zcluster/event-socket.password", str(file)))
    assert host_facts(accepted(GOOD)).password_state is KeyFileState.GOOD
    assert host_facts(configuration).password_state is KeyFileState.MISSING
    file.write_text("")
    file.chmod(0o600)
    assert host_facts(configuration).password_state is KeyFileState.NOT_A_KEY
    file.write_text("secret\n")
    assert host_facts(configuration).password_state is KeyFileState.GOOD
    file.chmod(0o640)
    assert host_facts(configuration).password_state is KeyFileState.EXPOSED


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("Example", Ordinary.NAME),
        ("secret", Ordinary.SHORT),
        ("0f31c2b7a9", None),
    ],
)
def test_a_password_that_is_an_ordinary_word_is_a_danger(
    password: str, why: Ordinary | None, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(f"{password}\n")
    text = WHOLE.replace("/etc/zcluster/event-socket.password", str(file))
    configuration = accepted(text.replace(f'name = "{accepted(text).name}"', 'name = "example"', 1))
    assert host_facts(configuration).password_ordinary is why
    found = warnings(configuration, replace(WELL, password_ordinary=why))
    assert [fault.key for fault in found] == (["switch.password-file"] if why else [])
    for fault in found:
        assert "choose a longer one" in fault.mend
        assert password not in f"{fault.wrong} {fault.mend}".replace(str(file), "")
