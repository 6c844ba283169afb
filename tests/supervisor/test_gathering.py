from __future__ import annotations

import pytest

from zcluster.control.timing import PRESETS
from zcluster.supervisor.gathering import longest_ms


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_voter_that_gathers_is_free_before_silence_is_over(preset: str) -> None:
    timing = PRESETS[preset]
    assert timing.grant_ms + longest_ms(timing) < timing.silence_ms
    assert longest_ms(timing) <= timing.beat_ms // 2
