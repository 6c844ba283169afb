from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.examples import examples
from tests.tools.canned import record, status, takeover, with_group, with_node
from zcluster.tools.latest import Latest
from zcluster.tools.metrics import FRESH_MS, MetricsText, metric_names
from zcluster.tools.metrics_families import FIGURES, FROM_STATUS
from zcluster.tools.metrics_story import MOST_LABELS, StoryLedger
from zcluster.tools.outlet import StatusDocument

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class World:
    def __init__(self, document: StatusDocument | None = None) -> None:
        self.now_ms = 1_000_000
        self.latest = Latest(lambda: self.now_ms)
        self.story = StoryLedger("n2")
        self.figures = {"bus_dropped": 2, "hooks_page_dropped": 1, "http_requests": 7}
        self.text = MetricsText(self.latest, self.story, lambda: self.figures, lambda: self.now_ms)
        if document is not None:
            self.latest.take(document)

    def read(self, accept: str = "") -> str:
        self.now_ms += FRESH_MS
        return self.text.text(accept)[0].decode()

    def values(self) -> Values:
        return values_of(plain(self.read()))


def values_of(families: Iterable[Metric]) -> Values:
    found: Values = {}
    for family in families:
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, "told once"
            found[key] = sample.value
    return found


def of(values: Values, name: str, **labels: str) -> float | None:
    return values.get((name, frozenset(labels.items())))


def test_what_an_operator_looks_at_first() -> None:
    values = World(status()).values()
    for name, labels, expected in (
        ("zcluster_up", {}, 1),
        ("zcluster_group_held", {"group": "g1"}, 1),
        ("zcluster_group_held_here", {"group": "g1"}, 1),
        ("zcluster_group_held_here", {"group": "g2"}, 0),
        ("zcluster_group_holder_info", {"group": "g2", "holder": "n3"}, 1),
        ("zcluster_group_epoch", {"group": "g1"}, 65),
        ("zcluster_group_held_seconds", {"group": "g1"}, 3.073),
        ("zcluster_group_held_seconds", {"group": "g2"}, None),
        ("zcluster_nodes_heard", {}, 3),
        ("zcluster_voters", {}, 3),
        ("zcluster_quorum", {}, 2),
        ("zcluster_is_frozen", {}, 0),
        ("zcluster_node_position", {"node": "n1"}, 1),
        ("zcluster_node_position", {"node": "n3"}, None),
        ("zcluster_node_clock_offset_seconds", {"node": "n1"}, -0.001),
        ("zcluster_node_clock_offset_seconds", {"node": "n2"}, None),
        ("zcluster_link_loss_ratio", {"node": "n3", "link": "ring1"}, 0),
        ("zcluster_link_silence_seconds", {"node": "n3", "link": "ring1"}, 0.021),
        ("zcluster_link_round_trip_seconds", {"node": "n3", "link": "ring1"}, 0.000187),
        ("zcluster_link_behind_seconds", {"node": "n3", "link": "ring2"}, 0.001),
        ("zcluster_tools_process_restarts_total", {}, 1),
        ("zcluster_link_up", {"link": "service"}, 1),
        ("zcluster_copy_completeness_ratio", {"node": "n3"}, 1),
        ("zcluster_switch_well", {}, 1),
        ("zcluster_switch_pulse_seconds", {}, 0.021),
        ("zcluster_records", {"stream": "calls", "whose": "own"}, 0),
        ("zcluster_records", {"stream": "limits", "whose": "copied"}, 3),
        ("zcluster_process_cpu_seconds_total", {"process": "data"}, 1.66),
        ("zcluster_tick_worst_late_seconds", {}, 0.001),
        ("zcluster_state", {"state": "MASTER"}, 1),
        ("zcluster_state", {"state": "SLAVE"}, 0),
        ("zcluster_build_info", {"version": "0.1.0"}, 1),
        ("zcluster_tools_dropped_total", {"queue": "bus"}, 2),
        ("zcluster_tools_dropped_total", {"queue": "hooks_page"}, 1),
        ("zcluster_figure", {"process": "control", "figure": "beats_late"}, 9),
        ("zcluster_figure", {"process": "data", "figure": "bus_silences"}, 3),
        ("zcluster_figure", {"process": "tools", "figure": "http_requests"}, 7),
    ):
        found = of(values, name, **labels)
        assert found == (pytest.approx(expected) if expected is not None else None), name


def test_what_changes_in_the_cluster_changes_here() -> None:
    for document, name, labels, expected in (
        (with_group("g1", holder="", counter=None, since_ms=None), "zcluster_group_held", {"group": "g1"}, 0),
        (with_group("g1", holder="", counter=None), "zcluster_group_epoch", {"group": "g1"}, None),
        (with_group("g1", phase="LAPSED"), "zcluster_group_held_here", {"group": "g1"}, 0),
        (status(mode="observe"), "zcluster_group_held_here", {"group": "g1"}, 0),
        (status(mode="observe"), "zcluster_group_held", {"group": "g1"}, 0),
        (status(freeze={"reason": "x"}), "zcluster_is_frozen", {}, 1),
        (status(freeze={"reason": "x", "age_ms": 1500}), "zcluster_freeze_seconds", {}, 1.5),
        (status(), "zcluster_freeze_seconds", {}, None),
        (status(hears_majority=False), "zcluster_majority_heard", {}, 0),
        (with_node("n1", is_heard=False), "zcluster_nodes_heard", {}, 2),
        (with_node("n1", unready=["no"]), "zcluster_node_ready", {"node": "n1"}, 0),
        (status(switch=None, copies=None), "zcluster_switch_well", {}, None),
        (status(switch=None, copies=None), "zcluster_copies_ready", {}, None),
        (
            status(switch={"is_known": True, "problems": ["switch: no pulse"], "pid": 7, "restarts": 2}),
            "zcluster_switch_well",
            {},
            0,
        ),
        (
            status(warnings=[{"level": "alarm", "code": "gate-lost", "text": "x"}] * 2),
            "zcluster_status_warnings",
            {"level": "alarm", "code": "gate-lost"},
            2,
        ),
    ):
        assert of(World(document).values(), name, **labels) == expected, name


def test_without_the_daemon_nothing_of_it_is_left() -> None:
    world = World(status())
    world.story.add(takeover())
    assert len(world.values()) > 100
    world.latest.lose("gone")
    left = world.values()
    assert of(left, "zcluster_up") == 0
    assert {name for name, _ in left} == {"zcluster_up", "zcluster_tools_dropped_total", "zcluster_figure"}
    assert {dict(labels)["process"] for name, labels in left if name == "zcluster_figure"} == {"tools"}


def test_a_loss_is_told_though_a_text_is_fresh() -> None:
    world = World(status())
    assert "zcluster_up 1.0" in world.text.text("")[0].decode()
    world.latest.lose("gone")
    assert "zcluster_up 0.0" in world.text.text("")[0].decode()


def test_a_text_is_made_once_for_who_asks_at_the_same_time() -> None:
    world = World(status())
    for _ in range(50):
        world.text.text("")
        world.text.text(OPENMETRICS)
    assert world.text.made == 2
    for number in range(50):
        _, content_type = world.text.text(
            f"application/openmetrics-text; version=1.{number}.0; escaping=dots"
        )
        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert world.text.text("text/plain;version=1.0.0;escaping=allow-utf-8")[1].startswith("text/plain")
    assert world.text.made == 2


WORDS = st.sampled_from(
    [
        "application/openmetrics-text",
        "text/plain",
        "*/*",
        ";version=",
        ";escaping=",
        "1.0.0",
        "abc",
        "\u00b2",
        ",",
        ";",
        "q=0",
    ]
)


@settings(max_examples=examples(50))
@given(st.lists(WORDS, max_size=10).map("".join) | st.text(st.characters(max_codepoint=255), max_size=60))
def test_whatever_is_asked_for_there_is_a_text(accept: str) -> None:
    text, content_type = World(status()).text.text(accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0") == text.endswith(b"# EOF\n")


def test_takeovers_are_counted_by_cause_and_measured() -> None:
    world = World(status())
    for number, (group, why) in enumerate(
        [
            ("g1", "silence"),
            ("g1", "silence"),
            ("g2", "released: operator"),
            ("g1", "no holder known"),
            ("g1", "x"),
        ]
    ):
        assert world.story.add(takeover(group, why, number))
    values = world.values()
    name = "zcluster_takeovers_total"
    assert of(values, name, group="g1", cause="silence") == 2
    assert of(values, name, group="g2", cause="operator") == 1
    assert of(values, name, group="g2", cause="silence") == 0, "there before it is counted"
    assert of(values, name, group="g1", cause="other") == 1, "a cause of another version"
    name = "zcluster_takeover_duration_seconds"
    assert of(values, f"{name}_count", cause="silence") == 2
    assert of(values, f"{name}_sum", cause="silence") == pytest.approx(0.416)
    assert of(values, f"{name}_bucket", cause="silence", le="0.2") == 0
    assert of(values, f"{name}_bucket", cause="silence", le="0.25") == 2
    assert of(values, f"{name}_bucket", cause="operator", le="0.01") == 1
    assert of(values, f"{name}_count", cause="no_holder_known") == 0, "nobody was without it before"


def test_a_peer_counts_for_itself() -> None:
    world = World(status())
    assert not world.story.add(takeover()._replace(node="n1"))
    assert of(world.values(), "zcluster_takeovers_total", group="g1", cause="silence") == 0


def test_alarms_and_legs() -> None:
    world = World(status())
    world.story.add(record("gate-lost", "alarm"))
    world.story.add(record("stalled", "warning"))
    world.story.add(record("calls-recovered", group="g1", recovered=98, lost=2))
    world.story.add(record("calls-recovered", group="g1", recovered="many", lost=-2))
    values = world.values()
    assert of(values, "zcluster_alarms_total", code="gate-lost") == 1
    assert of(values, "zcluster_warnings_total", code="stalled") == 1
    assert of(values, "zcluster_recovered_legs_total", group="g1") == 98
    assert of(values, "zcluster_lost_legs_total", group="g1") == 2
    assert of(World(status()).values(), "zcluster_alarms_total", code="gate-lost") == 0


def test_labels_are_bounded() -> None:
    ledger = StoryLedger("n2")
    for number in range(2 * MOST_LABELS):
        ledger.add(record(f"code-{number}", "alarm"))
        ledger.add(takeover(f"group-{number}"))
    assert len(ledger.counts.told) == MOST_LABELS
    assert len(ledger.counts.takeovers) == MOST_LABELS


def test_both_formats_say_the_same() -> None:
    world = World(status())
    world.story.add(takeover())
    assert values_of(plain(world.read())) == values_of(openmetrics(world.read(OPENMETRICS)))  # type: ignore[no-untyped-call]


def test_hostile_words_cannot_leave_their_label() -> None:
    hostile = 'n1"} 1\nzcluster_up 0\n# {x="'
    values = World(status(nodes=[{"name": hostile, "is_heard": True}])).values()
    assert of(values, "zcluster_up") == 1
    assert of(values, "zcluster_node_heard", node=hostile.replace("\n", "\N{REPLACEMENT CHARACTER}")) == 1


def test_every_name_is_one_that_is_documented() -> None:
    warnings = [{"level": "alarm", "code": "gate-lost"}]
    world = World(status(warnings=warnings, freeze={"age_ms": 1}))
    world.story.add(takeover())
    world.story.add(record("stalled", "warning"))
    told = {name for name, _ in world.values()}
    assert told == metric_names()


def test_the_document_lists_every_metric() -> None:
    written = dict(
        re.findall(r"^\| `(zcluster_\w+)(?:\{[^}]*\})?` \| (.*?) \|$", DOCUMENT.read_text("utf-8"), re.M)
    )
    families = {family.sample_name: family.help for family in (*FROM_STATUS, FIGURES)}
    for name, text in families.items():
        assert written.get(name) == text, name
    assert written.keys() == {re.sub("_(bucket|sum|count)$", "", name) for name in metric_names()}


def test_prometheus_finds_no_fault_with_it() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    world = World(status())
    world.story.add(takeover())
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=world.read(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
