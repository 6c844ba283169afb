"""Every key that the cluster uses on the wire, derived from the one secret of the key file.

What must hold: knowing a derived key tells nothing of the secret or of another derived key (keyed
BLAKE2b, RFC 7693, one personalisation for each purpose). A reader's pair admits a tool to the bus without
letting it speak: it gives neither the beacon key nor the server's secret, nor the pair of another reader.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import zmq
from zmq.utils import z85

from zcluster.errors import KeyFileError

SECRET_BYTES = 32
DEFAULT_READER = "reader"


class CurvePair(NamedTuple):
    """A CurveZMQ key pair (RFC 26), both halves in Z85 (RFC 32), 40 characters each."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        """Shows the public half only: a trace must not leak a secret."""
        return f"CurvePair(public={self.public!r}, ...)"


class WireKeys(NamedTuple):
    """What one cluster secret gives. `identity` (0..255) travels in the clear, so that keys can rotate.

    `reader` is the pair of the reader DEFAULT_READER.
    """

    identity: int
    beacon: bytes
    server: CurvePair
    client: CurvePair
    reader: CurvePair

    def __repr__(self) -> str:
        """Names the keys without showing them."""
        return f"WireKeys(identity={self.identity:#04x}, ...)"


def derive(secret: bytes) -> WireKeys:
    """All wire keys of a cluster secret of exactly 32 bytes; raises KeyFileError for another length."""
    if len(secret) != SECRET_BYTES:
        raise KeyFileError(f"a cluster secret has {SECRET_BYTES} bytes, this one has {len(secret)}")
    return WireKeys(
        identity=_derived(secret, b"zc key id")[0],
        beacon=_derived(secret, b"zc beacon mac"),
        server=_curve_pair(secret, b"zc bus server"),
        client=_curve_pair(secret, b"zc bus client"),
        reader=reader_pair(secret, DEFAULT_READER),
    )


def reader_pair(secret: bytes, name: str) -> CurvePair:
    """The pair of the reader of that name: every host knows it, without a list of keys."""
    return _curve_pair(secret, b"zc bus reader", name.encode("utf-8"))


def observing(secret: bytes) -> bytes:
    """The secret that observing nodes of that cluster use: those that act cannot even hear them, nor be heard."""
    return _derived(secret, b"zc observing")


def _derived(secret: bytes, purpose: bytes, name: bytes = b"") -> bytes:
    return blake2b(name, key=secret, person=purpose, digest_size=SECRET_BYTES).digest()


def _curve_pair(secret: bytes, purpose: bytes, name: bytes = b"") -> CurvePair:
    # Any 32 bytes are a Curve25519 secret: the bits that must be fixed are fixed at use.
    half = z85.encode(_derived(secret, purpose, name))
    return CurvePair(zmq.curve_public(half), half)
