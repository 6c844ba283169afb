from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.texts import GOOD, GROUP, accepted
from zcluster.config.load import load
from zcluster.data.telephony_settings import telephony_settings_of
from zcluster.telephony.settings import Condition, GroupSettings, TelephonySettings

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "example.toml"


def test_everything_of_the_file_that_concerns_the_switch_reaches_it() -> None:
    text = GOOD.replace('101/24"]', '101/24", "fd77:9:0::101/64"]') + 'profiles = ["sip1", "sip1-tls"]\n'
    text += GROUP.replace("sip1", "media").replace("101", "103")
    text += "[switch]\npulse-ms = 50\npulse-limit-ms = 200\nbatch-calls = 20\nlimits-port = 8032\n"
    text += '[[switch.condition]]\nevent = "sofia::gateway_state"\nmatch = { Gateway = "trunk1", State = "DOWN" }\n'
    text += '[[limit]]\nname = "outbound_gateway1"\nrate = 30\n'
    text += '[[limit]]\nname = "outbound_trunk"\nsessions = 100\n'
    text += '[[limit]]\nname = "outbound_both"\nsessions = 10\nrate = 2\n'
    assert telephony_settings_of(accepted(text), "pbx7") == TelephonySettings(
        node="pbx7",
        groups=(
            GroupSettings("sip1", ("sip1", "sip1-tls"), ("10.77.9.101", "fd77:9::101")),
            GroupSettings("media", (), ("10.77.9.103",)),
        ),
        pulse_ms=50,
        pulse_limit_ms=200,
        conditions=(Condition("sofia::gateway_state", (("Gateway", "trunk1"), ("State", "DOWN"))),),
        batch_calls=20,
        rates={"outbound_gateway1": 30, "outbound_both": 2},
        strict_limits={"outbound_trunk": 100, "outbound_both": 10},
        limits_port=8032,
    )


def test_only_the_name_differs_from_node_to_node() -> None:
    example = load(EXAMPLE)
    one, other = telephony_settings_of(example, "pbx1"), telephony_settings_of(example, "pbx2")
    assert (one.node, other.node) == ("pbx1", "pbx2")
    assert one.groups == other.groups
    assert one.group_of_profile("sip2") == "sip2"


def test_a_file_without_a_switch_has_no_such_settings() -> None:
    with pytest.raises(AssertionError, match="no data process"):
        telephony_settings_of(accepted(GOOD), "pbx1")
