"""The alert rules and the dashboard that are shipped ask for metrics that exist, and Prometheus takes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zcluster.codes.catalogue import CATALOGUE
from zcluster.tools.metrics import label_names, metric_names

TESTS = Path(__file__).resolve().parent
PACKAGING = TESTS.parents[1] / "packaging"
RULES = PACKAGING / "prometheus" / "zcluster.rules.yml"
RULE_TESTS = TESTS / "zcluster.rules.test.yml"
DASHBOARD = PACKAGING / "grafana" / "zcluster.json"
OF_PROMETHEUS = {"job", "instance"}


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    return subprocess.run([found, *words], capture_output=True, text=True, timeout=60, check=False)


def alerts() -> list[str]:
    """The text of each alert."""
    return re.split(r"^ +- alert: ", RULES.read_text("utf-8"), flags=re.M)[1:]


def queries(value: Any) -> Iterator[str]:
    """Every `expr` of a dashboard, wherever it stands."""
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        for inner in value.values():
            yield from queries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from queries(inner)


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text("utf-8"))


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bzcluster_\w+", expression))


def labels_in(expression: str) -> set[str]:
    listed = re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expression)
    matched = re.findall(r"[{,]\s*(\w+)\s*=", expression)
    return {word.strip() for words in listed for word in words.split(",") if word.strip()} | set(matched)


def test_the_rules_ask_for_what_exists() -> None:
    expressions = re.findall(r"expr: (?:>-\n)?(.*?)\n +(?:for|labels):", RULES.read_text("utf-8"), re.S)
    assert len(expressions) == len(alerts()) > 20
    for expression in expressions:
        assert names_in(expression) <= metric_names(), expression
        assert names_in(expression), expression
        assert labels_in(expression) <= label_names() | OF_PROMETHEUS, expression


def test_every_alert_says_what_it_is_and_where_to_read_on() -> None:
    for alert in alerts():
        assert re.search(r"severity: (critical|warning|info)\b", alert), alert
        assert re.search(r"^ +summary: \S", alert, re.M), alert
        assert re.search(r"^ +description: ", alert, re.M), alert
        named = re.findall(r"`zcluster explain (\{\{ \$labels\.code \}\}|[a-z-]+)`", alert)
        assert named, alert
        assert set(named) <= CATALOGUE.keys() | {"{{ $labels.code }}"}, alert


def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


def test_the_rules_wake_for_what_they_should() -> None:
    done = promtool("test", "rules", str(RULE_TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_asks_for_what_exists() -> None:
    found = list(queries(dashboard()))
    assert len(found) > 20
    for query in found:
        assert names_in(query), query
        assert names_in(query) <= metric_names(), query
        assert labels_in(query) <= label_names() | OF_PROMETHEUS, query


def test_prometheus_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, query in enumerate(queries(dashboard())):
        concrete = query.replace("$__rate_interval", "1m").replace("$job", "pbx")
        lines += [f"      - record: query:{number}", f"        expr: {json.dumps(concrete)}"]
    rules = tmp_path / "rules.yml"
    rules.write_text("\n".join(lines), "utf-8")
    done = promtool("check", "rules", str(rules))
    assert done.returncode == 0, done.stderr


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    identities = [panel["id"] for panel in dashboard()["panels"]]
    assert len(identities) == len(set(identities))
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
