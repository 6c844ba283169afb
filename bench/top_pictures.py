"""The pictures of `zcluster top` in docs/: a real laboratory cluster with calls, one host of which has just died.

    python -m bench.top_pictures [--out docs]      about a minute; needs root or user namespaces, and sipp

Five nodes, three groups, twelve calls through the group of the host that loses power; drawn by rich's own export.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from zcluster.console.top.documents import Documents
from zcluster.console.top.frame import Moment, frame, last_scroll
from zcluster.console.top.local_source import LocalSource
from zcluster.console.top.paint import picture
from zcluster.console.top.run import local_clock, monotonic_ms
from zcluster.console.top.state import Screen, Size, ViewState
from zcluster.data.questions import FILE_NAME
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import SwitchKind, make_plan
from zcluster.lab.world import run_in_world

NODES, GROUPS, CALLS = 5, 3, 12
PATIENCE_MS = 120_000
LOOKED_AT_S = 6.0
WELL_LIMIT_S, LIMIT_S = 300.0, 120.0
SIZES = (Size(80, 24), Size(200, 60))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    return run_in_world(partial(_work, parser.parse_args().out.absolute()))


def _work(out: Path, directory: Path) -> int:
    lab = Laboratory(directory, make_plan(NODES, GROUPS, "standard", SwitchKind.FAKE))
    try:
        lab.build()
        lab.wait_until_well(WELL_LIMIT_S)
        group = lab.plan.groups[0]
        telephones = lab.telephones({group.addresses[0]: CALLS}, PATIENCE_MS)
        telephones.begin()
        lab.wait(telephones.placing_s + 3.0)
        victim = lab.ownership(group.name).holder
        watcher = next(node for node in lab.powered if node != victim)
        source = LocalSource(lab.run_of(watcher) / "control.sock", lab.run_of(watcher) / FILE_NAME, 250)
        documents = _watched(lab, source, Documents(), LOOKED_AT_S)
        lab.cut_off(victim)
        until = time.monotonic() + LIMIT_S
        while lab.ownership(group.name).holder in ("", victim) and time.monotonic() < until:
            documents = _watched(lab, source, documents, 0.3)
        documents = _watched(lab, source, documents, LOOKED_AT_S)
        source.close()
    except Exception:
        print(lab.log_tails(), file=sys.stderr)
        raise
    finally:
        lab.close()
    _draw(out, documents, group.name)
    return 0


def _watched(lab: Laboratory, source: LocalSource, documents: Documents, seconds: float) -> Documents:
    """What is known after so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        lab.wait(0.05)
        now_ms = monotonic_ms()
        for event in source.turn(now_ms):
            documents = documents.take(event, now_ms)
    return documents


def _draw(out: Path, documents: Documents, group: str) -> None:
    moment = Moment(monotonic_ms(), time.time_ns() // 1_000_000, local_clock)
    for size in SIZES:
        drawn = picture(
            frame(documents, ViewState(), size, moment), f"zcluster top, {size.width}x{size.height}"
        )
        (out / f"top-{size.width}x{size.height}.svg").write_text(drawn)
    why = ViewState(screen=Screen.WHY, subject=group)
    why = ViewState(screen=Screen.WHY, subject=group, scroll=last_scroll(documents, why, SIZES[0], moment))
    (out / "top-why.svg").write_text(picture(frame(documents, why, SIZES[0], moment), f"w: why of {group}"))


if __name__ == "__main__":
    sys.exit(main())
