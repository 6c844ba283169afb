from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.texts import GOOD, RING, SERVICE, accepted, one_fault, refused
from zcluster.config.configuration import ToolsSettings
from zcluster.config.load import load
from zcluster.config.tools_dangers import tools_dangers

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "example.toml"


def test_without_the_section_nothing_listens() -> None:
    tools = accepted(GOOD).tools
    assert (tools.listen, tools.metrics, tools.readers) == ((), "off", ("reader",))
    assert tools.switch_events, "the switch of this host hears of it all the same"


def test_an_empty_section_is_a_bus_for_this_host_alone() -> None:
    assert accepted(GOOD + "[tools]\n").tools == ToolsSettings(listen=("loopback",))


def test_the_example_says_what_is_the_default() -> None:
    assert load(EXAMPLE).tools == accepted(GOOD + "[tools]\n").tools


def test_everything_that_can_be_said() -> None:
    text = GOOD + (
        '[tools]\nlisten = ["service", "loopback"]\nport = 7800\nreaders = ["grafana", "ops"]\n'
        'metrics = "service"\nmetrics-port = 9500\nswitch-events = false\n'
    )
    assert accepted(text).tools == ToolsSettings(
        listen=("service", "loopback"),
        port=7800,
        readers=("grafana", "ops"),
        metrics="service",
        metrics_port=9500,
        switch_events=False,
    )


@pytest.mark.parametrize(
    ("lines", "key", "wrong"),
    [
        ('listen = ["north"]\n', "tools.listen[0]", "there is no link 'north'"),
        ('listen = "loopback"\n', "tools.listen", "list"),
        ('listen = ["ring1", "ring1"]\n', "tools.listen[1]", "twice"),
        ('readers = ["ops", "ops"]\n', "tools.readers[1]", "twice"),
        ('readers = ["a b"]\n', "tools.readers[0]", "cannot be a name"),
        ('metrics = "north"\n', "tools.metrics", "there is no link 'north'"),
        ("port = 65535\n", "tools.port", "65535"),
        ("metrics-port = 7711\n", "tools.metrics-port", "7710"),
        ('listen = ["ring1"]\nport = 7701\n', "tools.port", "7701 on ring1 is the bus-port of link[0]"),
        ('listen = ["ring1"]\nport = 7700\n', "tools.port", "7701 on ring1 is the bus-port of link[0]"),
        ("prot = 7\n", "tools.prot", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_key(lines: str, key: str, wrong: str) -> None:
    fault = one_fault(GOOD + "[tools]\n" + lines)
    assert fault.key == key
    assert wrong in fault.wrong
    assert fault.mend


def test_ports_of_the_switch_and_of_the_streams_are_taken_too() -> None:
    text = GOOD + 'profiles = ["sip1"]\n[switch]\n[tools]\nport = 8021\n'
    assert [fault.key for fault in refused(text)] == ["tools.port", "tools.port"]
    text = GOOD + 'profiles = ["sip1"]\n[switch]\n[tools]\nmetrics = "ring1"\nmetrics-port = 7703\n'
    assert one_fault(text).key == "tools.metrics-port"
    accepted(GOOD + '[tools]\nmetrics = "ring1"\nmetrics-port = 7703\n')


def test_ports_of_another_place_are_free() -> None:
    accepted(GOOD + '[tools]\nlisten = ["loopback"]\nport = 7700\n')


def test_a_link_cannot_be_called_loopback_where_that_means_something() -> None:
    text = GOOD.replace('name = "ring1"', 'name = "loopback"')
    accepted(text)
    assert one_fault(text + "[tools]\n").key == "link[0].name"


def test_all_faults_at_once() -> None:
    text = GOOD.replace(RING, RING + "ttl = 0\n") + '[tools]\nport = 0\nmetrics-port = "x"\nreaders = [1]\n'
    assert {fault.key for fault in refused(text)} == {
        "link[0].ttl",
        "tools.port",
        "tools.metrics-port",
        "tools.readers[0]",
    }
    assert refused(SERVICE + "[[tools]]\n")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", []),
        ("[tools]\n", []),
        ("[tools]\nreaders = []\n", ["tools.readers"]),
        ("[tools]\nreaders = []\nlisten = []\n", []),
        ('[tools]\nmetrics = "ring1"\n', []),
        ('[tools]\nmetrics = "service"\n', ["tools.metrics"]),
    ],
)
def test_what_is_dangerous_or_means_nothing(lines: str, found: list[str]) -> None:
    warned = list(tools_dangers(accepted(GOOD + lines)))
    assert [fault.key for fault in warned] == found
    assert all(fault.mend for fault in warned)
