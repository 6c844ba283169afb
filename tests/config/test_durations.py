from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.config.durations import dangerous, timing_of, unsafe
from zcluster.config.schema import TimingTable
from zcluster.control.timing import MULTITUDE_NODES, PRESETS, Timing

FEW = 5


def table(**values: int) -> TimingTable:
    return TimingTable.model_validate({name.replace("_", "-"): value for name, value in values.items()})


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("nodes", [FEW, MULTITUDE_NODES, 64])
def test_a_preset_alone_is_sound(preset: str, nodes: int) -> None:
    timing = timing_of(preset, nodes, table())
    assert (unsafe(timing), dangerous(timing)) == ((), ())


def test_a_multitude_at_standard_beats_less_often_and_lives_beside_the_few() -> None:
    few, many = (timing_of("standard", nodes, table()) for nodes in (MULTITUDE_NODES - 1, MULTITUDE_NODES))
    assert few == PRESETS["standard"]
    for voter, holder in ((few, many), (many, few)):  # while the file is being exchanged
        assert voter.grant_ms >= holder.lease_ms + holder.least_margin_ms
    assert many.beat_ms > few.beat_ms
    assert timing_of("standard", MULTITUDE_NODES, table(beat_ms=20)).beat_ms == 20


def test_every_duration_of_the_core_has_its_key() -> None:
    assert set(TimingTable.model_fields) == set(Timing.__dataclass_fields__)


def test_what_depends_on_the_lease_follows_it() -> None:
    timing = timing_of("standard", FEW, table(lease_ms=240, silence_ms=400))
    assert (timing.lease_ms, timing.grant_ms) == (240, 270)
    assert (timing.first_probe_ms, timing.second_probe_ms) == (260, 278)
    assert (unsafe(timing), dangerous(timing)) == ((), ())


def test_a_given_value_follows_nothing() -> None:
    timing = timing_of(
        "standard", FEW, table(lease_ms=100, grant_ms=180, first_probe_ms=150, timer_b_ms=5000)
    )
    assert (timing.grant_ms, timing.first_probe_ms, timing.timer_b_ms) == (180, 150, 5000)


def test_a_lease_that_does_not_fit_its_silence_is_a_danger_and_no_error() -> None:
    timing = timing_of("standard", FEW, table(lease_ms=250))
    assert unsafe(timing) == ()
    (danger,) = dangerous(timing)
    assert danger.key == "timing.silence-ms"
    assert "lease of 250 ms does not fit a silence of 200 ms" in danger.wrong
    assert "above 280" in danger.mend


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"lease_ms": 60}, "timing.lease-ms"),
        ({"first_probe_ms": 100}, "timing.first-probe-ms"),
        ({"second_probe_ms": 150}, "timing.first-probe-ms"),
    ],
)
def test_each_danger_names_its_key(values: dict[str, int], key: str) -> None:
    assert [danger.key for danger in dangerous(timing_of("standard", FEW, table(**values)))] == [key]


_some_ms = st.integers(1, 400)


@given(
    st.sampled_from(sorted(PRESETS)),
    st.dictionaries(st.sampled_from(sorted(TimingTable.model_fields)), _some_ms),
)
def test_errors_and_dangers_together_are_what_the_core_objects_to(
    preset: str, values: dict[str, int]
) -> None:
    timing = timing_of(preset, FEW, table(**values))
    assert len(unsafe(timing)) + len(dangerous(timing)) == len(timing.faults())
