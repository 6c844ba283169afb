from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters import wire as wires


@pytest.fixture
def wire() -> Iterator[wires.Wire]:
    """Two namespaces and a cable, gone after the test."""
    built = wires.build()
    yield built
    wires.destroy(built)
