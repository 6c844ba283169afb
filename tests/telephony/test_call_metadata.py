from __future__ import annotations

import json
import zlib
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.twin_switch import call_xml
from zcluster.errors import BadMessage
from zcluster.telephony.metadata import (
    CSEQ_END,
    CSEQ_MARGIN,
    MAX_METADATA_BYTES,
    bracketed_peer,
    next_cseq,
    pack_metadata,
    partner_of,
    read_facts,
    read_variables,
    unpack_metadata,
    with_variables,
)

CAPTURES = Path(__file__).parent.parent / "switch" / "captures"
REAL = [
    each["metadata"].encode() for each in json.loads((CAPTURES / "recovery-rows-one-call.json").read_text())
]


def test_variables_are_decoded_and_the_last_of_several_counts() -> None:
    variables = read_variables(REAL[1])
    assert variables["sip_contact_uri"] == "sipp@10.77.0.21:5060"
    assert variables["DP_MATCH"] == "123"
    assert "username" not in variables, "what stands in the callflow is no variable"


@pytest.mark.parametrize("metadata", REAL)
def test_what_is_added_to_a_real_call_is_read_again_and_nothing_else_changes(metadata: bytes) -> None:
    added = with_variables(metadata, {"sip_invite_cseq": "123", "signal_bond": None})
    before, after = read_variables(metadata), read_variables(added)
    assert after == {name: value for name, value in before.items() if name != "signal_bond"} | {
        "sip_invite_cseq": "123"
    }
    assert added.partition(b"</variables>")[2] == metadata.partition(b"</variables>")[2]
    again = with_variables(added, {"sip_invite_cseq": "124"})
    assert again.count(b"<sip_invite_cseq>") == 1
    assert read_variables(again)["sip_invite_cseq"] == "124"


def test_only_the_variables_are_touched() -> None:
    metadata = b"<cdr><variables><uuid>a</uuid></variables><callflow><uuid>b</uuid></callflow></cdr>"
    gone = with_variables(metadata, {"uuid": None})
    assert gone == b"<cdr><variables></variables><callflow><uuid>b</uuid></callflow></cdr>"


@pytest.mark.parametrize("value", ["", "a b", "<x>", "1\n2", "%41", "é"])
def test_nothing_but_plain_words_is_added(value: str) -> None:
    with pytest.raises(AssertionError):
        with_variables(call_xml("a", "sip1"), {"x": value})


@pytest.mark.parametrize(
    "address",
    ["", "10.0.0.1", "caller.example", "fe80::1%25eth0", "fe80::1%", "::1>x", "1:2", "%FF%FE", "::" * 99],
)
def test_what_is_no_plain_ipv6_address_gets_no_brackets(address: str) -> None:
    assert bracketed_peer(call_xml("a", "sip1", sip_network_ip=address)) == ""


@given(st.ip_addresses(v=6))
def test_the_address_of_an_ipv6_caller_is_read_and_put_back_in_brackets(address: IPv6Address) -> None:
    metadata = call_xml("a", "sip1", sip_network_ip=quote(str(address), safe=""))
    peer = bracketed_peer(metadata)
    assert peer == f"[{address}]"
    again = with_variables(metadata, {"sip_network_ip": peer})
    assert read_variables(again)["sip_network_ip"] == peer
    assert bracketed_peer(again) == ""


@pytest.mark.parametrize(
    ("variables", "partner"),
    [
        ({}, ""),
        ({"signal_bond": "b"}, "b"),
        ({"originate_signal_bond": "b"}, "b"),
        ({"signal_bond": "b", "bridge_to": "b", "last_bridge_to": "a"}, "b"),
        ({"signal_bond": "b", "last_bridge_to": "b"}, ""),
    ],
    ids=["alone", "being bridged", "being called", "bridged", "bridged once"],
)
def test_a_bond_is_a_partner_until_the_bridge_has_ended(variables: dict[str, str], partner: str) -> None:
    assert partner_of(variables) == partner


def test_a_limit_of_the_running_extension_runs_again() -> None:
    metadata = call_xml(
        "a", "sip1", limit_usage_out_one="1", limit_usage_out_two="1", limit_usage="1"
    ).replace(b'app_name="answer" app_data=""', b'app_name="limit" app_data="hash out one 10 over XML"')
    facts = read_facts(metadata)
    assert (facts.limits, facts.reruns) == (("out_one", "out_two"), ("out_one",))


def test_cseq_grows_with_the_wall_clock_and_from_takeover_to_takeover() -> None:
    now_ms = 1_795_459_010_000
    first = next_cseq(now_ms, 0)
    assert first == ((((now_ms // 1000) + 2_208_988_800) >> 1) & 0x7FFFFFF) + CSEQ_MARGIN
    assert next_cseq(now_ms, first) == first + CSEQ_MARGIN
    # A clock that is behind the former master's by ten minutes.
    assert next_cseq(now_ms - 600_000, 0) > next_cseq(now_ms, 0) - CSEQ_MARGIN
    assert next_cseq(now_ms, 2**31 - 5) == CSEQ_END


def test_metadata_there_and_back() -> None:
    packed = pack_metadata(REAL[0])
    assert len(packed) < len(REAL[0]) // 2
    assert unpack_metadata(packed) == REAL[0]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"garbage",
        zlib.compress(b"cut off" * 100)[:-3],
        zlib.compress(b"twice") + b"more",
        zlib.compress(bytes(MAX_METADATA_BYTES + 1)),
    ],
    ids=["empty", "garbage", "cut off", "twice", "bomb"],
)
def test_bad_metadata_is_a_bad_message(packed: bytes) -> None:
    with pytest.raises(BadMessage):
        unpack_metadata(packed)


def test_metadata_that_nobody_would_take_is_not_written() -> None:
    with pytest.raises(ValueError, match="too many"):
        pack_metadata(bytes(MAX_METADATA_BYTES + 1))


@given(st.binary(max_size=200), st.sampled_from([b"", *REAL]), st.integers(0, 12_000), st.integers(0, 300))
def test_damaged_metadata_is_refused_or_read(noise: bytes, base: bytes, place: int, length: int) -> None:
    metadata = base[:place] + noise + base[place + length :]
    try:
        facts = read_facts(metadata)
        with_variables(metadata, {"sip_invite_cseq": "1"})
    except BadMessage:
        return
    assert facts.started_s >= 0
