"""From when on: "2h", "90 min", "3d", "15:04" or ISO 8601, as operators type it.

What must hold: pure; a time of day means the last time that it was so; a time in the future is refused.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from zcluster.errors import ZclusterError

_SPAN = re.compile(r"(\d{1,6}) ?(s|min|m|h|d)")
_UNIT_MS = {"s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def since_ms(text: str, now_ms: int) -> int:
    """Wall-clock milliseconds since 1970. Raises ZclusterError for what is no time, or not past."""
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        return max(now_ms - int(span[1]) * _UNIT_MS[span[2]], 0)
    now = datetime.fromtimestamp(now_ms / 1000)
    clock = _TIME_OF_DAY.fullmatch(text.strip())
    try:
        if clock is not None:
            hour, minute, second = (int(part or 0) for part in clock.groups())
            moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            moment -= timedelta(days=1) if moment > now else timedelta()
        else:
            moment = datetime.fromisoformat(text.strip())
        found_ms = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ZclusterError(f'{text!r} is no time: write "2h", "3d", "15:04" or "2026-11-26T15:04"') from None
    if found_ms > now_ms:
        raise ZclusterError(f"{text!r} is in the future")
    return max(found_ms, 0)
