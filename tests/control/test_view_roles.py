from __future__ import annotations

from tests.control.company import Company, settings
from zcluster.control.view import view


def test_the_view_says_who_never_holds_by_the_file() -> None:
    company = Company(conf=settings(never_master=("b", "e", "zz*")))
    company.start()
    company.living.discard("b")
    company.wait(1000)
    assert [node.name for node in view(company.node, company.now_ms).nodes if node.is_never_master] == [
        "b",
        "e",
    ]
