"""The password of the switch's event socket: one line in a file that only its owner can use.

What must hold: no message quotes it; without a file FreeSWITCH's well-known one is used, and `check` says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path

from zcluster.config.private_file import OTHERS_MASK, Secret, read_private
from zcluster.errors import KeyFileError

# autoload_configs/event_socket.conf.xml of FreeSWITCH
WELL_KNOWN_PASSWORD = "ClueCon"
LONGEST_PASSWORD = 255
LEAST_LENGTH = 8  # below that a word may be tried out, and a report cannot take it out everywhere
# Of which file of the switch, for mends: with what conf/freeswitch has, and without.
PASSWORD_PLACE = (
    "`zcluster_password` of vars.xml, which conf/freeswitch/zcluster/event_socket.xml takes; without that fragment "
    "the one in event_socket.conf.xml"
)
_CREDENTIAL_MASK = 0o007
_PASSWORD = Secret(
    "password of the event socket",
    f"write there, with mode 0600, that of the switch: {PASSWORD_PLACE}",
    "and change the password if somebody may have read it",
)


def load_password(path: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The password in that file, or in the copy that the service manager hands over under its name.

    None is FreeSWITCH's well-known one. Raises KeyFileError when it is missing, exposed or no password.
    """
    if path is None:
        return WELL_KNOWN_PASSWORD
    directory = environment.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(directory) / path.name
    if directory and credential.exists():
        return _parsed(credential, read_private(credential, _PASSWORD, _CREDENTIAL_MASK))
    return _parsed(path, read_private(path, _PASSWORD, OTHERS_MASK))


def _parsed(path: Path, content: bytes) -> str:
    try:
        return parse_password(content)
    except ValueError as error:
        raise KeyFileError(
            f"{path}: this is not a password: {error}; write one line: {PASSWORD_PLACE}"
        ) from None


class Ordinary(Enum):
    """Why a password is an ordinary word, as a part of a sentence; the value never has the password in it."""

    SHORT = f"it is shorter than {LEAST_LENGTH} characters"
    NAME = "it is also a name in this file"


def ordinary(password: str, names: Iterable[str]) -> Ordinary | None:
    """Whether it can be guessed, or stands in every log; `names`: those that the cluster's file has."""
    if password.lower() in {name.lower() for name in names}:
        return Ordinary.NAME
    return Ordinary.SHORT if len(password) < LEAST_LENGTH else None


def parse_password(content: bytes) -> str:
    """The password in a file's content, without the end of its line; ValueError says what is wrong."""
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("it holds bytes that are not text") from None
    if not text:
        raise ValueError("it is empty")
    if len(text) > LONGEST_PASSWORD:
        raise ValueError(f"it is longer than {LONGEST_PASSWORD} characters")
    if not text.isprintable():
        raise ValueError("it holds more than one line, or control characters")
    return text
