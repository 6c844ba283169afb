from __future__ import annotations

from rich.console import Console

from zcluster.lab.gaps import Probe
from zcluster.lab.picture import CELL_NS, STRIP_CELLS, WIDTH, AddressRow, NodeRow, draw, plain, strip

MS = 1_000_000
NOW_NS = 10_000 * MS
NODES = [
    NodeRow("n1", "MASTER", "g1", ""),
    NodeRow("n2", "no power", "", ""),
    NodeRow("n4", "SLAVE", "", "1st slave"),
]
ADDRESSES = [AddressRow("g1", "10.77.9.101", "n1", "#" * STRIP_CELLS)]


def test_all_answered() -> None:
    probes = [Probe(at * MS, at * MS + 1) for at in range(7000, 10_000, 2)]
    assert strip(probes, NOW_NS) == "#" * STRIP_CELLS


def test_one_miss_is_seen() -> None:
    probes = [Probe(at * MS, 0 if at == 9000 else at * MS + 1) for at in range(7000, 10_000, 2)]
    cells = strip(probes, NOW_NS)
    assert cells.count(".") == 1
    assert len(cells) == STRIP_CELLS
    assert cells.index(".") == STRIP_CELLS - 1 - (NOW_NS - 60 * MS - 9000 * MS) // CELL_NS


def test_the_newest_probes_are_not_shown_as_missed() -> None:
    assert "." not in strip([Probe(NOW_NS - 2 * MS, 0)], NOW_NS)


def test_both_pictures_fit_80_columns_and_say_the_same() -> None:
    console = Console(width=WIDTH, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(draw(NODES, ADDRESSES, ["  1.0 s  n2 is dead."]))
    drawn = console.export_text()
    written = "\n".join(plain(NODES, ADDRESSES))
    console.file.close()
    for text in (drawn, written):
        assert max(map(len, text.splitlines())) <= WIDTH
        for word in ("n1", "MASTER", "no power", "1st slave", "10.77.9.101"):
            assert word in text
    assert "n2 is dead." in drawn
