"""What admits a reader to the bus for tools, as `zcluster reader-key` writes it.

    {"schema": "zcluster.reader/1", "cluster", "name", "server", "public", "secret", "port"}

What must hold: the secret is in no message and no trace.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from zcluster.errors import BusError

DEFAULT_PORT = 7710
SCHEMA = "zcluster.reader/1"
KEY_CHARACTERS = 40  # of Z85 (RFC 32 of ZeroMQ) for 32 bytes


class Credential(NamedTuple):
    """What admits a reader: CURVE keys in Z85. `port`: where the cluster's file has the bus for tools."""

    server: bytes
    public: bytes
    secret: bytes
    port: int = DEFAULT_PORT

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Credential(public={self.public!r}, ...)"


def credential_text(cluster: str, name: str, server: bytes, reader: tuple[bytes, bytes], port: int) -> str:
    """The file's content. `server`: the public key of the cluster's nodes; `reader`: both keys of the reader."""
    public, secret = (key.decode("ascii") for key in reader)
    about = {"schema": SCHEMA, "cluster": cluster, "name": name}
    keys = {"server": server.decode("ascii"), "public": public, "secret": secret}
    return json.dumps({**about, **keys, "port": port}) + "\n"


def load_credential(path: str | Path) -> Credential:
    """The credential in a file that `zcluster reader-key` wrote. Raises BusError."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        if found.get("schema") != SCHEMA:
            raise ValueError
        server, public, secret = (str(found[name]).encode("ascii") for name in ("server", "public", "secret"))
        if {len(server), len(public), len(secret)} != {KEY_CHARACTERS}:
            raise ValueError
        return Credential(server, public, secret, int(found["port"]))
    except OSError as problem:
        raise BusError(f"{path}: the reader's key cannot be read: {problem.strerror}") from problem
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BusError(f"{path}: not a reader's key; `zcluster reader-key --out FILE` writes one") from None
