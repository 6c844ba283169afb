"""What one seed draws: how many nodes and groups, which timing, how bad the network, which faults and how often.

Kinds of fault are switched on one by one (swarm testing), because a seed with everything on hides what only
happens when something else does not; a quarter of the seeds has a theme instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from zcluster.control.document import GroupSettings, Settings
from zcluster.control.timing import PRESETS, Timing

CLUSTER_LINKS = ("red", "blue")
SERVICE_LINK = "service"
LINKS = (*CLUSTER_LINKS, SERVICE_LINK)

DRIFT = 0.002
PAIR = 2

WEIGHTS: dict[str, float] = {
    "partition": 6,
    "one-way": 4,
    "partial": 4,
    "flap": 3,
    "service-carrier": 2,
    "reference": 1,
    "pause": 6,
    "stall": 8,
    "kill": 4,
    "host-death": 3,
    "eclipse": 2,
    "power-all": 0.7,
    "never-back": 0.4,
    "move": 3,
    "stop": 1.5,
    "health": 2,
    "planned-restart": 2,
    "pin": 1,
    "roster": 1,
    "disk-lost": 0.5,
    "slow-disk": 2,
    "disk-full": 1,
    "kernel-refuses": 1,
    "gate-lost": 1,
    "stranger": 0.7,
    "proxy": 0.5,
    "clock-step": 0.5,
    "freeze": 2,
    "thaw": 1.5,
    "freeze-over": 0.5,
}
"""How often each kind is drawn, relative to the others. `zcluster/simulator/faults.py` says what each does."""

THEMES: tuple[tuple[str, ...], ...] = (
    ("roster", "kill", "partition", "partial", "host-death", "disk-lost", "stall", "never-back", "one-way"),
    (
        "planned-restart",
        "kill",
        "stall",
        "pause",
        "partition",
        "slow-disk",
        "move",
        "disk-full",
        "health",
        "stop",
    ),
    ("kill", "eclipse", "partial", "one-way", "move", "stall"),
    ("move", "stop", "health", "service-carrier", "stall", "pause", "kernel-refuses", "gate-lost", "one-way"),
)
"""Sets of kinds that work on one part of the protocol: rosters, planned restarts, votes, releases."""
THEMED = 0.25
FREEZING = ("freeze", "thaw", "freeze-over")
FREEZE_THEME = (
    "partition",
    "one-way",
    "stall",
    "pause",
    "kill",
    "host-death",
    "power-all",
    "move",
    "stop",
    "health",
    "planned-restart",
    "pin",
    "roster",
    *FREEZING,
)
FREEZES = 0.3
"""How many seeds freeze the cluster. That is drawn apart from all else, so that a seed that was noted before there was
a freeze can still be played as it was (`freezes=False`).
"""


@dataclass(frozen=True, slots=True)
class Mix:
    """One seed's world. Durations in ms of true time; `loss`, `late`, `twice` are chances per beat and receiver;
    `slow_calls` is one per call that adds addresses.
    """

    seed: int
    settings: Settings
    preset: str
    is_calm: bool
    is_founded: bool
    loss: float
    late: float
    late_ms: float
    twice: float
    jitter_ms: float
    tick_late_ms: float
    slow_calls: float
    kinds: tuple[str, ...]
    gap_ms: float
    safety_ms: float


def draw(seed: int, nodes: int | None = None, freezes: bool = True) -> Mix:
    """The mix of a seed; the same seed (and the rest) always draws the same. Two nodes only on request."""
    random = Random(f"mix {seed}")
    count = nodes or random.choices((3, 4, 5, 6, 7), (50, 15, 25, 5, 5))[0]
    is_calm = random.random() < 0.08
    preset = random.choices(("standard", "fast", "patient"), (80, 12, 8))[0]
    settings = _settings(random, count, is_calm, _timing(random, preset))
    if count == PAIR:
        settings = _as_pair(Random(f"pair {seed}"), settings)
        is_calm = is_calm and settings.survivor_claims
    slow = settings.timing.silence_ms / 200
    kinds = tuple(kind for kind in WEIGHTS if kind not in FREEZING and random.random() < 0.5) or ("kill",)
    if random.random() < THEMED:
        kinds = random.choice(THEMES)
    if freezes:
        kinds = _with_freezes(Random(f"freezes {seed}"), kinds)
    return Mix(
        seed=seed,
        settings=settings,
        preset=preset,
        is_calm=is_calm,
        is_founded=random.random() < 0.7,
        loss=0.0 if is_calm else random.choice((0.0, 0.02, 0.3, 0.5)),
        late=0.0 if is_calm else random.choice((0.0, 0.0, 0.03, 0.15)),
        late_ms=random.choice((30.0, 200.0, 500.0, 2500.0)),
        twice=0.0 if is_calm else random.choice((0.0, 0.05)),
        jitter_ms=random.choice((0.4, 1.0, 4.0)) if not is_calm else 0.4,
        tick_late_ms=random.choice((0.2, 1.0)),
        slow_calls=0.0 if is_calm else random.choice((0.0, 0.0, 0.1)),
        kinds=() if is_calm else kinds,
        gap_ms=random.choice((20.0, 60.0, 150.0, 400.0)) * max(slow, 0.7),
        safety_ms=random.uniform(2500, 4500) * (max(slow, 1.0) ** 0.5),
    )


def _with_freezes(random: Random, kinds: tuple[str, ...]) -> tuple[str, ...]:
    if random.random() >= FREEZES:
        return kinds
    return random.choice((FREEZE_THEME, (*kinds, *FREEZING), (*kinds, *FREEZING)))


def _as_pair(random: Random, settings: Settings) -> Settings:
    """Two nodes: sometimes as strict as a majority of two is, mostly so that a survivor may go on alone."""
    if random.random() < 0.3:
        return settings
    return replace(settings, survivor_claims=True, referenced_links=(SERVICE_LINK,))


def _timing(random: Random, preset: str) -> Timing:
    """A preset, mostly with a short timer A, which only costs virtual time."""
    timing = PRESETS[preset]
    return replace(
        timing,
        timer_a_ms=random.choice((timing.silence_ms + 100, timing.silence_ms + 100, timing.timer_a_ms)),
    )


def _settings(random: Random, count: int, is_calm: bool, timing: Timing) -> Settings:
    groups = random.choices((1, 2, 3, 4), (45, 30, 20, 5))[0]
    if is_calm or random.random() < 0.9:
        groups = min(groups, count - 1)
    return Settings(
        cluster="simulated",
        expected_nodes=count,
        timing=timing,
        groups=tuple(_group(random, number) for number in range(1, groups + 1)),
        cluster_links=CLUSTER_LINKS,
        service_links=(SERVICE_LINK,),
        referenced_links=(SERVICE_LINK,) if random.random() < 0.5 else (),
        several_groups=random.random() < 0.08,
        never_master=("node2",) if not is_calm and random.random() < 0.1 else (),
        forget_after_ms=random.choice((600, 1500, 600_000, 600_000)),
    )


def _group(random: Random, number: int) -> GroupSettings:
    return GroupSettings(
        name=f"group{number}",
        addresses=(f"10.9.0.{number}", f"fd00:9::{number}")[: random.choice((1, 2))],
        service_link=SERVICE_LINK,
        priority=100 - number,
    )
