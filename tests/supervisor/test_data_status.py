from __future__ import annotations

from tests.control.cluster import Cluster, settings
from zcluster.control.view import view
from zcluster.supervisor.data_words import DataFacts
from zcluster.supervisor.status import Surroundings, status_of
from zcluster.supervisor.story import Story
from zcluster.wire.local_link import Completeness


def document(data: DataFacts | None) -> dict[str, object]:
    cluster = Cluster(settings(1, 1), "a")
    around = Surroundings(
        version="1",
        incarnation=7,
        up_ms=1,
        wall_ms=1,
        silence_ms=200,
        is_observing=False,
        links=(),
        notices=(),
        warnings=(),
        counters={},
        data=data,
    )
    return status_of(view(cluster.nodes["a"], 0), around, Story(()))


def test_a_node_without_a_data_process_says_so() -> None:
    found = document(None)
    assert (found["switch"], found["copies"]) == (None, None)


def test_a_data_process_that_has_said_nothing() -> None:
    found = document(DataFacts(None, 2, is_settled=False, problems={}, completeness=None))
    assert found["switch"] == {"is_known": False, "problems": [], "pid": None, "restarts": 2}
    assert found["copies"] == {"is_ready": False, "reason": "", "nodes": []}


def test_what_it_said_of_the_switch_and_of_each_copy() -> None:
    copies = Completeness((("pbx2", 100), ("pbx3", 40)), False, "pbx3 40 %")
    problems = {"switch": "gone", "switch profile sip1": "not running"}
    found = document(DataFacts(4711, 0, is_settled=True, problems=problems, completeness=copies))
    assert found["switch"] == {
        "is_known": True,
        "problems": ["switch: gone", "switch profile sip1: not running"],
        "pid": 4711,
        "restarts": 0,
    }
    assert found["copies"] == {
        "is_ready": False,
        "reason": "pbx3 40 %",
        "nodes": [{"name": "pbx2", "percent": 100}, {"name": "pbx3", "percent": 40}],
    }
