"""The cluster's secret: one file, the same on every host, readable by its owner alone.

What must hold: without a good key nothing starts, and no default secret exists. The text form is one line,
`zck1:` and 32 random bytes in base64; the prefix names the form, so that a later one can be told apart.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from zcluster.config.private_file import Secret, read_private, write_private
from zcluster.errors import KeyFileError

KEY_PREFIX = "zck1:"
KEY_BYTES = 32
# The group's bits of a credential are the mask of an access list that names the service's user.
CREDENTIAL_MASK = 0o007


def load_key(path: Path) -> bytes:
    """The 32 secret bytes of a key file; KeyFileError, with a mend, when it is missing, exposed or no key."""
    return _parsed(path, read_private(path, _key(path)))


def _parsed(path: Path, content: bytes) -> bytes:
    try:
        return parse_key(content)
    except ValueError as error:
        raise KeyFileError(
            f"{path}: this is not a cluster key: {error}; copy the file again from a host where it works, "
            f"or make a new one for all hosts with `zcluster keygen {path} --force`"
        ) from None


def load_service_key(path: Path, environment: Mapping[str, str] = os.environ) -> bytes:
    """The key as the service manager hands it to an unprivileged daemon, else that of the file; KeyFileError.

    LoadCredential= (systemd.exec(5)) puts a copy under the file's name into a directory of this service alone.
    """
    directory = environment.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(directory) / path.name
    if not directory or not _is_there(credential):
        return load_key(path)
    return _parsed(credential, read_private(credential, _key(credential), CREDENTIAL_MASK))


def _is_there(credential: Path) -> bool:
    try:
        credential.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise KeyFileError(
            f"{credential}: the service manager's copy of the cluster key cannot be reached: {error.strerror}; "
            "look at User= and LoadCredential= of the unit, then restart it"
        ) from error
    return True


def parse_key(content: bytes) -> bytes:
    """The secret bytes of a key file's content; ValueError says what is wrong without quoting any of it."""
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise ValueError("it holds bytes that are not text") from None
    if not text.startswith(KEY_PREFIX):
        raise ValueError(f"it does not begin with {KEY_PREFIX}" if text else "it is empty")
    try:
        key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("what follows the prefix is not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"it holds {len(key)} bytes where {KEY_BYTES} belong")
    return key


def write_key(path: Path, *, replace: bool = False) -> None:
    """Write a new random key with mode 0600; KeyFileError when one is there and `replace` is not set.

    A replacement is written beside the old file and renamed over it, so that no host ever reads half a key.
    """
    text = KEY_PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii") + "\n"
    target = path.with_name(path.name + ".new") if replace else path
    try:
        if replace:
            target.unlink(missing_ok=True)
        write_private(target, text)
        if replace:
            target.replace(path)
    except FileExistsError:
        raise KeyFileError(
            f"{path}: there is a file already, and the cluster may be using it; "
            f"`zcluster keygen {path} --force` replaces it, then every host needs the new one"
        ) from None
    except FileNotFoundError:
        raise KeyFileError(f"{path}: its folder does not exist; `mkdir -p {path.parent}` first") from None
    except OSError as error:
        raise KeyFileError(f"{path}: the key cannot be written: {error.strerror}") from error


def _key(path: Path) -> Secret:
    return Secret(
        "cluster key",
        f"make one with `zcluster keygen {path}` and copy the same file to every host",
        "and make a new key if somebody may have read it",
    )
