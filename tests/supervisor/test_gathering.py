from __future__ import annotations

import pytest

from zcluster.control.timing import MULTITUDE_NODES, PRESETS, preset_timing
from zcluster.supervisor.gathering import longest_ms


@pytest.mark.parametrize("nodes", [3, MULTITUDE_NODES, 64])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_voter_that_gathers_is_free_before_silence_is_over(preset: str, nodes: int) -> None:
    timing = preset_timing(preset, nodes)
    assert timing.grant_ms + longest_ms(timing, nodes) < timing.silence_ms
    assert longest_ms(timing, nodes) <= timing.beat_ms


def test_only_a_multitude_waits_for_a_whole_beat_and_only_where_there_is_room() -> None:
    standard, fast = preset_timing("standard", MULTITUDE_NODES), PRESETS["fast"]
    assert longest_ms(standard, MULTITUDE_NODES - 1) == standard.beat_ms // 2
    assert longest_ms(standard, MULTITUDE_NODES) == standard.beat_ms
    assert longest_ms(fast, MULTITUDE_NODES) == fast.beat_ms // 2
