from __future__ import annotations

from random import Random

import pytest

from zcluster.simulator.kernel import EARLY_MS, GateMisused, Kernel, RelativeKernel

GROUPS = ("a", "b")


def kernel(kind: type[Kernel] = Kernel, rate: float = 1.0) -> Kernel:
    return kind(GROUPS, Random(1), rate)


def test_an_address_alone_answers_nothing() -> None:
    made = kernel()
    made.open("a", 5, 0.0, 0.0)
    assert made.answers_until("a") == 0.0


def test_an_armed_and_pointed_slot_answers_for_its_lease_and_never_longer() -> None:
    made = kernel()
    made.arm(1, GROUPS, 140, 100.0)
    made.open("a", 1, 100.0, 130.0)
    assert 240.0 - EARLY_MS <= made.answers_until("a") <= 240.0
    assert made.answers_until("b") == 0.0


def test_the_timer_runs_at_the_clock_of_the_host() -> None:
    made = kernel(rate=1.002)
    made.arm(1, ("a",), 1002, 0.0)
    made.open("a", 1, 0.0, 0.0)
    assert 1000.0 - EARLY_MS <= made.answers_until("a") <= 1000.0


def test_a_late_point_at_a_slot_that_ran_out_stays_closed() -> None:
    made = kernel()
    made.arm(1, ("a",), 140, 0.0)
    made.open("a", 1, 0.0, 10.0)
    made.arm(2, ("a",), 140, 20.0)
    made.point("a", 2, 30.0, 500.0)
    assert made.answers_until("a") < 500.0


def test_a_late_relative_renewal_opens_again_which_is_why_it_is_rejected() -> None:
    made = kernel(RelativeKernel)
    made.arm(1, ("a",), 140, 0.0)
    made.open("a", 1, 10.0, 500.0)
    assert made.answers_until("a") > 500.0


def test_the_second_layer_ends_what_nobody_renews() -> None:
    made = kernel()
    made.arm(1, ("a",), 60_000, 0.0)
    made.open("a", 1, 0.0, 0.0)
    assert made.answers_until("a") == 2000.0
    made.renew("a", 1500.0)
    assert made.answers_until("a") == 3500.0


def test_closing_kills_what_was_armed_before() -> None:
    made = kernel()
    made.arm(1, ("a",), 140, 0.0)
    made.open("a", 1, 0.0, 0.0)
    made.close("a")
    assert made.answers_until("a") == 0.0
    with pytest.raises(GateMisused):
        made.open("a", 1, 0.0, 1.0)


def test_no_slot_is_armed_twice() -> None:
    made = kernel()
    made.arm(1, ("a",), 140, 0.0)
    with pytest.raises(GateMisused):
        made.arm(1, ("a",), 140, 20.0)


def test_a_lost_gate_and_a_lost_host_answer_nothing() -> None:
    for lose in (Kernel.lose_gate, Kernel.reset):
        made = kernel()
        made.arm(1, ("a",), 140, 0.0)
        made.open("a", 1, 0.0, 0.0)
        lose(made)
        assert made.answers_until("a") == 0.0
