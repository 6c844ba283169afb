"""`zcluster check` as the operator sees it: the golden files are reviewed as text.

To write them anew after a wanted change of wording: `ZCLUSTER_REWRITE_GOLDEN=1 pytest tests/console`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zcluster.cli import commands
from zcluster.config.host import HostFacts, KeyFileState
from zcluster.config.load import read, read_bytes
from zcluster.console.check import as_data, as_words, summary

GOLDEN = Path(__file__).parent / "golden"
FACTS = {
    "good": HostFacts(KeyFileState.GOOD, 0o600, real_time_permitted=True, tick_ms=1.0),
    "eight-mistakes": HostFacts(KeyFileState.GOOD, 0o600, real_time_permitted=True, tick_ms=1.0),
    "dangerous": HostFacts(KeyFileState.EXPOSED, 0o644, real_time_permitted=False, tick_ms=4.0),
    "syntax-error": HostFacts(KeyFileState.GOOD, 0o600, real_time_permitted=True, tick_ms=1.0),
}


@pytest.mark.parametrize("name", sorted(FACTS))
def test_the_words_are_the_golden_ones(name: str) -> None:
    reading = read(GOLDEN / f"{name}.toml")
    words = as_words(Path(f"{name}.toml"), reading, FACTS[name] if reading.configuration else None) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("ZCLUSTER_REWRITE_GOLDEN"):
        golden.write_text(words, encoding="utf-8")
    assert words == golden.read_text(encoding="utf-8")


def test_the_good_file_is_the_example_that_is_shipped() -> None:
    example = GOLDEN.parents[2] / "conf" / "example.toml"
    assert (GOLDEN / "good.toml").read_bytes() == example.read_bytes()


def test_the_json_says_the_same_as_the_words() -> None:
    reading = read(GOLDEN / "dangerous.toml")
    verdict = json.loads(as_data(Path("dangerous.toml"), reading, FACTS["dangerous"]))
    assert verdict["usable"] is True
    assert verdict["errors"] == []
    assert [warning["key"] for warning in verdict["warnings"]] == [
        "cluster.expected-nodes",
        "link",
        "timing.silence-ms",
        "group[0].addresses[0]",
        "cluster.key-file",
        "cluster.preset",
        "cluster.preset",
    ]
    assert verdict["summary"]["simultaneous_losses_survived"] == 1
    assert verdict["summary"]["successive_losses_survived"] == 2
    assert verdict["summary"]["slaves"] == 3


TWO = (
    '[cluster]\nname = "pbx"\nexpected-nodes = 2\n{0}[[link]]\nname = "lan"\nrole = "service"\n'
    'network = "10.77.9.0/24"\nmulticast = "239.77.9.1"\nreference = ["10.77.9.1"]\n'
    '[[group]]\nname = "sip1"\naddresses = ["10.77.9.101/24"]\n'
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "Not protected: the loss of either node"),
        ("survivor-claims = true\n", "Not protected: a cut of every network between two nodes"),
        ('mode = "observe"\n', "say what they would have done"),
        ('witnesses = ["w1"]\n', "votes and never carries traffic"),
    ],
)
def test_what_two_nodes_protect_and_a_witness_changes_is_said_in_words(line: str, said: str) -> None:
    reading = read_bytes(TWO.format(line.replace("\\n", "\n")).encode())
    assert reading.configuration is not None
    assert said in " ".join(" ".join(summary(reading.configuration)).split())


def test_what_all_hosts_keep_to_together_is_said_in_words() -> None:
    text = TWO.format("") + "[switch]\n"
    text += '[[limit]]\nname = "out_trunk"\nsessions = 100\nrate = 30\n[[limit]]\nname = "out_one"\nsessions = 1\n'
    text += "".join(f'[[limit]]\nname = "out_{number}"\nrate = 2\n' for number in range(8))
    configuration = read_bytes(text.encode()).configuration
    assert configuration is not None
    said = " ".join(" ".join(summary(configuration)).split())
    assert (
        "out_trunk: 30 calls a second and 100 calls at a time; out_one: 1 call at a time; out_0: 2 calls"
        in said
    )
    assert "out_5: 2 calls a second; 2 more." in said


def check(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["check", *(str(argument) for argument in arguments)])


def test_the_command_ends_with_0_for_a_file_that_can_be_used() -> None:
    result = check(GOLDEN / "dangerous.toml")
    assert result.exit_code == 0
    assert "can be used, with" in result.output


@pytest.mark.parametrize("name", ["eight-mistakes", "syntax-error", "missing"])
def test_the_command_ends_with_1_for_a_file_that_cannot(name: str) -> None:
    result = check(GOLDEN / f"{name}.toml")
    assert result.exit_code == 1
    assert "cannot be used: " in result.output


def test_the_command_prints_json_on_demand() -> None:
    result = check(GOLDEN / "eight-mistakes.toml", "--json")
    assert result.exit_code == 1
    verdict = json.loads(result.output)
    assert verdict["usable"] is False
    assert verdict["summary"] is None
    assert len(verdict["errors"]) == 8
    assert verdict["errors"][0] == {
        "key": "cluster.name",
        "line": 3,
        "wrong": "'my pbx' cannot be a name",
        "mend": "a name begins with a letter or digit, then letters, digits, '-', '_' or '.', 63 at most",
    }
