from __future__ import annotations

from dataclasses import fields, replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.calls_world import bridged, record_of
from zcluster.errors import BadMessage
from zcluster.telephony.call_record import CallRecord, is_uuid, pack_call, unpack_call
from zcluster.telephony.whole_calls import whole_calls

WHOLE = record_of("a", signal_bond="b", bridge_to="b", limit_usage_x_y="1")


def test_a_record_there_and_back() -> None:
    assert unpack_call(pack_call(WHOLE)) == WHOLE
    assert WHOLE.metadata
    assert (WHOLE.limits, WHOLE.partner) == (("x_y",), "b")


def test_what_a_later_version_appends_is_cut_off() -> None:
    values = msgpack.unpackb(pack_call(WHOLE))
    assert unpack_call(msgpack.packb([2, *values[1:], "new"])) == WHOLE


@pytest.mark.parametrize("place", range(len(fields(CallRecord)) + 1))
@pytest.mark.parametrize(
    "value", [None, 3.5, [["x"]], {}, -1, 2**63, "x" * 300, b"x" * 70_000, True, "a\nb"], ids=repr
)
def test_a_field_of_another_kind_or_size_is_refused(place: int, value: object) -> None:
    values = msgpack.unpackb(pack_call(WHOLE), use_list=False)
    fits = value is True and fields(CallRecord)[place - 1].name == "is_recovered"
    if fits or (place == 0 and value in (2**63,)):
        return
    with pytest.raises(BadMessage):
        unpack_call(msgpack.packb([*values[:place], value, *values[place + 1 :]]))


@pytest.mark.parametrize(
    "record",
    [
        replace(WHOLE, state="dead"),
        replace(WHOLE, partner="two words"),
        replace(WHOLE, cseq=2**31),
        replace(WHOLE, limits=("x",) * 65),
        replace(WHOLE, limits=("x" * 129,)),
        replace(WHOLE, started_s=2**40),
    ],
    ids=["state", "partner", "cseq", "many limits", "long limit", "time"],
)
def test_a_record_out_of_bounds_is_refused(record: CallRecord) -> None:
    with pytest.raises(BadMessage):
        unpack_call(pack_call(record))


@given(st.data())
def test_damaged_records_are_refused_or_read(data: st.DataObject) -> None:
    body = bytearray(pack_call(WHOLE))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        unpack_call(bytes(body))
    except BadMessage:
        pass


@pytest.mark.parametrize("text", ["", "a b", "a\n", "a'b", 'a"b', "a\\b", "\x00", "é", "\x85", "x" * 256])
def test_what_a_command_could_not_carry_is_no_uuid(text: str) -> None:
    assert not is_uuid(text)


def test_a_bridged_leg_counts_all_limits_and_a_lone_one_what_it_does_not_run_again() -> None:
    record = replace(WHOLE, limits=("a", "b"), reruns=("b",))
    assert record.limits_of_ours == ("a", "b")
    assert replace(record, partner="").limits_of_ours == ("a",)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.sampled_from("abcdefghz"), st.integers(0, 9)))
)
def test_calls_are_the_components_of_what_is_bonded(legs: dict[str, tuple[str, int]]) -> None:
    records = {
        uuid: CallRecord("p", partner=partner, answered_s=since) for uuid, (partner, since) in legs.items()
    }
    calls = whole_calls(records)
    assert sorted(uuid for call in calls for uuid in call) == sorted(legs)
    for uuid, (partner, _) in legs.items():
        if partner in legs:
            assert any({uuid, partner} <= set(call) for call in calls)
    known = [min(legs[uuid][1] or 2**62 for uuid in call) for call in calls]
    assert known == sorted(known)
    assert all(len(call) <= 1 or {legs[u][0] for u in call} & set(call) for call in calls)


def test_both_legs_of_a_bridge_are_one_call() -> None:
    assert whole_calls(bridged("a", "b")) == [("a", "b")]
