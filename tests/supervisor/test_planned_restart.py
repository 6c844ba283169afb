"""The real daemon restarted on purpose, on hosts of the laboratory: what stays, and what a late start costs."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from tests.supervisor.test_daemon import GROUP, alarms, cluster
from zcluster.control.timing import LONG_GRANT_MS
from zcluster.lab.verdict import judge
from zcluster.supervisor.daemon import EXIT_RESTART

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]


def test_a_planned_restart_moves_nothing() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            before = lab.ownership(GROUP)
            slave = next(node for node in lab.powered if node != before.holder)
            for node in (before.holder, slave):
                daemon = lab.daemon_of(node)
                daemon.signal(signal.SIGUSR2)
                assert daemon.wait(5.0) == EXIT_RESTART
                lab.start_daemon(node)
                lab.wait_until_well()
                assert lab.ownership(GROUP).holder == before.holder
            logs = "".join(lab.log_of(node).read_text() for node in lab.powered)
            assert "goes on with g1" in lab.log_of(before.holder).read_text()
            assert logs.count(" takeover: g1") == 1, "the one before the restarts"

    passes_in_world(check)


def test_a_next_life_that_crashes_is_not_followed_by_one_that_goes_on() -> None:
    """A handover counts once: the third life closes what it finds, and nobody answers twice."""

    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            before = lab.ownership(GROUP)
            holder = before.holder
            lab.observer.start_over()
            lab.restart_daemon(holder)
            assert lab.daemon_of(holder).wait(2.0) == EXIT_RESTART
            lab.start_daemon(holder)
            lab.wait_for(lambda: "goes on with g1" in lab.log_of(holder).read_text(), 3, "the next life")
            lab.daemon_of(holder).signal(signal.SIGKILL)
            lab.start_daemon(holder)
            lab.wait_until_well()
            assert lab.log_of(holder).read_text().count("goes on with g1") == 1
            after = lab.ownership(GROUP)
            assert after.epoch > before.epoch
            order = (holder, after.holder) if after.holder != holder else (holder,)
            assert judge(lab.observer.sightings(), dict.fromkeys(lab.plan.floating, order)) == []

    passes_in_world(check)


def test_a_life_that_begins_too_late_finds_its_group_gone_and_nobody_answers_twice() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            before = lab.ownership(GROUP)
            holder = before.holder
            lab.observer.start_over()
            began = time.monotonic()
            lab.restart_daemon(holder)
            assert lab.daemon_of(holder).wait(2.0) == EXIT_RESTART
            lab.wait_for(
                lambda: lab.ownership(GROUP).holder not in ("", holder), 6, "the voters' long grants ran out"
            )
            assert time.monotonic() - began >= LONG_GRANT_MS / 1000 - 0.3, "not before they did"
            lab.start_daemon(holder)
            lab.wait_until_well()
            assert "began too late" in alarms(lab, holder)
            after = lab.ownership(GROUP)
            assert after.holder != holder
            order = dict.fromkeys(lab.plan.floating, (holder, after.holder))
            assert judge(lab.observer.sightings(), order) == []

    passes_in_world(check)
