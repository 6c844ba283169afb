"""The errors zcluster raises on purpose: one tree, so that a caller can catch "ours" and nothing else.

What must hold: every message names the place (file, key, interface, peer) and, where one is known, the mend.
An error that is not in this tree is a defect and ends the process with a trace; one that is in it ends a
command with one readable line.
"""

from __future__ import annotations


class ZclusterError(Exception):
    """The root: everything zcluster refuses on purpose."""


class ConfigurationError(ZclusterError):
    """The configuration file cannot be used: its message lists every fault at once."""


class KeyFileError(ZclusterError):
    """The cluster key is missing, readable by others, or not a key."""


class IdentityError(ZclusterError):
    """This host cannot tell which node it is, or which local address belongs to which network."""


class BadMessage(ZclusterError):
    """Bytes from the network that are not a well-formed, authentic message of this cluster.

    `kind` is one word to count it under ("mac", "short", "malformed", ...).
    """

    def __init__(self, message: str, kind: str = "malformed") -> None:
        super().__init__(message)
        self.kind = kind


class SwitchError(ZclusterError):
    """Something between us and a telephone switch: see its two kinds."""


class CommandRefused(SwitchError):
    """A command for the switch cannot be expressed: its text would end it early or say something else."""


class SwitchUnavailable(SwitchError):
    """The switch cannot be asked now: not connected, or too much is waiting for it already."""


class KernelRefused(ZclusterError):
    """The kernel turned down an operation (address, route, packet filter, neighbour, socket option)."""


class LinkBroken(KernelRefused):
    """A network's interface or address is gone: what stood on it must be closed and opened anew later."""


class StateFileError(ZclusterError):
    """A file that must survive a restart (ballot ceilings, founding, journal) cannot be read or written."""


class ControlSocketError(ZclusterError):
    """The local daemon cannot be asked: it is not running, is not ours to ask, or did not answer."""


class BusError(ZclusterError):
    """The bus for tools cannot be read: nobody listens there, nobody answers, or the question was refused."""


class BusRefused(BusError):
    """The bus for tools does not admit this reader's key."""


class LabError(ZclusterError):
    """The laboratory cannot be built or did not behave: a missing tool or privilege, a failed check."""


class SimulationError(ZclusterError):
    """A simulated run broke an invariant or was given a scenario that cannot be run."""


class RecordingError(ZclusterError):
    """A recording of the core's inputs cannot be read, or was made by a core that this one cannot continue."""
