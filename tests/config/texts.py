"""TOML texts that the tests of this room share."""

from __future__ import annotations

from zcluster.config.configuration import Configuration
from zcluster.config.fault import Fault
from zcluster.config.load import read_bytes

CLUSTER = """
[cluster]
name = "pbx"
expected-nodes = 3
"""
RING = """
[[link]]
name = "ring1"
network = "10.77.1.0/24"
multicast = "239.77.1.1"
"""
SERVICE = """
[[link]]
name = "service"
role = "service"
network = "10.77.9.0/24"
multicast = "239.77.9.1"
"""
GROUP = """
[[group]]
name = "sip1"
addresses = ["10.77.9.101/24"]
"""
GOOD = CLUSTER + RING + SERVICE + GROUP


def accepted(text: str) -> Configuration:
    """The configuration of a text that must be good."""
    reading = read_bytes(text.encode())
    assert reading.faults == ()
    assert reading.configuration is not None
    return reading.configuration


def refused(text: str) -> tuple[Fault, ...]:
    """The faults of a text that must be bad."""
    reading = read_bytes(text.encode())
    assert reading.configuration is None
    assert reading.faults
    return reading.faults


def one_fault(text: str) -> Fault:
    """The only fault of a text that must be bad in one way."""
    (fault,) = refused(text)
    return fault
