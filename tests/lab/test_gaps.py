from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zcluster.lab.gaps import LATE_NS, Gap, Probe, longest_gap

MS = 1_000_000
PATH_NS = 50_000


def probes(sent_ms: range, missed: range = range(0), delay_ms: int = 0) -> list[Probe]:
    """Probes answered at once, but for those sent within `missed`."""
    return [Probe(at * MS, 0 if at in missed else at * MS + PATH_NS + delay_ms * MS) for at in sent_ms]


def test_nothing_missed_is_no_gap() -> None:
    assert longest_gap(probes(range(0, 1000, 2)), 100 * MS, 1000 * MS) is None


def test_a_gap_runs_from_the_last_answer_to_the_first() -> None:
    gap = longest_gap(probes(range(0, 1000, 2), range(200, 400)), 190 * MS, 1000 * MS)
    assert gap == Gap(198 * MS + PATH_NS, 400 * MS + PATH_NS, True)
    assert gap is not None
    assert gap.length_ms == 202


def test_a_miss_before_the_fault_is_not_the_faults() -> None:
    assert longest_gap(probes(range(0, 1000, 2), range(50, 60)), 100 * MS, 1000 * MS) is None


def test_of_two_gaps_the_longer_counts() -> None:
    record = [
        Probe(
            probe.sent_ns,
            0 if 200 <= probe.sent_ns // MS < 210 or 500 <= probe.sent_ns // MS < 620 else probe.answered_ns,
        )
        for probe in probes(range(0, 1000, 2))
    ]
    gap = longest_gap(record, 100 * MS, 1000 * MS)
    assert gap is not None
    assert gap.length_ms == 122


def test_an_address_that_never_came_back_is_still_in_its_gap() -> None:
    gap = longest_gap(probes(range(0, 1000, 2), range(300, 1000)), 290 * MS, 1000 * MS)
    assert gap == Gap(298 * MS + PATH_NS, 1000 * MS, False)


def test_probes_still_on_their_way_are_not_missed() -> None:
    assert longest_gap(probes(range(0, 1000, 2), range(990, 1000)), 100 * MS, 1000 * MS) is None


def test_a_machine_that_stood_still_missed_nothing() -> None:
    record = [*probes(range(0, 300, 2)), *probes(range(381, 700, 2))]
    assert longest_gap(record, 200 * MS, 700 * MS) is None


def test_probes_answered_late_from_a_queue_are_a_gap_until_the_queue_was_emptied() -> None:
    waiting = [Probe(at * MS, 500 * MS) for at in range(200, 400, 2)]
    record = [*probes(range(0, 200, 2)), *waiting, *probes(range(500, 800, 2))]
    gap = longest_gap(record, 190 * MS, 800 * MS)
    assert gap == Gap(198 * MS + PATH_NS, 500 * MS, True)


def test_a_late_answer_ends_the_gap_even_if_no_prompt_one_is_recorded_yet() -> None:
    record = [*probes(range(0, 200, 2)), *(Probe(at * MS, 500 * MS) for at in range(200, 400, 2))]
    gap = longest_gap(record, 190 * MS, 502 * MS)
    assert gap == Gap(198 * MS + PATH_NS, 500 * MS, True)


def test_an_empty_record_has_no_gap() -> None:
    assert longest_gap([], 0, 1000 * MS) is None


@given(begin=st.integers(60, 800), length=st.integers(1, 300))
def test_the_gap_is_the_outage_to_within_one_probe(begin: int, length: int) -> None:
    record = probes(range(0, 1400, 2), range(begin, begin + length))
    gap = longest_gap(record, 50 * MS, 1400 * MS)
    missed = [at for at in range(0, 1400, 2) if begin <= at < begin + length]
    if not missed:
        assert gap is None
    else:
        assert gap is not None
        assert length + 1 <= gap.length_ms <= length + 3  # from answer to answer, 2 ms apart


@given(delay=st.integers(0, 200))
def test_only_a_long_delay_is_a_miss(delay: int) -> None:
    record = [
        *probes(range(0, 500, 2)),
        *probes(range(500, 510, 2), delay_ms=delay),
        *probes(range(800, 999, 2)),
    ]
    gap = longest_gap(record, 400 * MS, 2000 * MS)
    assert (gap is None) == (delay * MS + PATH_NS <= LATE_NS)
