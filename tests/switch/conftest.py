"""Hypothesis without its deadline: a loaded machine must not fail a property that holds."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
