"""All that top has been told: the newest documents, the story, and what must be remembered to tell rates.

What must hold: pure, `take` gives a new value; bounded whatever comes in; while nothing comes the last documents
stay, and how old they are is known. Times are monotonic milliseconds of this process, but for those of records.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zcluster.console.top.events import Came, Event, Lost, Told, Unreachable
from zcluster.console.top.picture import Picture, picture_of
from zcluster.console.top.reading import clean
from zcluster.console.top.story import StoryRow, grown
from zcluster.console.top.streams import LimitRow, Sample, Streams, limits_of, sample_of, streams_of

NO_REASON = "nothing comes any more"
RATE_WINDOW_MS = 10_000
LEAST_SAMPLE_MS = 900


@dataclass(frozen=True, slots=True)
class Documents:
    """`trouble` says why nothing comes, "" while it does; `lost` counts records that could not be kept for us."""

    picture: Picture | None = None
    picture_ms: int = 0
    streams: Streams | None = None
    samples: tuple[Sample, ...] = ()
    limits: tuple[LimitRow, ...] = ()
    story: tuple[StoryRow, ...] = ()
    lost: int = 0
    trouble: str = ""
    trouble_ms: int = 0

    def take(self, event: Event, now_ms: int) -> Documents:
        """What is known after the event."""
        match event:
            case Came("status", body):
                return replace(self, picture=picture_of(body), picture_ms=now_ms, trouble="", trouble_ms=0)
            case Came("streams", body) if not body:
                return replace(self, streams=None, samples=())
            case Came("streams", body):
                return self._sampled(sample_of(body, now_ms))
            case Came("limits", body):
                return replace(self, limits=limits_of(body))
            case Told(records, is_anew):
                known = () if is_anew else self.story
                return replace(self, story=grown(known, records))
            case Lost(count):
                return replace(self, lost=self.lost + count)
            case Unreachable(reason):
                since_ms = self.trouble_ms if self.trouble else now_ms
                return replace(self, trouble=clean(reason) or NO_REASON, trouble_ms=since_ms)
        return self

    def age_ms(self, now_ms: int) -> int:
        """How old the picture is."""
        return max(0, now_ms - self.picture_ms)

    @property
    def is_old(self) -> bool:
        """Whether what is shown may no longer be true."""
        return bool(self.trouble)

    def _sampled(self, sample: Sample) -> Documents:
        if self.samples and sample.at_ms - self.samples[-1].at_ms < LEAST_SAMPLE_MS:
            return replace(self, streams=streams_of(sample, self.samples[0]))
        kept = tuple(each for each in self.samples if sample.at_ms - each.at_ms <= RATE_WINDOW_MS)
        return replace(self, samples=(*kept, sample), streams=streams_of(sample, kept[0] if kept else None))
