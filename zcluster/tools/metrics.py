"""The text that Prometheus reads.

What must hold: what the daemon does not say now is not there: without it only `zcluster_up 0` and the tools process's
own numbers are. However often it is asked, a text is made once for what is known, and no oftener than every
FRESH_MS. Names and labels are those of `zcluster.tools.metrics_families` and of the families below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from zcluster.codes.catalogue import CATALOGUE
from zcluster.tools.latest import Latest
from zcluster.tools.metrics_families import FIGURES, FROM_STATUS, Family, Kind
from zcluster.tools.metrics_story import BUCKETS_S, CAUSES, OTHER, Durations, StoryLedger
from zcluster.tools.picture import Picture

# A text that is asked for again within this time is the same one.
FRESH_MS = 250
# The library knows more versions and escapings of both formats. Our names are the same in all of them; who names
# another version each time would have a text made each time; and a version that is no number is a TypeError (0.26).
OPENMETRICS = "application/openmetrics-text"

UP = "zcluster_up"
TAKEOVERS, DURATION = "zcluster_takeovers", "zcluster_takeover_duration_seconds"
ALARMS, WARNINGS = "zcluster_alarms", "zcluster_warnings"
RECOVERED, LOST = "zcluster_recovered_legs", "zcluster_lost_legs"
TOOLS_DROPPED = "zcluster_tools_dropped"
HELP = {
    UP: "Whether the local daemon answers. While it does not, nothing else of it is told.",
    TAKEOVERS: "Takeovers by this node, by group and cause.",
    DURATION: "From the last sign of the old holder, or from its release, to the opening by this node, by cause.",
    ALARMS: "Alarms told by this node, by code; `zcluster explain CODE` says what to do.",
    WARNINGS: "Warnings told by this node, by code.",
    RECOVERED: "Legs of calls that this node brought back after a takeover.",
    LOST: "Legs of calls that this node could not bring back after a takeover; see `zcluster calls --lost`.",
    TOOLS_DROPPED: "What queues of the tools process had no room for.",
}
_DROPPED = "_dropped"
AnyFamily = GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily


class MetricsText(Collector):
    """`figures`: numbers of the tools process, prefixed by the outlet's name.

    A counter that appears with its first count is a counter whose first count Prometheus cannot see: so what may be
    counted begins at zero.
    """

    def __init__(
        self,
        latest: Latest,
        story: StoryLedger,
        figures: Callable[[], Mapping[str, int]],
        clock: Callable[[], int],
    ) -> None:
        self._latest = latest
        self._story = story
        self._figures = figures
        self._clock = clock
        self._texts: dict[bool, tuple[bytes, str]] = {}
        self._made_ms = 0
        self._was_known = False
        self.made = 0

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type, in the format that `accept` asks for (the header of that name)."""
        now_ms, is_known = self._clock(), not self._latest.reason()
        if now_ms >= self._made_ms + FRESH_MS or is_known != self._was_known:
            self._texts.clear()
            self._made_ms, self._was_known = now_ms, is_known
        is_openmetrics = wants_openmetrics(accept)
        if is_openmetrics not in self._texts:
            encode, content_type = choose_encoder(f"{OPENMETRICS};version=1.0.0" if is_openmetrics else "")
            self._texts[is_openmetrics] = encode(self), content_type
            self.made += 1
        return self._texts[is_openmetrics]

    def collect(self) -> Iterator[Metric]:
        """Every family, for the library's encoders."""
        picture = self._latest.picture()
        up = GaugeMetricFamily(UP, HELP[UP])
        up.add_metric((), float(picture is not None))
        yield up
        yield from self._of_tools(picture)
        if picture is None:
            return
        yield from (_family(family, picture) for family in FROM_STATUS)
        yield from self._of_story(picture)

    def _of_tools(self, picture: Picture | None) -> Iterator[Metric]:
        dropped = CounterMetricFamily(TOOLS_DROPPED, HELP[TOOLS_DROPPED], labels=("queue",))
        figures = _family(FIGURES, picture) if picture is not None else _empty(FIGURES)
        for name, number in sorted(self._figures().items()):
            if name.endswith(_DROPPED):
                dropped.add_metric((name.removesuffix(_DROPPED),), number)
            else:
                figures.add_metric(("tools", name), number)
        yield dropped
        yield figures

    def _of_story(self, picture: Picture) -> Iterator[Metric]:
        counts = self._story.counts
        causes = (*dict.fromkeys(CAUSES.values()), OTHER)
        groups = sorted({group.name for group in picture.groups})

        takeovers = CounterMetricFamily(TAKEOVERS, HELP[TAKEOVERS], labels=("group", "cause"))
        for group, cause in sorted({*((g, c) for g in groups for c in causes), *counts.takeovers}):
            takeovers.add_metric((group, cause), counts.takeovers[group, cause])
        yield takeovers

        durations = HistogramMetricFamily(DURATION, HELP[DURATION], labels=("cause",))
        for cause in causes:
            found = counts.durations.get(cause) or Durations()
            bounds = (*(str(bound) for bound in BUCKETS_S), "+Inf")
            within = list(zip(bounds, accumulate(found.within), strict=True))
            durations.add_metric((cause,), within, found.sum_s)
        yield durations

        for name, level in ((ALARMS, "alarm"), (WARNINGS, "warning")):
            told = CounterMetricFamily(name, HELP[name], labels=("code",))
            known = (code.name for code in CATALOGUE.values() if code.in_story and level in code.levels)
            for code in sorted({*known, *(code for at, code in counts.told if at == level)}):
                told.add_metric((code,), counts.told[level, code])
            yield told

        for name, by_group in ((RECOVERED, counts.recovered), (LOST, counts.lost)):
            legs = CounterMetricFamily(name, HELP[name], labels=("group",))
            for group in sorted({*groups, *by_group}):
                legs.add_metric((group,), by_group[group])
            yield legs


def wants_openmetrics(accept: str) -> bool:
    """Which of the two formats the header asks for first; neither is the older one."""
    kinds = (wanted.partition(";")[0].strip().lower() for wanted in accept.split(","))
    return next((kind for kind in kinds if kind in (OPENMETRICS, "text/plain")), "") == OPENMETRICS


def _empty(family: Family) -> AnyFamily:
    match family.kind:
        case Kind.GAUGE:
            return GaugeMetricFamily(family.name, family.help, labels=family.labels)
        case Kind.COUNTER:
            return CounterMetricFamily(family.name, family.help, labels=family.labels)
        case Kind.UNKNOWN:
            return UnknownMetricFamily(family.name, family.help, labels=family.labels)


def _family(family: Family, picture: Picture) -> AnyFamily:
    metric = _empty(family)
    for labels, number in family.rows(picture):
        metric.add_metric(labels, number)
    return metric


def metric_names() -> frozenset[str]:
    """Every name that a query may ask for."""
    counters = (TAKEOVERS, ALARMS, WARNINGS, RECOVERED, LOST, TOOLS_DROPPED)
    return frozenset(
        {
            UP,
            *(family.sample_name for family in (*FROM_STATUS, FIGURES)),
            *(f"{name}_total" for name in counters),
            *(f"{DURATION}{part}" for part in ("_bucket", "_sum", "_count")),
        }
    )


def label_names() -> frozenset[str]:
    """Every label that a query may ask for."""
    listed = (label for family in (*FROM_STATUS, FIGURES) for label in family.labels)
    return frozenset((*listed, "cause", "le", "queue"))
