"""Lengths of time in words, as every text that is told or shown has them."""

from __future__ import annotations


def duration(length_ms: int) -> str:
    """A length of time for people: "140 ms", "4.2 s", "3 min 5 s", "2 h 13 min", "4 d 7 h"."""
    if length_ms < 1000:
        return f"{length_ms} ms"
    if length_ms < 60_000:
        return f"{length_ms / 1000:.1f} s"
    minutes, seconds = divmod(length_ms // 1000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
