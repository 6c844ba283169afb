"""Hypothesis for all tests: no deadline, because a loaded machine must not fail a property that holds, and the
same examples in every CI run, because a submission must not fail for what it did not touch.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.examples import DEFAULT, examples

settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(DEFAULT)
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
