from __future__ import annotations

import hashlib
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.texts import CLUSTER, GOOD, GROUP, RING, SERVICE, accepted, one_fault, refused
from zcluster.config.configuration import LinkRole
from zcluster.config.load import FILE_LIMIT_BYTES, load, read, read_bytes
from zcluster.control.timing import PRESETS
from zcluster.errors import ConfigurationError

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "example.toml"


def test_the_example_is_a_cluster_of_five_with_three_groups() -> None:
    example = load(EXAMPLE)
    assert (example.name, example.expected_nodes, example.preset) == ("pbx", 5, "standard")
    assert example.timing == PRESETS["standard"]
    assert [link.name for link in example.cluster_links] == ["ring1", "ring2"]
    assert [link.name for link in example.service_links] == ["service"]
    assert [group.name for group in example.groups] == ["sip1", "sip2", "media"]
    sip1 = example.group("sip1")
    assert sip1.addresses == (ip_interface("10.77.9.101/24"), ip_interface("fd77:9::101/64"))
    assert (sip1.network, sip1.interface, sip1.link) == (ip_network("10.77.9.0/24"), None, "service")
    assert (sip1.priority, sip1.allowed, sip1.preferred) == (300, ("*",), ())
    assert example.digest == hashlib.sha256(EXAMPLE.read_bytes()).hexdigest()


def test_what_is_left_out_has_a_value() -> None:
    configuration = accepted(GOOD)
    assert configuration.key_file == Path("/etc/zcluster/cluster.key")
    assert configuration.state_dir == Path("/var/lib/zcluster")
    assert configuration.control_socket == Path("/run/zcluster/control.sock")
    assert (configuration.several_groups_per_node, configuration.failback) == (False, False)
    ring = configuration.link("ring1")
    assert (ring.role, ring.multicast) == (LinkRole.CLUSTER, ip_address("239.77.1.1"))
    assert (ring.beacon_port, ring.bus_port, ring.ttl, ring.reference) == (7700, 7701, 1, ())
    assert configuration.group("sip1").link == "service"


def test_an_interface_may_be_given_by_name() -> None:
    group = accepted(GOOD + 'interface = "eth1"').group("sip1")
    assert (group.network, group.interface, group.link) == (None, "eth1", "service")


def test_unknown_names_are_a_key_error() -> None:
    configuration = accepted(GOOD)
    with pytest.raises(KeyError):
        configuration.link("ring7")
    with pytest.raises(KeyError):
        configuration.group("sip7")


FAULTS = [
    # in [cluster]
    (GOOD.replace('name = "pbx"', ""), "cluster.name", "missing", "add a line"),
    (GOOD.replace('"pbx"', '"p b x"'), "cluster.name", "cannot be a name", "letter or digit"),
    (GOOD.replace('"pbx"', "7"), "cluster.name", "not a string", "quotes"),
    (GOOD.replace("= 3", '= "3"'), "cluster.expected-nodes", "not a whole number", "without quotes"),
    (GOOD.replace("= 3", "= 3.5"), "cluster.expected-nodes", "not a whole number", "without"),
    (GOOD.replace("= 3", "= true"), "cluster.expected-nodes", "not a whole number", "without quotes"),
    (GOOD.replace("= 3", "= 0"), "cluster.expected-nodes", "out of range", "at least 1"),
    (GOOD.replace("= 3", "= 65"), "cluster.expected-nodes", "out of range", "at most 64"),
    (GOOD.replace("expected-nodes = 3", "expected-nodes = 3\nexpected_node = 3"), "cluster.expected_node",
     "not known", 'did you mean "expected-nodes"?'),
    (GOOD.replace("= 3", "= 3\nzzz = 1"), "cluster.zzz", "not known", "the keys here are name, expected-nodes"),
    (GOOD.replace("= 3", '= 3\npreset = "fats"'), "cluster.preset", "'fats' is not known", 'did you mean "fast"?'),
    (GOOD.replace("= 3", '= 3\npreset = "?"'), "cluster.preset", "not known", 'one of "standard", "fast", "patient"'),
    (GOOD.replace("= 3", '= 3\nfailback = "no"'), "cluster.failback", "not true or false", "without quotes"),
    (GOOD.replace("= 3", '= 3\nkey-file = "a.key"'), "cluster.key-file", "relative path", "from the root"),
    (GOOD.replace("= 3", "= 3\nstate-dir = 4"), "cluster.state-dir", "not a string", "quotes"),
    (GOOD.replace("= 3", '= 3\nnever-master = "a"'), "cluster.never-master", "not a list", "brackets"),
    (GOOD.replace("= 3", '= 3\nnever-master = ["a", "b c"]'), "cluster.never-master[1]", "not a pattern", "pbx-*"),
    # in [timing]
    (GOOD + "[timing]\nbeat-ms = 0", "timing.beat-ms", "out of range", "at least 1"),
    (GOOD + "[timing]\nbeats-ms = 5", "timing.beats-ms", "not known", 'did you mean "beat-ms"?'),
    (GOOD + "[timing]\ntimer-b-ms = -2", "timer-b-ms", "out of range", "at least -1"),
    (GOOD + "[timing]\ngrant-ms = 150", "timing.grant-ms", "two nodes could hold one address", "at least 170"),
    (GOOD + "[timing]\nmargin-ms = 5", "timing.margin-ms", "covers neither", "at least 7"),
    # in [[link]]
    (GOOD.replace('network = "10.77.1.0/24"', ""), "link[0].network", "missing", "10.77.1.0/24"),
    (GOOD.replace("10.77.1.0/24", "10.77.1.5/24"), "link[0].network", "not a network", '"10.77.1.0/24"'),
    (GOOD.replace("10.77.1.0/24", "10.77.1.0"), "link[0].network", "not a network", '"10.77.1.0/24"'),
    (GOOD.replace("10.77.1.0/24", "ring"), "link[0].network", "not a network", "CIDR"),
    (GOOD.replace('"10.77.1.0/24"', "10"), "link[0].network", "not a string", "quotes"),
    (GOOD.replace("239.77.1.1", "10.77.1.1"), "link[0].multicast", "not a multicast", "239.0.0.0/8"),
    (GOOD.replace("239.77.1.1", "here"), "link[0].multicast", "not an address", "without a prefix"),
    (GOOD.replace("239.77.1.1", "ff15::77"), "link[0].multicast", "IPv6 on a network of IPv4", "own family"),
    (GOOD.replace('"service"\nnet', '"servce"\nnet'), "link[1].role", "not known", 'did you mean "service"?'),
    (GOOD + RING.replace("77.1", "77.8"), "link[2].name",
     "taken by link[0]", "own name"),
    (CLUSTER + RING + RING.replace("ring1", "ring2") + SERVICE + GROUP, "link[1].network", "overlaps", "of its own"),
    (GOOD.replace(SERVICE, SERVICE + "beacon-port = 70000"), "link[1].beacon-port", "range", "at most 65535"),
    (GOOD.replace(SERVICE, SERVICE + "ttl = 0"), "link[1].ttl", "range", "at least 1"),
    (GOOD.replace(SERVICE, SERVICE + 'reference = ["10.77.8.1"]'), "link[1].reference[0]", "not in", "this very"),
    (GOOD.replace(RING, RING + 'reference = ["10.77.1.1"]'), "link[0].reference", "only a service link", "role"),
    (CLUSTER + GROUP + "[link]\n" + SERVICE.replace("[[link]]", ""), "link", "several", "[[link]]"),
    # in [[group]]
    ("group = []\n" + CLUSTER + RING + SERVICE, "group",
     "no group", "[[group]]"),
    (CLUSTER + RING + SERVICE, "group", "no group", "[[group]]"),
    ("group = [7]\n" + CLUSTER + RING + SERVICE, "group[0]", "not a table", "[group]"),
    (GOOD.replace('["10.77.9.101/24"]', "[]"), "group[0].addresses", "empty", "at least 1"),
    (GOOD.replace("9.101/24", "9.101"), "group[0].addresses[0]", "no prefix", '"10.77.9.101/24"'),
    (GOOD.replace("9.101/24", "9.301/24"), "group[0].addresses[0]", "not an address", "fd77:9::101/64"),
    (GOOD.replace("9.101/24", "9.255/24"), "group[0].addresses[0]", "broadcast", "one host"),
    (GOOD.replace("9.101/24", "9.0/24"), "group[0].addresses[0]", "whole network", "one host"),
    (GOOD.replace("10.77.9.101/24", "239.1.1.1/24"), "group[0].addresses[0]", "multicast", "one host"),
    (GOOD.replace("10.77.9.101/24", "127.0.0.1/8"), "group[0].addresses[0]", "never leaves", "one host"),
    (GOOD.replace("10.77.9.101/24", "fe80::1/64"), "group[0].addresses[0]", "link-local", "one host"),
    (GOOD + 'interface = "10.77.1.0/24"', "group[0].interface", "cluster link", 'role = "service"'),
    (GOOD + 'interface = "10.77.5.0/24"', "group[0].interface", "no service link", '"10.77.9.0/24"'),
    (GOOD + 'interface = "a b"', "group[0].interface", "neither", "eth1"),
    (GOOD + 'interface = "a-much-too-long-name"', "group[0].interface", "neither", "eth1"),
    (CLUSTER + RING + GROUP, "group[0].interface", "no service link", "add a [[link]]"),
    (CLUSTER + RING + GROUP + 'interface = "10.77.5.0/24"', "group[0].interface", "no service link", "add a [[link]]"),
    (GOOD + SERVICE.replace("77.9", "77.8").replace('"service"\nrole', '"other"\nrole'), "group[0].interface",
     "several service links", '"10.77.9.0/24" or "10.77.8.0/24"'),
    (GOOD + "priority = -1", "group[0].priority", "range", "at least 0"),
    (GOOD + "allowed = []", "group[0].allowed", "empty", "at least 1"),
    (GOOD + GROUP.replace("101", "102"), "group[1].name", "taken by group[0]", "own name"),
    (GOOD + GROUP.replace("sip1", "sip2").replace("/24", "/25"), "group[1].addresses[0]",
     "already stands in group[0]", "once"),
    (GOOD.replace(SERVICE, SERVICE + 'reference = ["10.77.9.101"]'), "group[0].addresses[0]", "reference", "router"),
    # of the whole
    (GOOD + "[links]", "links", "not known", 'did you mean "link"?'),
    (RING + SERVICE + GROUP, "cluster", "missing", "[cluster]"),
    ("cluster = 4\n" + RING + SERVICE + GROUP, "cluster", "not a table", "[cluster]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "wrong", "mend"), FAULTS)
def test_each_fault_names_its_key_and_a_mend(text: str, key: str, wrong: str, mend: str) -> None:
    fault = one_fault(text)
    assert fault.key.endswith(key)
    assert wrong in fault.wrong
    assert mend in fault.mend


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace('"pbx"', '"p b x"').replace("10.77.1.0/24", "10.77.1.5/24").replace("9.101/24", "9.101")
        + GROUP.replace("sip1", "sip2")
        + "ttll = 4\n[timing]\nbeat-ms = 0\n[extra]\n"
    )
    faults = refused(text)
    assert [fault.key for fault in faults] == [
        "cluster.name",
        "link[0].network",
        "group[0].addresses[0]",
        "group[1].ttll",
        "timing.beat-ms",
        "extra",
    ]
    lines = text.splitlines()
    assert [lines[fault.line - 1] for fault in faults[:2]] == ['name = "p b x"', 'network = "10.77.1.5/24"']


def test_a_fault_in_a_table_hides_none_between_tables() -> None:
    text = (
        CLUSTER.replace("pbx", "p b x")
        + "[timing]\ngrant-ms = 150\n"
        + RING.replace("239.77.1.1", "here")
        + RING.replace("239.77.1.1", "there")
        + SERVICE
        + GROUP
        + "priority = -1\n"
        + GROUP
        + 'allowed = "*"\n'
    )
    assert [fault.key for fault in refused(text)] == [
        "cluster.name",
        "timing.grant-ms",
        "link[0].multicast",
        "link[1].name",
        "link[1].network",
        "link[1].multicast",
        "group[0].priority",
        "group[1].name",
        "group[1].addresses[0]",
        "group[1].allowed",
    ]


def test_a_malformed_link_casts_no_doubt_on_the_groups_that_live_there() -> None:
    assert one_fault(GOOD.replace("239.77.9.1", "10.77.9.1")).key == "link[1].multicast"


def test_a_syntax_error_names_its_line_and_column() -> None:
    fault = one_fault("[cluster]\nname = pbx\n")
    assert (fault.path, fault.line, fault.column) == ((), 2, 8)
    assert "TOML syntax: Invalid value" in fault.wrong
    assert fault.text("z.toml").startswith("z.toml:2:8: TOML syntax")


def test_an_unfinished_text_names_its_last_line() -> None:
    assert one_fault('[cluster]\nname = "pbx"\nnever-master = [').line == 3


def test_text_that_is_not_utf8_names_its_line() -> None:
    (fault,) = read_bytes(b'[cluster]\nname = "\xff"\n').faults
    assert (fault.line, fault.wrong) == (2, "is not UTF-8 text")


def test_a_file_that_is_missing_or_huge_is_a_fault(tmp_path: Path) -> None:
    missing = read(tmp_path / "none.toml").faults[0]
    assert "No such file" in missing.wrong
    assert f"`zcluster init --out {tmp_path / 'none.toml'}`" in missing.mend
    assert "\n" not in missing.line_of("none.toml")
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (FILE_LIMIT_BYTES + 1))
    assert "larger than" in read(huge).faults[0].wrong


def test_deep_nesting_is_a_fault() -> None:
    assert read_bytes(b"a = " + b"[" * 100_000).faults


def test_load_raises_one_error_that_lists_them_all(tmp_path: Path) -> None:
    path = tmp_path / "z.toml"
    path.write_text(GOOD.replace("= 3", "= 0") + "colour = 1\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    first, first_mend, second, second_mend = str(caught.value).splitlines()
    assert first == f"{path}:4: cluster.expected-nodes: 0 is out of range"
    assert first_mend == "    mend: it must be at least 1"
    assert second.startswith(f"{path}:")
    assert "group[0].colour" in second
    assert "the keys here are name, addresses" in second_mend


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["10.77.9.0/24", "10.77.9.101/24", "239.1.1.1", "fast", "service", "*"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
_KEYS = [
    "name", "expected-nodes", "preset", "role", "network", "multicast", "reference", "ttl", "addresses",
    "interface", "priority", "allowed", "preferred", "never-master", "key-file", "lease-ms", "unheard",
]  # fmt: skip
_table = st.dictionaries(st.sampled_from(_KEYS), _values, max_size=6)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    text = "".join(
        character if character.isprintable() and ord(character) < 0xD800 else "?" for character in str(value)
    )
    return "'''" + text.replace("'", "") + "'''"


@given(cluster=_table, timing=_table, links=st.lists(_table, max_size=3), groups=st.lists(_table, max_size=3))
def test_any_valid_toml_is_accepted_or_refused_with_words(
    cluster: dict[str, object],
    timing: dict[str, object],
    links: list[dict[str, object]],
    groups: list[dict[str, object]],
) -> None:
    tables = [("[cluster]", cluster), ("[timing]", timing)]
    tables += [("[[link]]", link) for link in links] + [("[[group]]", group) for group in groups]
    text = "".join(
        f"{header}\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
        for header, table in tables
    )
    reading = read_bytes(text.encode())
    assert (reading.configuration is None) == bool(reading.faults)
    for fault in reading.faults:
        assert fault.wrong
        assert fault.mend
        assert fault.line or fault.path in {("link",), ("group",)}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_words(content: bytes) -> None:
    reading = read_bytes(content)
    assert reading.configuration is None
    assert all(fault.wrong for fault in reading.faults)


@pytest.mark.parametrize(("line", "is_recording"), [("", False), ('recording = "on"', True)])
def test_a_recording_is_made_only_on_request(line: str, is_recording: bool) -> None:
    assert accepted(GOOD.replace("= 3", "= 3\n" + line)).is_recording is is_recording
