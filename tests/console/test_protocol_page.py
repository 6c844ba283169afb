from __future__ import annotations

import re
from pathlib import Path

import pytest

from zcluster.console.protocol_page import diagram, main, with_diagram
from zcluster.control.ownership import TRANSITIONS, Phase

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_page_shows_the_table_that_the_code_follows() -> None:
    page = PAGE.read_text("utf-8")
    assert with_diagram(page) == page


def test_each_row_of_the_table_is_an_arrow() -> None:
    arrows = re.findall(r"^    (\w+) --> (\S+): (.+)$", diagram(), re.MULTILINE)
    assert len(arrows) == len(TRANSITIONS)
    assert {before for before, _, _ in arrows} == {phase.name for phase in Phase if phase is not Phase.GONE}


def test_a_page_without_a_place_says_so(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="no place for the diagram"):
        main(page)
