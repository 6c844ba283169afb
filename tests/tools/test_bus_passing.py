"""Questions that go on to another process of the host: how many of them."""

from __future__ import annotations

import time
from pathlib import Path

from tests.tools.small_daemon import SmallDaemon
from zcluster.adapters.tools_bus import Asked
from zcluster.tools.bus_passing import LARGEST_A_SECOND, Passing
from zcluster.tools.bus_questions import Door, Passed

PING = Passed(1, Door.CONTROL, {"ask": "ping"})
NOW_MS = 50_000
PATIENCE_S = 30
MOST = LARGEST_A_SECOND[Door.CONTROL]


class Host:
    """A daemon and what asks it."""

    def __init__(self, run_dir: Path) -> None:
        self.daemon = SmallDaemon(run_dir)
        self.passing = Passing(run_dir)

    def ask(self, now_ms: int) -> str:
        """One question, answered before this returns; or why it was refused."""
        refusal = self.passing.ask(Asked((b"reader",), b""), PING, now_ms)
        end = time.monotonic() + PATIENCE_S
        while not refusal and not self.passing.turn(now_ms):
            self.daemon.turn()
            assert time.monotonic() < end, "no answer came"
        return refusal

    def close(self) -> None:
        self.passing.close()
        self.daemon.close()


def test_who_asks_again_at_once_does_not_keep_the_daemon_busy(tmp_path: Path) -> None:
    host = Host(tmp_path)
    try:
        refusals = [host.ask(NOW_MS + number) for number in range(200)]
        assert refusals[:MOST] == [""] * MOST
        assert all("ask again" in refusal for refusal in refusals[MOST:])
        assert len(host.daemon.questions) == MOST
        assert host.passing.counts["passed_refused"] == 200 - MOST
        assert host.ask(NOW_MS + 1000) == "", "in the next second it is answered again"
    finally:
        host.close()
